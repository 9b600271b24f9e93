package ext4

import (
	"errors"
	"fmt"
	"iter"
	"math"
)

// Run is a piece of a file that lies on disk in one piece, in blocks.
type Run struct {
	Logical   uint64 // first block inside the file
	Physical  uint64 // first block inside the file system
	Length    uint64
	Unwritten bool // allocated, but reads as zeros
}

// errStop ends a walk early.
var errStop = errors.New("stop")

// walk goes over a file's blocks in ascending order.
type walk struct {
	fs    *FS
	node  *node
	from  uint64                   // runs that end before it may be left out
	visit func(Run) error          // for each run
	inner func(block uint64) error // for each block of the map itself, may be nil
	next  uint64                   // the next run must not begin before
	total uint64                   // blocks visited
	limit uint64                   // at most so many
}

// runs gives the pieces of a file from the logical block from on: the first may
// begin before it. What is in none of them is a hole.
func (f *FS) runs(n *node, from uint64) iter.Seq2[Run, error] {
	return func(yield func(Run, error) bool) {
		err := f.walkRuns(n, from, nil, func(r Run) error {
			if !yield(r, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(Run{}, err)
		}
	}
}

// walkRuns calls visit for the pieces of a file and inner, unless it is nil,
// for every block of the map that leads to them.
func (f *FS) walkRuns(n *node, from uint64, inner func(uint64) error, visit func(Run) error) error {
	w := &walk{fs: f, node: n, from: from, visit: visit, inner: inner, limit: f.geo.Blocks}
	if f.super.FeatureROCompat&ROCompatSharedBlocks != 0 && n.mode().IsRegular() {
		w.limit = math.MaxUint64 // one block may be many of the file's
	}
	switch {
	case n.has(FlagInlineData):
		return nil
	case n.has(FlagExtents):
		return w.extents(n.disk.Block[:], extentLevels, 0, math.MaxUint32+1)
	}
	return w.pointers()
}

// add counts blocks: no file has more than the file system, or it goes in
// circles.
func (w *walk) add(count uint64) error {
	if w.total += count; w.total > w.limit {
		return corrupt("maps more blocks than the file system has")
	}
	return nil
}

func (w *walk) run(r Run) error {
	if err := w.fs.geo.BlockRange(r.Physical, r.Length); err != nil {
		return fmt.Errorf("logical block %d: %w", r.Logical, err)
	}
	if err := w.add(r.Length); err != nil {
		return err
	}
	return w.visit(r)
}

// innerBlock reads a block of the map.
func (w *walk) innerBlock(number uint64) ([]byte, error) {
	if err := w.add(1); err != nil {
		return nil, err
	}
	if w.inner != nil {
		if err := w.inner(number); err != nil {
			return nil, err
		}
	}
	return w.fs.block(number)
}

// extents walks one node of an extent tree that covers the logical blocks
// [first, end). above is the greatest depth it may have; the root's is free, that
// of every other one less than its parent's.
func (w *walk) extents(b []byte, above int, first, end uint64) error {
	h, err := decodeExtentHeader(b)
	if err != nil {
		return err
	}
	root := len(b) == blockAreaSize
	if int(h.Depth) > above || !root && int(h.Depth) != above {
		return corrupt("extent tree has depth %d where %d is due", h.Depth, above)
	}
	if h.Depth > 0 && h.Entries == 0 {
		return corrupt("extent tree has an index without entries")
	}
	for i := range int(h.Entries) {
		entry := b[extentSize*(i+1):]
		if h.Depth == 0 {
			if err := w.extent(decodeExtent(entry), first, end); err != nil {
				return err
			}
			continue
		}
		next := end
		if i+1 < int(h.Entries) {
			next = uint64(le32(entry, extentSize))
		}
		if err := w.index(decodeExtentIndex(entry), int(h.Depth), first, next, end); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) extent(e Extent, first, end uint64) error {
	r := e.run()
	if r.Length == 0 || r.Logical < max(w.next, first) || r.Logical+r.Length > end {
		return corrupt("extent of logical blocks %d+%d where %d-%d are due", r.Logical, r.Length, max(w.next, first), end)
	}
	w.next = r.Logical + r.Length
	if w.next <= w.from {
		return nil
	}
	return w.run(r)
}

// index follows an entry of an inner node. next is where the entry behind it
// begins.
func (w *walk) index(x ExtentIndex, depth int, first, next, end uint64) error {
	begin := uint64(x.Block)
	if begin < first || begin >= next || next > end {
		return corrupt("extent index of logical blocks %d-%d where %d-%d are due", begin, next, first, end)
	}
	if next <= w.from {
		return nil
	}
	number := join(uint32(x.LeafHi), x.LeafLo)
	b, err := w.innerBlock(number)
	if err == nil {
		err = w.checkExtentBlock(b)
	}
	if err == nil {
		err = w.extents(b, depth-1, begin, next)
	}
	if err != nil && err != errStop {
		return inBlock(number, "extent block", err)
	}
	return err
}

// checkExtentBlock verifies the checksum, which lies behind the room for entries.
func (w *walk) checkExtentBlock(b []byte) error {
	h, err := decodeExtentHeader(b)
	if err != nil || !w.fs.super.checksums() {
		return err
	}
	tail := extentSize * (int(h.Max) + 1)
	if tail+4 > len(b) {
		return corrupt("no room for a checksum behind %d extents", h.Max)
	}
	if w.node.seed.Block(b[:tail]) != le32(b, tail) {
		return corrupt("checksum does not match")
	}
	return nil
}

// decodeExtentHeader checks that all of the entries lie inside b.
func decodeExtentHeader(b []byte) (ExtentHeader, error) {
	h := ExtentHeader{le16(b, 0), le16(b, 2), le16(b, 4), le16(b, 6), le32(b, 8)}
	room := len(b)/extentSize - 1
	switch {
	case h.Magic != extentMagic:
		return h, corrupt("extent tree has magic number %#x", h.Magic)
	case h.Max == 0 || int(h.Max) > room:
		return h, corrupt("extent tree node for %d entries, room for %d", h.Max, room)
	case h.Entries > h.Max:
		return h, corrupt("extent tree node with %d of %d entries", h.Entries, h.Max)
	}
	return h, nil
}

// These two are decoded by hand: there are many of them.

func decodeExtent(b []byte) Extent {
	return Extent{Block: le32(b, 0), Length: le16(b, 4), StartHi: le16(b, 6), StartLo: le32(b, 8)}
}

func decodeExtentIndex(b []byte) ExtentIndex {
	return ExtentIndex{Block: le32(b, 0), LeafLo: le32(b, 4), LeafHi: le16(b, 8), Unused: le16(b, 10)}
}

func (e Extent) run() Run {
	r := Run{
		Logical:  uint64(e.Block),
		Physical: join(uint32(e.StartHi), e.StartLo),
		Length:   uint64(e.Length),
	}
	if e.Length > maxInitExtent {
		r.Length -= maxInitExtent
		r.Unwritten = true
	}
	return r
}
