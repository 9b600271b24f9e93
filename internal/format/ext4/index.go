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

// frame is one index node on the way to a leaf, and the entry that leads there.
type frame struct {
	*indexNode
	taken int
}

// usesIndex reports whether names are found through the directory's index.
func (f *FS) usesIndex(n *node) bool {
	return n.has(FlagIndex) && !n.has(FlagInlineData|FlagCaseFold)
}

// probe follows a directory's index to where a name belongs. It returns the
// nodes on the way, the root first, and the name's hash.
func (f *FS) probe(n *node, name string) ([]frame, uint32, error) {
	d, err := f.logicalDirBlock(n, 0)
	if err != nil {
		return nil, 0, err
	}
	x, err := f.indexNode(d)
	if err != nil {
		return nil, 0, err
	}
	if int(x.root.IndirectLevels) > f.maxIndirect() {
		return nil, 0, corrupt("index has %d levels", x.root.IndirectLevels)
	}
	hash, ok := HashName(f.hashVersion(x.root), f.super.HashSeed, name)
	if !ok {
		return nil, 0, unsupported("index has hash function %s", x.root.Hash)
	}
	way := []frame{{x, x.search(hash)}}
	for range x.root.IndirectLevels {
		last := way[len(way)-1]
		d, err := f.logicalDirBlock(n, uint64(last.entry(last.taken).Block))
		if err != nil {
			return nil, 0, err
		}
		if !d.index || d.logical == 0 {
			return nil, 0, atBlock(d.number, "directory block", corrupt("not a part of the index"))
		}
		if x, err = f.indexNode(d); err != nil {
			return nil, 0, err
		}
		way = append(way, frame{x, x.search(hash)})
	}
	return way, hash, nil
}

// leaf reads the leaf that an entry of an index node leads to. Without checksums
// a leaf that has lost all its names looks like a part of the index.
func (f *FS) leaf(n *node, x *indexNode, i int) (dirBlock, error) {
	d, err := f.logicalDirBlock(n, uint64(x.entry(i).Block))
	if d.index && d.logical > 0 && !f.super.checksums() {
		d.index = false
	}
	if err == nil && d.index {
		err = atBlock(d.number, "directory block", corrupt("part of the index where names are due"))
	}
	return d, err
}

// lookupIndex finds an entry by the hash of its name. An error says that the
// index is of no use: all blocks have to be searched.
func (f *FS) lookupIndex(n *node, name string) (dirBlock, dirent, bool, error) {
	if !f.usesIndex(n) {
		return dirBlock{}, dirent{}, false, unsupported("directory without index")
	}
	way, hash, err := f.probe(n, name)
	if err != nil {
		return dirBlock{}, dirent{}, false, err
	}
	return f.lookupLeaves(n, way, hash, name)
}

// lookupLeaves searches the leaf for a hash, and those behind it that go on with
// the same hash.
func (f *FS) lookupLeaves(n *node, way []frame, hash uint32, name string) (dirBlock, dirent, bool, error) {
	for range f.sizeBlocks(n) { // no leaf comes twice
		last := way[len(way)-1]
		d, err := f.leaf(n, last.indexNode, last.taken)
		if err != nil {
			return d, dirent{}, false, err
		}
		if e, found, err := f.lookupBlock(d, name); err != nil || found {
			return d, e, found, err
		}
		if more, err := f.nextLeaf(n, way, hash); err != nil || !more {
			return d, dirent{}, false, err
		}
	}
	return dirBlock{}, dirent{}, false, corrupt("index goes in circles")
}

// nextLeaf moves way to the next leaf if that goes on with the same hash.
func (f *FS) nextLeaf(n *node, way []frame, hash uint32) (bool, error) {
	level := len(way) - 1
	for level >= 0 && way[level].taken+1 == way[level].entries {
		level--
	}
	if level < 0 {
		return false, nil
	}
	way[level].taken++
	if next := way[level].entry(way[level].taken).Hash; next&1 == 0 || next&^1 != hash {
		return false, nil
	}
	for ; level+1 < len(way); level++ {
		d, err := f.logicalDirBlock(n, uint64(way[level].entry(way[level].taken).Block))
		if err != nil {
			return false, err
		}
		if !d.index || d.logical == 0 {
			return false, atBlock(d.number, "directory block", corrupt("not a part of the index"))
		}
		x, err := f.indexNode(d)
		if err != nil {
			return false, err
		}
		way[level+1] = frame{x, 0}
	}
	return true, nil
}
