package squashfs

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

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
	raw, err := fs.raw(at, min(metadataHeader+metadataSize, end-at))
	if err != nil {
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
		b.text = string(packed)
		return b, nil
	}
	room, ok := fs.rooms.Get().(*[metadataSize]byte)
	if !ok {
		room = new([metadataSize]byte)
	}
	defer fs.rooms.Put(room)
	data, err := fs.unpack(room[:0], packed)
	if err != nil {
		return nil, fs.super.Compression.badBlock(err)
	}
	if len(data) > metadataSize {
		return nil, corrupt("%w", errTooLong)
	}
	b.text = string(data)
	return b, nil
}

// readAhead unpacks the blocks of the inode table in a goroutine of its own,
// for a walk that needs most of them. It must be stopped before the caller's
// caller can close the image.
func (fs *FS) readAhead() (stop func()) {
	var halt atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		unpacked := 0
		for at := fs.inodes.Offset; at < fs.inodes.End() && unpacked < metaCacheSize/2 && !halt.Load(); {
			b, err := fs.metadata(at, fs.inodes.End())
			if err != nil {
				return // whoever needs the block finds out
			}
			unpacked += len(b.text)
			at = b.next
		}
	}()
	return func() {
		halt.Store(true)
		<-done
	}
}

// rawSize is how much of the image is read for one metadata block, as others
// near it are likely to follow.
const rawSize = 32 << 10

// raw returns n bytes of the image, at most rawSize, which must not be changed.
func (fs *FS) raw(at, n int64) ([]byte, error) {
	start := at / rawSize * rawSize
	first, err := fs.rawBlock(start)
	if err != nil {
		return nil, err
	}
	if at+n <= start+rawSize {
		return first[at-start:][:n], nil
	}
	second, err := fs.rawBlock(start + rawSize)
	if err != nil {
		return nil, err
	}
	return slices.Concat(first[at-start:], second[:at+n-start-rawSize]), nil
}

func (fs *FS) rawBlock(start int64) ([]byte, error) {
	if b, ok := fs.rawCache.find(start); ok {
		return b.data, nil
	}
	p := make([]byte, min(rawSize, fs.size-start))
	if err := fs.readAt(p, start); err != nil {
		return nil, err
	}
	fs.rawCache.add(&block{at: start, data: p})
	return p, nil
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
	if p.offset > len(b.text) {
		return nil, corrupt("offset %d in a metadata block of %d bytes at %d", p.offset, len(b.text), p.at)
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
	if c.offset == len(c.block.text) {
		return position{c.block.next, 0}
	}
	return position{c.block.at, c.offset}
}

// atEnd reports whether nothing is left in the table.
func (c *cursor) atEnd() bool { return c.position() == position{c.end, 0} }

// chunk returns the bytes up to the end of the block, at least one.
func (c *cursor) chunk() (string, error) {
	for c.offset == len(c.block.text) {
		b, err := c.fs.metadata(c.block.next, c.end)
		if err != nil {
			return "", err
		}
		c.block, c.offset = b, 0
	}
	return c.block.text[c.offset:], nil
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

// text reads n bytes, which the caller must have limited. What lies in one
// block is not copied.
func (c *cursor) text(n int) (string, error) {
	if s := c.block.text[c.offset:]; len(s) >= n {
		c.offset += n
		return s[:n], nil
	}
	p := make([]byte, n)
	err := c.read(p)
	return string(p), err
}
