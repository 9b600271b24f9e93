package erofs

import (
	"encoding/binary"
	"fmt"
	"io"

	"sextant/internal/fault"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// content is the data of an inode, in one of the layouts.
type content interface {
	// readAt fills p, which lies inside the file, from offset off.
	readAt(p []byte, off int64) error

	// extents returns the ranges that hold data.
	extents() ([]span.Span, error)

	// place returns where in the image the data blocks are.
	place() ([]span.Span, error)
}

// content returns the data of i, after checking that it lies inside the image.
func (i *Inode) content() (content, error) {
	if !i.Mode.IsRegular() && !i.Mode.IsDir() && i.Mode.Type() != tree.TypeSymlink {
		return nil, fmt.Errorf("a %s has no content", i.Mode.Kind())
	}
	switch i.Format.Layout() {
	case FlatPlain, FlatInline:
		return newFlat(i)
	case ChunkBased:
		return newChunked(i)
	}
	return newCompressed(i) // Inode has checked that there are no more
}

// flat is the content of an inode whose blocks are one run, except for what
// is behind the inode.
type flat struct {
	f      *FS
	blocks span.Span // in the image
	meta   area
	tail   span.Span // in meta, behind the inode
	hole   bool      // blocks are zeros that are not in the image
}

func newFlat(i *Inode) (*flat, error) {
	c := &flat{f: i.fs, meta: i.meta, blocks: span.Span{Length: i.Size}}
	if i.Format.Layout() == FlatInline && i.Size > 0 {
		c.blocks.Length = (i.Size - 1) &^ (c.f.blockSize() - 1)
		c.tail = span.Span{Offset: i.at + i.headSize(), Length: i.Size - c.blocks.Length}
		if err := c.tail.Within(c.meta.size); err != nil {
			return nil, fmt.Errorf("%w: inline data: %w", fault.ErrCorrupt, err)
		}
		if c.tail.Offset%c.f.blockSize()+c.tail.Length > c.f.blockSize() {
			return nil, corrupt("inline data at %s is in two blocks", c.tail)
		}
	}
	if c.hole = i.startBlock == nullAddress; c.hole || c.blocks.Length == 0 {
		if c.hole && c.blocks.Length > 0 && i.Format.Layout() == FlatInline {
			return nil, corrupt("no start block")
		}
		return c, nil
	}
	if i.startBlock > c.f.size>>c.f.super.BlockBits {
		return nil, corrupt("data starts at block %d, beyond the image", i.startBlock)
	}
	c.blocks.Offset = i.startBlock << c.f.super.BlockBits
	if err := c.blocks.Within(c.f.size); err != nil {
		return nil, fmt.Errorf("%w: data: %w", fault.ErrCorrupt, err)
	}
	return c, nil
}

func (c *flat) readAt(p []byte, off int64) error {
	if off < c.blocks.Length {
		n := min(int64(len(p)), c.blocks.Length-off)
		if c.hole {
			clear(p[:n])
		} else if err := c.f.readAt(p[:n], c.blocks.Offset+off); err != nil {
			return err
		}
		p, off = p[n:], off+n
	}
	if len(p) == 0 {
		return nil
	}
	return c.meta.reader.readAt(p, c.tail.Offset+off-c.blocks.Length)
}

func (c *flat) extents() ([]span.Span, error) {
	whole := span.Span{Length: c.blocks.Length + c.tail.Length}
	if c.hole {
		whole = span.Span{Offset: c.blocks.Length, Length: c.tail.Length}
	}
	if whole.Length == 0 {
		return nil, nil
	}
	return []span.Span{whole}, nil
}

func (c *flat) place() ([]span.Span, error) {
	if c.hole || c.blocks.Length == 0 {
		return nil, nil
	}
	return []span.Span{c.blocks}, nil
}

// chunked is the content of an inode with a table of chunks, each of which is
// a run of blocks or a hole.
type chunked struct {
	f     *FS
	meta  area
	size  int64
	bits  uint8     // log2 of the chunk size
	table span.Span // in meta
	entry int64     // size of an entry
	wide  bool      // block numbers have 48 bits
}

func newChunked(i *Inode) (*chunked, error) {
	if i.chunk&0xffff&^chunkKnown != 0 {
		return nil, unsupported("chunk format %#x", i.chunk&0xffff)
	}
	c := &chunked{f: i.fs, meta: i.meta, size: i.Size, entry: chunkEntrySize, wide: i.chunk&chunk48Bit != 0}
	if i.chunk&chunkIndexes != 0 {
		c.entry = chunkIndexSize
	}
	// 62 keeps shifts inside an int64; such a file has one chunk anyhow.
	c.bits = uint8(min(uint32(c.f.super.BlockBits)+i.chunk&chunkBitsMask, 62))
	c.table.Offset = span.AlignUp(i.at+i.headSize(), c.entry)
	if count := c.count(); count > c.meta.size/c.entry {
		return nil, corrupt("%d chunks are more than the image can list", count)
	}
	c.table.Length = c.count() * c.entry
	if err := c.table.Within(c.meta.size); err != nil {
		return nil, fmt.Errorf("%w: chunk table: %w", fault.ErrCorrupt, err)
	}
	return c, nil
}

func (c *chunked) count() int64 {
	if c.size == 0 {
		return 0
	}
	return (c.size-1)>>c.bits + 1
}

// each calls visit for every chunk that has bytes of s: with the range of the
// file, and where that is in the image. A hole is at nullAddress.
func (c *chunked) each(s span.Span, visit func(part span.Span, at int64) error) error {
	var room [4096]byte
	var batch []byte
	for s.Length > 0 {
		k := s.Offset >> c.bits
		if len(batch) == 0 {
			batch = room[:min(int64(len(room)), c.table.Length-k*c.entry)]
			if err := c.meta.reader.readAt(batch, c.table.Offset+k*c.entry); err != nil {
				return err
			}
		}
		block, err := c.block(batch)
		if err != nil {
			return err
		}
		batch = batch[c.entry:]
		part := span.Span{Offset: s.Offset, Length: min(s.Length, (k+1)<<c.bits-s.Offset)}
		at := int64(nullAddress)
		if block != nullAddress {
			at = block<<c.f.super.BlockBits + (s.Offset - k<<c.bits)
			if err := (span.Span{Offset: at, Length: part.Length}).Within(c.f.size); err != nil {
				return fmt.Errorf("%w: chunk %d: %w", fault.ErrCorrupt, k, err)
			}
		}
		if err := visit(part, at); err != nil {
			return err
		}
		s = span.Between(part.End(), s.End())
	}
	return nil
}

// block decodes the block number at the start of p.
func (c *chunked) block(p []byte) (int64, error) {
	if c.entry == chunkEntrySize {
		return nullable(int64(binary.LittleEndian.Uint32(p)), nullBlock), nil
	}
	var index ChunkIndex
	take(p[:chunkIndexSize], &index)
	block, null := int64(index.Block), int64(nullBlock)
	if c.wide {
		block |= int64(index.BlockHigh) << 32
		null = 1<<48 - 1
	}
	// Without further devices the mask of device numbers is 0 in the kernel.
	return nullable(block, null), nil
}

func nullable(block, null int64) int64 {
	if block == null {
		return nullAddress
	}
	return block
}

func (c *chunked) readAt(p []byte, off int64) error {
	return c.each(span.Span{Offset: off, Length: int64(len(p))}, func(part span.Span, at int64) error {
		dst := p[part.Offset-off:][:part.Length]
		if at == nullAddress {
			clear(dst)
			return nil
		}
		return c.f.readAt(dst, at)
	})
}

func (c *chunked) extents() (list []span.Span, err error) {
	err = c.each(span.Span{Length: c.size}, func(part span.Span, at int64) error {
		if at != nullAddress {
			list = span.Append(list, part)
		}
		return nil
	})
	return list, err
}

func (c *chunked) place() (list []span.Span, err error) {
	err = c.each(span.Span{Length: c.size}, func(part span.Span, at int64) error {
		if at != nullAddress {
			list = span.Append(list, span.Span{Offset: at, Length: part.Length})
		}
		return nil
	})
	return list, err
}

// reader reads a content as an io.ReaderAt with an end.
type reader struct {
	content
	nid  uint64
	size int64
}

// ReadAt implements io.ReaderAt.
func (r reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("negative offset %d", off)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), r.size-off)
	if err := r.readAt(p[:n], off); err != nil {
		return 0, fmt.Errorf("inode %d: %w", r.nid, err)
	}
	if n < int64(len(p)) {
		return int(n), io.EOF
	}
	return int(n), nil
}

// Close implements tree.Reader. The image stays open.
func (r reader) Close() error { return nil }

// Reader returns a reader of the content of a regular file, or of a link's
// target.
func (i *Inode) Reader() (tree.Reader, error) {
	if i.Mode.IsDir() {
		return nil, fmt.Errorf("a directory has no bytes to read")
	}
	c, err := i.content()
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", i.NID, err)
	}
	return reader{c, i.NID, i.Size}, nil
}

// bytes reads the bytes of s in the content.
func (i *Inode) bytes(s span.Span) ([]byte, error) {
	if err := s.Within(i.Size); err != nil {
		return nil, fmt.Errorf("%w: inode %d: %w", fault.ErrCorrupt, i.NID, err)
	}
	c, err := i.content()
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", i.NID, err)
	}
	p := make([]byte, s.Length)
	return p, c.readAt(p, s.Offset)
}

// Target returns the target of a symbolic link.
func (i *Inode) Target() (string, error) {
	if i.Mode.Type() != tree.TypeSymlink {
		return "", fmt.Errorf("a %s has no target", i.Mode.Kind())
	}
	p, err := i.bytes(span.Span{Length: i.Size}) // Inode has checked the size
	return string(p), err
}
