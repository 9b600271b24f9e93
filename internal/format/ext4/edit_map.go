package ext4

import (
	"encoding/binary"
	"fmt"
	"math"
)

// newMap makes the map of blocks of an inode that has none.
func (e *Editor) newMap(n *node) {
	n.disk.Block = [blockAreaSize]byte{}
	if e.fs.super.FeatureIncompat&IncompatExtents == 0 {
		n.disk.Flags &^= FlagExtents
		return
	}
	n.disk.Flags |= FlagExtents
	putExtentHeader(n.disk.Block[:], 0, 0)
}

func putExtentHeader(b []byte, entries, depth uint16) {
	room := uint16(len(b)/extentSize - 1)
	encode(b, &ExtentHeader{Magic: extentMagic, Entries: entries, Max: room, Depth: depth})
}

// maxFileSize returns the length that a map can lead to.
func (e *Editor) maxFileSize(n *node) int64 {
	blocks := uint64(math.MaxUint32)
	if !n.has(FlagExtents) {
		per := uint64(e.fs.geo.BlockSize / 4)
		blocks = min(blocks, directBlocks+per+per*per+per*per*per)
	}
	return int64(blocks) * e.fs.geo.BlockSize
}

// appendRun adds a run behind all that a file has. It counts the blocks of the
// map, not those of the run.
func (e *Editor) appendRun(n *node, r Run) error {
	if !n.has(FlagExtents) {
		for i := range r.Length {
			if err := e.setPointer(n, r.Logical+i, r.Physical+i); err != nil {
				return err
			}
		}
		return nil
	}
	for r.Length > 0 {
		done, err := e.appendExtent(n, r)
		if err != nil {
			return err
		}
		r.Logical, r.Physical, r.Length = r.Logical+done, r.Physical+done, r.Length-done
	}
	return nil
}

// mapNode is a node of an extent tree.
type mapNode struct {
	number uint64 // 0 for the root
	bytes  []byte
	ExtentHeader
}

// lastPath returns the nodes from the root to the last leaf.
func (e *Editor) lastPath(n *node) ([]mapNode, error) {
	b, number := n.disk.Block[:], uint64(0)
	var path []mapNode
	for {
		h, err := decodeExtentHeader(b)
		if err != nil {
			return nil, err
		}
		if len(path) > 0 && h.Depth+1 != path[len(path)-1].Depth || h.Depth > extentLevels || h.Depth > 0 && h.Entries == 0 {
			return nil, corrupt("extent tree node of depth %d with %d entries", h.Depth, h.Entries)
		}
		path = append(path, mapNode{number, b, h})
		if h.Depth == 0 {
			return path, nil
		}
		x := decodeExtentIndex(b[extentSize*int(h.Entries):])
		number = join(uint32(x.LeafHi), x.LeafLo)
		if b, err = e.fs.block(number); err != nil {
			return nil, err
		}
		w := walk{fs: e.fs, node: n}
		if err := w.checkExtentBlock(b); err != nil {
			return nil, inBlock(number, "extent block", err)
		}
	}
}

// appendExtent adds the begin of a run: as much as fits into one extent.
func (e *Editor) appendExtent(n *node, r Run) (done uint64, err error) {
	path, err := e.lastPath(n)
	if err != nil {
		return 0, err
	}
	leaf := path[len(path)-1]
	if done, err := e.extendLast(n, leaf, r); err != nil || done > 0 {
		return done, err
	}
	done = min(r.Length, maxInitExtent)
	length := done
	if r.Unwritten {
		done = min(r.Length, maxInitExtent-1)
		length = done + maxInitExtent
	}
	entry := make([]byte, extentSize)
	hi, lo := split(r.Physical)
	encode(entry, &Extent{Block: uint32(r.Logical), Length: uint16(length), StartHi: uint16(hi), StartLo: lo})

	level := len(path) - 1
	for level >= 0 && path[level].Entries == path[level].Max {
		level--
	}
	if level < 0 {
		if path, err = e.growTree(n, path); err != nil {
			return 0, err
		}
		level = 0
		if path[1].Entries < path[1].Max {
			level = 1
		}
	}
	return done, e.addChain(n, path, level, r, entry)
}

// extendLast makes the last extent longer if the run goes on with it.
func (e *Editor) extendLast(n *node, leaf mapNode, r Run) (done uint64, err error) {
	if leaf.Entries == 0 {
		return 0, nil
	}
	at := extentSize * int(leaf.Entries)
	last := decodeExtent(leaf.bytes[at:]).run()
	if r.Logical < last.Logical+last.Length {
		return 0, corrupt("extent behind logical block %d", r.Logical)
	}
	if last.Unwritten || r.Unwritten || last.Logical+last.Length != r.Logical || last.Physical+last.Length != r.Physical {
		return 0, nil
	}
	if done = min(r.Length, maxInitExtent-last.Length); done == 0 {
		return 0, nil
	}
	b, err := e.changeMap(n, leaf)
	if err != nil {
		return 0, err
	}
	put16(b, at+4, uint16(last.Length+done))
	e.sealMap(n, b)
	return done, nil
}

// addChain adds an entry for a leaf to the node at a level of the path, the last
// with room: below it go new nodes with one entry each.
func (e *Editor) addChain(n *node, path []mapNode, level int, r Run, entry []byte) error {
	goal := r.Physical + r.Length
	for depth := uint16(0); depth < path[level].Depth; depth++ {
		number, b, err := e.newMapBlock(n, goal)
		if err != nil {
			return err
		}
		putExtentHeader(b, 1, depth)
		copy(b[extentSize:], entry)
		e.sealMap(n, b)
		hi, lo := split(number)
		encode(entry, &ExtentIndex{Block: uint32(r.Logical), LeafLo: lo, LeafHi: uint16(hi)})
		goal = number + 1
	}
	b, err := e.changeMap(n, path[level])
	if err != nil {
		return err
	}
	entries := path[level].Entries + 1
	copy(b[extentSize*int(entries):], entry)
	put16(b, 2, entries)
	e.sealMap(n, b)
	return nil
}

// growTree moves the root's entries into a block of their own.
func (e *Editor) growTree(n *node, path []mapNode) ([]mapNode, error) {
	root := path[0]
	if root.Depth >= extentLevels {
		return nil, fmt.Errorf("extent tree of %d levels: %w", extentLevels, ErrLimit)
	}
	last := decodeExtentIndex(root.bytes[extentSize*int(root.Entries):])
	number, b, err := e.newMapBlock(n, join(uint32(last.LeafHi), last.LeafLo)+1)
	if err != nil {
		return nil, err
	}
	copy(b[extentSize:], root.bytes[extentSize:])
	putExtentHeader(b, root.Entries, root.Depth)
	e.sealMap(n, b)
	hi, lo := split(number)
	first := le32(root.bytes, extentSize)
	putExtentHeader(root.bytes, 1, root.Depth+1)
	clear(root.bytes[extentSize:])
	encode(root.bytes[extentSize:], &ExtentIndex{Block: first, LeafLo: lo, LeafHi: uint16(hi)})
	return e.lastPath(n)
}

// changeMap returns the bytes of a node, to be changed.
func (e *Editor) changeMap(n *node, m mapNode) ([]byte, error) {
	if m.number == 0 {
		return n.disk.Block[:], nil
	}
	return e.write(m.number)
}

// newMapBlock takes a block for a file's map.
func (e *Editor) newMapBlock(n *node, goal uint64) (uint64, []byte, error) {
	number, _, err := e.allocate(request{goal: goal, want: 1, end: n.lastBlock()})
	if err != nil {
		return 0, nil, err
	}
	return number, e.fresh(number), e.addSectors(n, 1)
}

// lastBlock returns the block before which a file's blocks have to lie, 0 if
// they may lie anywhere. Pointers have 32 bits.
func (n *node) lastBlock() uint64 {
	if n.has(FlagExtents) {
		return 0
	}
	return math.MaxUint32
}

// sealMap sets the checksum of an extent block.
func (e *Editor) sealMap(n *node, b []byte) {
	if len(b) == blockAreaSize || !e.fs.super.checksums() {
		return
	}
	tail := extentSize * (int(le16(b, 4)) + 1)
	put32(b, tail, n.seed.Block(b[:tail]))
}

// setPointer enters a block into a map of pointers.
func (e *Editor) setPointer(n *node, logical, physical uint64) error {
	per := uint64(e.fs.geo.BlockSize / 4)
	if logical < directBlocks {
		put32(n.disk.Block[:], int(4*logical), uint32(physical))
		return nil
	}
	rest, depth, covers := logical-directBlocks, 1, uint64(1)
	for rest >= covers*per {
		rest -= covers * per
		covers *= per
		depth++
	}
	if depth > 3 {
		return fmt.Errorf("file of %d blocks: %w", logical, ErrLimit)
	}
	b, at := n.disk.Block[:], 4*(directBlocks+depth-1)
	for ; depth > 0; depth-- {
		number := uint64(le32(b, at))
		if number == 0 {
			var err error
			if number, _, err = e.newMapBlock(n, physical+1); err != nil {
				return err
			}
			put32(b, at, uint32(number))
		}
		var err error
		if b, err = e.write(number); err != nil {
			return err
		}
		at = int(4 * (rest / covers))
		rest %= covers
		covers /= per
	}
	if old := binary.LittleEndian.Uint32(b[at:]); old != 0 {
		return corrupt("logical block %d has a block already", logical)
	}
	put32(b, at, uint32(physical))
	return nil
}

// releaseMap frees all blocks of a file.
func (e *Editor) releaseMap(n *node) error {
	if !e.fs.hasMap(n) || n.has(FlagInlineData) {
		return nil
	}
	var inner []uint64
	count := int64(0)
	err := e.fs.walkRuns(n, 0, func(block uint64) error {
		inner = append(inner, block)
		return nil
	}, func(r Run) error {
		count += int64(r.Length)
		return e.release(r.Physical, r.Length)
	})
	if err != nil {
		return err
	}
	// Only now, as the walk still had to read them.
	for _, block := range inner {
		if err := e.release(block, 1); err != nil {
			return err
		}
	}
	return e.addSectors(n, -count-int64(len(inner)))
}
