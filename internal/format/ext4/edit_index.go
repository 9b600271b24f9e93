package ext4

import (
	"cmp"
	"fmt"
	"slices"
)

// addIndexed puts an entry into the leaf that its hash belongs to. As long as
// there is no room, the leaf or a node above it is split, and the way to the
// leaf is looked for anew.
func (e *Editor) addIndexed(dir *node, x dirent) error {
	for {
		way, _, err := e.fs.probe(dir, string(x.name))
		if err != nil {
			return err
		}
		last := way[len(way)-1]
		leaf, err := e.fs.leaf(dir, last.indexNode, last.taken)
		if err != nil {
			return err
		}
		if added, err := e.addToBlock(dir, leaf, x); err != nil || added {
			return err
		}
		if last.entries == last.limit {
			err = e.splitIndex(dir, way)
		} else {
			err = e.splitLeaf(dir, last, leaf)
		}
		if err != nil {
			return err
		}
	}
}

// makeIndex moves the names of a directory of one block into a second one, and
// makes an index of the first (make_indexed_dir).
func (e *Editor) makeIndex(dir *node) error {
	version := e.fs.super.DefaultHash
	if _, ok := HashName(version, e.fs.super.HashSeed, ""); !ok {
		return unsupported("hash function %s", version)
	}
	first, err := e.fs.logicalDirBlock(dir, 0)
	if err != nil {
		return err
	}
	entries, err := e.entriesOf(first)
	if err != nil {
		return err
	}
	if e.fs.recordSize(le16(first.bytes, 4)) != minDirent || string(first.bytes[direntHeader:direntHeader+2]) != ".\x00" {
		return atBlock(first.number, "directory block", corrupt("does not begin with the entry \".\""))
	}
	leaf, err := e.newDirBlock(dir)
	if err != nil {
		return err
	}
	e.packLeaf(dir, leaf.bytes, entries)

	b, err := e.write(first.number)
	if err != nil {
		return err
	}
	dir.disk.Flags |= FlagIndex
	put16(b, minDirent+4, e.storedSize(len(b)-minDirent))
	clear(b[indexRootInfo:])
	b[indexRootInfo+4], b[indexRootInfo+5] = byte(version), 8
	e.putIndex(dir, b, indexRootEntries, []IndexEntry{{Block: uint32(leaf.logical)}})
	return nil
}

// indexLimit returns how many entries there is room for behind a place.
func (e *Editor) indexLimit(at int) int {
	limit := (int(e.fs.geo.BlockSize) - at) / indexEntrySize
	if e.fs.super.checksums() {
		limit--
	}
	return limit
}

// putIndex writes the entries of an index node, which begin at a place, and its
// checksum.
func (e *Editor) putIndex(dir *node, b []byte, at int, entries []IndexEntry) {
	limit := e.indexLimit(at)
	clear(b[at:])
	for i, x := range entries {
		encode(b[at+i*indexEntrySize:], &x)
	}
	put16(b, at, uint16(limit))
	put16(b, at+2, uint16(len(entries)))
	if e.fs.super.checksums() {
		tail := at + limit*indexEntrySize
		put32(b, tail+4, dir.seed.IndexBlock(b[:at+len(entries)*indexEntrySize], b[tail:tail+4]))
	}
}

// list returns a copy of the entries of an index node.
func (x *indexNode) list() []IndexEntry {
	list := make([]IndexEntry, x.entries)
	for i := range list {
		list[i] = x.entry(i)
	}
	return list
}

// replaceIndex gives an index node other entries.
func (e *Editor) replaceIndex(dir *node, x *indexNode, entries []IndexEntry) error {
	b, err := e.write(x.dir.number)
	if err != nil {
		return err
	}
	e.putIndex(dir, b, x.at, entries)
	return nil
}

// newIndexNode adds a block with index entries to a directory.
func (e *Editor) newIndexNode(dir *node, entries []IndexEntry) (dirBlock, error) {
	d, err := e.newDirBlock(dir)
	if err != nil {
		return d, err
	}
	put16(d.bytes, 4, e.storedSize(len(d.bytes)))
	e.putIndex(dir, d.bytes, indexNodeEntries, entries)
	return d, nil
}

// splitIndex makes room in the last node of a way: it splits the highest node
// that is full below one with room, or puts a level below the root.
func (e *Editor) splitIndex(dir *node, way []frame) error {
	level := len(way) - 1
	for level >= 0 && way[level].entries == way[level].limit {
		level--
	}
	if level < 0 {
		return e.deepenIndex(dir, way[0].indexNode)
	}
	full, above := way[level+1], way[level]
	list := full.list()
	half := len(list) / 2
	d, err := e.newIndexNode(dir, list[half:])
	if err != nil {
		return err
	}
	if err := e.replaceIndex(dir, full.indexNode, list[:half]); err != nil {
		return err
	}
	return e.insertIndex(dir, above, IndexEntry{Hash: list[half].Hash, Block: uint32(d.logical)})
}

// deepenIndex moves the root's entries into a node of their own.
func (e *Editor) deepenIndex(dir *node, root *indexNode) error {
	if int(root.root.IndirectLevels) >= e.fs.maxIndirect() {
		return fmt.Errorf("directory index of %d levels: %w", root.root.IndirectLevels+1, ErrLimit)
	}
	d, err := e.newIndexNode(dir, root.list())
	if err != nil {
		return err
	}
	b, err := e.write(root.dir.number)
	if err != nil {
		return err
	}
	b[indexRootInfo+6]++
	e.putIndex(dir, b, root.at, []IndexEntry{{Block: uint32(d.logical)}})
	return nil
}

// insertIndex puts an entry behind the one that a way took.
func (e *Editor) insertIndex(dir *node, f frame, x IndexEntry) error {
	return e.replaceIndex(dir, f.indexNode, slices.Insert(f.list(), f.taken+1, x))
}

// hashed is an entry and the hash of its name.
type hashed struct {
	dirent
	hash uint32
}

// splitLeaf moves the names with the greater hashes, about half of the bytes,
// into a new leaf (do_split).
func (e *Editor) splitLeaf(dir *node, f frame, leaf dirBlock) error {
	list, err := e.hashes(dir, leaf)
	if err != nil {
		return err
	}
	if len(list) < 2 {
		return atBlock(leaf.number, "directory block", corrupt("%d entries leave no room for one more", len(list)))
	}
	at := splitPoint(list, len(leaf.bytes))
	boundary := list[at].hash
	if list[at-1].hash == boundary {
		boundary |= 1 // goes on with the hash of the leaf before
	}
	d, err := e.newDirBlock(dir)
	if err != nil {
		return err
	}
	e.packLeaf(dir, d.bytes, dirents(list[at:]))
	b, err := e.write(leaf.number)
	if err != nil {
		return err
	}
	e.packLeaf(dir, b, dirents(list[:at]))
	return e.insertIndex(dir, f, IndexEntry{Hash: boundary, Block: uint32(d.logical)})
}

// hashes returns the entries of a leaf by the hashes of their names.
func (e *Editor) hashes(dir *node, leaf dirBlock) ([]hashed, error) {
	root, err := e.fs.logicalDirBlock(dir, 0)
	if err != nil {
		return nil, err
	}
	x, err := e.fs.indexNode(root)
	if err != nil {
		return nil, err
	}
	entries, err := e.entriesOf(leaf)
	if err != nil {
		return nil, err
	}
	version := e.fs.hashVersion(x.root)
	list := make([]hashed, len(entries))
	for i, entry := range entries {
		hash, _ := HashName(version, e.fs.super.HashSeed, string(entry.name))
		list[i] = hashed{entry, hash}
	}
	slices.SortStableFunc(list, func(a, b hashed) int { return cmp.Compare(a.hash, b.hash) })
	return list, nil
}

// splitPoint returns the first entry of the greater half.
func splitPoint(list []hashed, blockSize int) int {
	size, at := 0, len(list)
	for at > 1 {
		length := direntSize(len(list[at-1].name))
		if size+length/2 > blockSize/2 {
			break
		}
		size += length
		at--
	}
	return min(at, len(list)-1)
}

func dirents(list []hashed) []dirent {
	out := make([]dirent, len(list))
	for i, h := range list {
		out[i] = h.dirent
	}
	return out
}
