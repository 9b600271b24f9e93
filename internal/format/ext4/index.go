package ext4

import (
	"sort"
)

// indexNode is one block of a directory's index.
type indexNode struct {
	dir     dirBlock
	root    *IndexRoot // in the first block only
	at      int        // where the entries begin
	limit   int        // entries there is room for
	entries int        // entries in use, the first without a hash of its own
}

// The root's entries lie behind ".", ".." and IndexRoot, those of other nodes
// behind an empty directory entry.
const (
	indexRootInfo    = 24
	indexRootEntries = indexRootInfo + 8
	indexNodeEntries = direntHeader
)

// indexNode checks the numbers of an index block.
func (f *FS) indexNode(d dirBlock) (*indexNode, error) {
	x := &indexNode{dir: d, at: indexNodeEntries}
	b := d.bytes
	if d.logical == 0 {
		if f.recordSize(le16(b, 4)) != minDirent || f.recordSize(le16(b, minDirent+4)) != len(b)-minDirent {
			return nil, corrupt("no index behind the first two entries")
		}
		x.root = &IndexRoot{le32(b, indexRootInfo), HashVersion(b[indexRootInfo+4]), b[indexRootInfo+5], b[indexRootInfo+6], b[indexRootInfo+7]}
		x.at = indexRootEntries
		if x.root.Size != 8 {
			return nil, corrupt("index root of %d bytes", x.root.Size)
		}
	}
	x.limit, x.entries = int(le16(b, x.at)), int(le16(b, x.at+2))
	room := (len(b) - x.at) / indexEntrySize
	if f.super.checksums() {
		room--
	}
	if x.limit > room || x.entries == 0 || x.entries > x.limit {
		return nil, corrupt("index of %d entries, limit %d, room for %d", x.entries, x.limit, room)
	}
	return x, nil
}

// checkSum verifies the checksum, which lies behind the room for entries.
func (x *indexNode) checkSum(n *node) error {
	b := x.dir.bytes
	tail := x.at + x.limit*indexEntrySize
	if n.seed.IndexBlock(b[:x.at+x.entries*indexEntrySize], b[tail:tail+4]) != le32(b, tail+4) {
		return corrupt("index: checksum does not match")
	}
	return nil
}

// entry returns the i-th entry. The first stands for all hashes below the
// second.
func (x *indexNode) entry(i int) IndexEntry {
	at := x.at + i*indexEntrySize
	// The high bits of a block number are reserved (dx_get_block).
	e := IndexEntry{le32(x.dir.bytes, at), le32(x.dir.bytes, at+4) & 0x0fffffff}
	if i == 0 {
		e.Hash = 0
	}
	return e
}

// search returns the last entry whose hash is not above the given one.
func (x *indexNode) search(hash uint32) int {
	return sort.Search(x.entries-1, func(i int) bool { return x.entry(i+1).Hash > hash })
}

// hashVersion gives the function that a directory's index uses. Old ones say
// nothing of the sign of bytes: the superblock does.
func (f *FS) hashVersion(root *IndexRoot) HashVersion {
	if root.Hash <= HashTEA && f.super.Flags&FlagUnsignedHash != 0 {
		return root.Hash + HashLegacyUnsigned
	}
	return root.Hash
}

// logicalDirBlock reads the block of a directory with the given number inside
// it.
func (f *FS) logicalDirBlock(n *node, logical uint64) (dirBlock, error) {
	for r, err := range f.runs(n, logical) {
		if err != nil {
			return dirBlock{}, err
		}
		if r.Unwritten || logical < r.Logical {
			break
		}
		return f.dirBlock(n, logical, r.Physical+logical-r.Logical)
	}
	return dirBlock{}, corrupt("directory has a hole at block %d", logical)
}

// maxIndirect is the greatest number of index levels below the root.
func (f *FS) maxIndirect() int {
	if f.super.FeatureIncompat&IncompatLargeDir != 0 {
		return 2
	}
	return 1
}

// lookupIndex finds an entry by the hash of its name. Where it does not find
// it, for whatever reason, all blocks have to be searched.
func (f *FS) lookupIndex(n *node, name string) (uint32, bool) {
	if !n.has(FlagIndex) || n.has(FlagInlineData|FlagCaseFold) {
		return 0, false
	}
	d, err := f.logicalDirBlock(n, 0)
	if err != nil {
		return 0, false
	}
	x, err := f.indexNode(d)
	if err != nil || int(x.root.IndirectLevels) > f.maxIndirect() {
		return 0, false
	}
	hash, ok := HashName(f.hashVersion(x.root), f.super.HashSeed, name)
	if !ok {
		return 0, false
	}
	for range x.root.IndirectLevels {
		d, err := f.logicalDirBlock(n, uint64(x.entry(x.search(hash)).Block))
		if err != nil || !d.index || d.logical == 0 {
			return 0, false
		}
		if x, err = f.indexNode(d); err != nil {
			return 0, false
		}
	}
	return f.lookupLeaves(n, x, hash, name)
}

// lookupLeaves searches the leaf for a hash, and those behind it that go on with
// the same hash.
func (f *FS) lookupLeaves(n *node, x *indexNode, hash uint32, name string) (uint32, bool) {
	for i := x.search(hash); i < x.entries; i++ {
		if i > 0 && x.entry(i).Hash&^1 > hash {
			break
		}
		d, err := f.logicalDirBlock(n, uint64(x.entry(i).Block))
		if err != nil || d.index {
			return 0, false
		}
		if number, err := f.lookupBlock(d, name); err != nil || number != 0 {
			return number, err == nil
		}
	}
	return 0, false
}
