package squashfs

import (
	"encoding/binary"
	"fmt"
	"slices"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// corrupt returns an error about bytes that break the format.
func corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrCorrupt)...)
}

// metadata returns the metadata block that starts at the offset and ends
// before end. Each is unpacked once while the cache has room.
func (fs *FS) metadata(at, end int64) (*block, error) {
	if b, ok := fs.metaCache.find(at); ok {
		if b.next > end {
			return nil, corrupt("metadata block at %d ends behind its table at %d", at, end)
		}
		return b, nil
	}
	if err := (span.Span{Offset: at, Length: metadataHeader}).Within(end); err != nil {
		return nil, corrupt("metadata block: %w", err)
	}
	var room [metadataHeader + metadataSize]byte
	raw := room[:min(int64(len(room)), end-at)]
	if err := fs.readAt(raw, at); err != nil {
		return nil, err
	}
	b, err := fs.unpackMetadata(at, raw)
	if err != nil {
		return nil, fmt.Errorf("metadata block at %d: %w", at, err)
	}
	fs.metaCache.add(b)
	return b, nil
}

// unpackMetadata unpacks the block at the start of raw.
func (fs *FS) unpackMetadata(at int64, raw []byte) (*block, error) {
	header := binary.LittleEndian.Uint16(raw)
	size := int(header &^ storedMetadata)
	if size == 0 || size > metadataSize {
		return nil, corrupt("size %d is not in 1-%d", size, metadataSize)
	}
	if err := (span.Span{Offset: metadataHeader, Length: int64(size)}).Within(int64(len(raw))); err != nil {
		return nil, corrupt("%w of what is left of its table", err)
	}
	packed := raw[metadataHeader:][:size]
	b := &block{at: at, next: at + metadataHeader + int64(size)}
	if header&storedMetadata != 0 {
		b.data = slices.Clone(packed)
		return b, nil
	}
	data, err := fs.unpack(make([]byte, 0, metadataSize), packed)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w: %w", fs.super.Compression, err, fault.ErrCorrupt)
	}
	if len(data) > metadataSize {
		return nil, corrupt("%w", errTooLong)
	}
	b.data = data
	return b, nil
}

// readAt fills p from the image.
func (fs *FS) readAt(p []byte, at int64) error {
	if err := (span.Span{Offset: at, Length: int64(len(p))}).Within(fs.size); err != nil {
		return corrupt("%w", err)
	}
	if _, err := fs.r.ReadAt(p, at); err != nil {
		return fmt.Errorf("read bytes %d-%d: %w", at, at+int64(len(p)), noEOF(err))
	}
	return nil
}

// position is a place in a row of metadata blocks.
type position struct {
	at     int64 // where the block starts on disk
	offset int   // in the unpacked block
}

// cursor reads what lies in a row of metadata blocks.
type cursor struct {
	fs     *FS
	end    int64 // of the table on disk
	block  *block
	offset int
	buf    [40]byte // for the largest fixed structure
}

// cursor returns a cursor into a table.
func (fs *FS) cursor(table span.Span, p position) (*cursor, error) {
	b, err := fs.metadata(p.at, table.End())
	if err != nil {
		return nil, err
	}
	if p.offset > len(b.data) {
		return nil, corrupt("offset %d in a metadata block of %d bytes at %d", p.offset, len(b.data), p.at)
	}
	return &cursor{fs: fs, end: table.End(), block: b, offset: p.offset}, nil
}

// at returns the position that ref points to in a table.
func (fs *FS) at(table span.Span, ref Ref) (position, error) {
	if ref.block() >= uint64(table.Length) {
		return position{}, corrupt("reference %s points outside a table of %d bytes", ref, table.Length)
	}
	if ref.offset() >= metadataSize {
		return position{}, corrupt("reference %s points outside a metadata block", ref)
	}
	return position{table.Offset + int64(ref.block()), ref.offset()}, nil
}

// cursorAt returns a cursor at what ref points to in a table.
func (fs *FS) cursorAt(table span.Span, ref Ref) (*cursor, error) {
	p, err := fs.at(table, ref)
	if err != nil {
		return nil, err
	}
	return fs.cursor(table, p)
}

// position returns where the cursor stands. At the end of a block that is the
// start of the next one.
func (c *cursor) position() position {
	if c.offset == len(c.block.data) {
		return position{c.block.next, 0}
	}
	return position{c.block.at, c.offset}
}

// atEnd reports whether nothing is left in the table.
func (c *cursor) atEnd() bool { return c.position() == position{c.end, 0} }

// chunk returns the bytes up to the end of the block, at least one.
func (c *cursor) chunk() ([]byte, error) {
	for c.offset == len(c.block.data) {
		b, err := c.fs.metadata(c.block.next, c.end)
		if err != nil {
			return nil, err
		}
		c.block, c.offset = b, 0
	}
	return c.block.data[c.offset:], nil
}

// read fills p.
func (c *cursor) read(p []byte) error {
	for len(p) > 0 {
		b, err := c.chunk()
		if err != nil {
			return err
		}
		n := copy(p, b)
		c.offset += n
		p = p[n:]
	}
	return nil
}

// skip passes over n bytes.
func (c *cursor) skip(n int64) error {
	for n > 0 {
		b, err := c.chunk()
		if err != nil {
			return err
		}
		step := min(n, int64(len(b)))
		c.offset += int(step)
		n -= step
	}
	return nil
}

// decode reads a structure of fixed size.
func (c *cursor) decode(v any) error {
	p := c.buf[:binary.Size(v)]
	if err := c.read(p); err != nil {
		return err
	}
	_, err := binary.Decode(p, binary.LittleEndian, v)
	return err
}

// text reads n bytes, which the caller must have limited.
func (c *cursor) text(n int) (string, error) {
	if b := c.block.data[c.offset:]; len(b) >= n {
		c.offset += n
		return string(b[:n]), nil
	}
	p := make([]byte, n)
	err := c.read(p)
	return string(p), err
}
