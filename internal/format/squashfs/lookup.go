package squashfs

import (
	"encoding/binary"
	"fmt"

	"sextant/internal/span"
)

// lookup is a table of entries of one size, in metadata blocks that an index
// of 8-byte pointers leads to. The blocks lie right before the index.
type lookup struct {
	name   string
	count  int64
	size   int64 // of an entry
	header int64 // bytes between the blocks and the index
	exact  bool  // whether the index must end where the next table starts

	index span.Span
	table span.Span // the metadata blocks
}

// openLookup checks a table as Linux does at mount: the index lies before end,
// its pointers ascend, and no block is larger than a block can be.
func (fs *FS) openLookup(t *lookup, start uint64, end int64) error {
	if start > uint64(end) {
		return corrupt("%s table: index at %d lies behind %d", t.name, start, end)
	}
	pointers := (t.count*t.size + metadataSize - 1) / metadataSize
	t.index = span.Span{Offset: int64(start), Length: 8 * pointers}
	if err := t.index.Within(end); err != nil {
		return corrupt("%s table of %d entries: index: %w", t.name, t.count, err)
	}
	if t.exact && t.index.End() != end {
		return corrupt("%s table: index of %d entries ends at %d, what follows starts at %d", t.name, t.count, t.index.End(), end)
	}
	if err := fs.checkPointers(t); err != nil {
		return fmt.Errorf("%s table: %w", t.name, err)
	}
	return nil
}

// checkPointers reads the whole index, and sets where the blocks lie.
func (fs *FS) checkPointers(t *lookup) error {
	var room [4096]byte
	before, end := int64(-1), t.index.Offset-t.header
	for at := t.index.Offset; at < t.index.End(); {
		buf := room[:min(int64(len(room)), t.index.End()-at)]
		if err := fs.readAt(buf, at); err != nil {
			return err
		}
		at += int64(len(buf))
		for ; len(buf) > 0; buf = buf[8:] {
			p := binary.LittleEndian.Uint64(buf)
			if p >= uint64(end) {
				return corrupt("block at %d lies behind the table's end at %d", p, end)
			}
			if before < 0 {
				t.table.Offset = int64(p)
			} else if err := checkGap(before, int64(p)); err != nil {
				return err
			}
			before = int64(p)
		}
	}
	t.table = span.Between(t.table.Offset, end)
	return checkGap(before, end)
}

func checkGap(from, to int64) error {
	if to <= from || to-from > metadataHeader+metadataSize {
		return corrupt("block at %d cannot end at %d", from, to)
	}
	return nil
}

// seek returns a cursor at the entry number n.
func (fs *FS) seek(t *lookup, n int64) (*cursor, error) {
	if n < 0 || n >= t.count {
		return nil, corrupt("%s table has %d entries, none with number %d", t.name, t.count, n)
	}
	var pointer [8]byte
	if err := fs.readAt(pointer[:], t.index.Offset+n*t.size/metadataSize*8); err != nil {
		return nil, err
	}
	p := position{int64(binary.LittleEndian.Uint64(pointer[:])), int(n * t.size % metadataSize)}
	if !within(p.at, t.table) {
		return nil, corrupt("%s table changed while it was read", t.name)
	}
	return fs.cursor(t.table, p)
}

func within(at int64, table span.Span) bool { return at >= table.Offset && at < table.End() }
