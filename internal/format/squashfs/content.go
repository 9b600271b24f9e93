package squashfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// content is the content of a file. It implements tree.Content.
type content struct {
	fs   *FS
	node *inode
}

// Size returns the number of bytes, holes included.
func (c content) Size() int64 { return int64(c.node.size) }

// Extents returns the blocks that are not holes. Where the sizes of the blocks
// cannot be read it returns the whole content, so that reading tells why.
func (c content) Extents() []span.Span {
	var list []span.Span
	m := newBlocks(c.fs, c.node)
	for i := range m.count {
		b, err := m.block(i)
		if err != nil {
			return span.Whole(c.Size())
		}
		if b.size != 0 {
			list = span.Append(list, m.span(i))
		}
	}
	if tail := m.span(m.count); tail.Length > 0 {
		list = span.Append(list, tail)
	}
	return list
}

// Open returns a reader of the content.
func (c content) Open() (tree.Reader, error) {
	return &reader{fs: c.fs, node: c.node, blocks: newBlocks(c.fs, c.node)}, nil
}

// stored is a block as it lies on disk. A size of 0 is a hole.
type stored struct {
	at   int64
	size uint32 // with storedBlock
}

func (s stored) length() int64 { return int64(s.size &^ storedBlock) }

// blocks finds the blocks of a file. The sizes of all blocks before it must be
// known to find one on disk, so it keeps a mark for each markEvery of them and
// the sizes behind one mark.
type blocks struct {
	fs    *FS
	node  *inode
	count int64

	mu    sync.Mutex
	marks []mark
	first int64 // number of the first block in run
	run   []stored
}

// markEvery blocks have 4 KiB of sizes.
const markEvery = 1024

// mark says where the sizes and the data of the blocks from a multiple of
// markEvery on are.
type mark struct {
	sizes position
	data  int64
}

func newBlocks(fs *FS, n *inode) *blocks {
	return &blocks{
		fs: fs, node: n, count: fs.blockCount(n),
		marks: []mark{{n.tail, int64(min(n.start, 1<<62))}},
	}
}

// span returns the bytes of the content that block i holds; block count is
// what lies in the fragment.
func (b *blocks) span(i int64) span.Span {
	size := int64(b.fs.super.BlockSize)
	return span.Span{Offset: i * size, Length: min(size, int64(b.node.size)-i*size)}
}

// block returns block i, below count.
func (b *blocks) block(i int64) (stored, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.run == nil || i < b.first || i >= b.first+int64(len(b.run)) {
		if err := b.load(i / markEvery); err != nil {
			return stored{}, fmt.Errorf("block %d: %w", i, err)
		}
	}
	return b.run[i-b.first], nil
}

// load reads the sizes behind mark k, and those before it that were not read
// yet.
func (b *blocks) load(k int64) error {
	for j := min(k, int64(len(b.marks))-1); j <= k; j++ {
		if err := b.read(j); err != nil {
			b.run = nil
			return err
		}
	}
	return nil
}

func (b *blocks) read(k int64) error {
	m := b.marks[k]
	c, err := b.fs.cursor(b.fs.inodes, m.sizes)
	if err != nil {
		return err
	}
	b.first, b.run = k*markEvery, b.run[:0]
	at := m.data
	for range min(markEvery, b.count-b.first) {
		var size [4]byte
		if err := c.read(size[:]); err != nil {
			return err
		}
		s := stored{at, binary.LittleEndian.Uint32(size[:])}
		if err := b.fs.checkStored(s); err != nil {
			return err
		}
		b.run = append(b.run, s)
		at += s.length()
	}
	if k+1 == int64(len(b.marks)) && b.first+markEvery < b.count {
		b.marks = append(b.marks, mark{c.position(), at})
	}
	return nil
}

// checkStored checks a size and that the block lies in the image.
func (fs *FS) checkStored(s stored) error {
	if s.size>>25 != 0 || s.length() > int64(fs.super.BlockSize) {
		return corrupt("stored in %d bytes, more than a block", s.size&^storedBlock)
	}
	if s.size == 0 {
		return nil
	}
	if s.at < superblockSize {
		return corrupt("stored in the superblock")
	}
	if err := (span.Span{Offset: s.at, Length: s.length()}).Within(fs.size); err != nil {
		return corrupt("%w", err)
	}
	return nil
}

// data unpacks a block that is no hole into dst, which must have room for a
// block. packed is room for the block as it is on disk.
func (fs *FS) data(dst, packed []byte, s stored) ([]byte, error) {
	if s.size&storedBlock != 0 {
		dst = dst[:s.length()]
		return dst, fs.readAt(dst, s.at)
	}
	packed = packed[:s.length()]
	if err := fs.readAt(packed, s.at); err != nil {
		return nil, err
	}
	out, err := fs.unpack(dst[:0], packed)
	if err == nil && len(out) > int(fs.super.BlockSize) {
		err = errTooLong
	}
	if err != nil {
		return nil, fs.super.Compression.badBlock(err)
	}
	return out, nil
}

// cached returns an unpacked block, out of the cache if it is there.
func (fs *FS) cached(s stored) ([]byte, error) {
	if b, ok := fs.dataCache.find(s.at); ok && b.next == s.at+s.length() {
		return b.data, nil
	}
	dst := make([]byte, 0, fs.super.BlockSize)
	data, err := fs.data(dst, make([]byte, s.length()), s)
	if err != nil {
		return nil, fmt.Errorf("block at %d: %w", s.at, err)
	}
	if len(data) < cap(data)/2 {
		data = slices.Clone(data)
	}
	fs.dataCache.add(&block{at: s.at, data: data, next: s.at + s.length()})
	return data, nil
}

// fragmentBlock returns where fragment block n lies on disk.
func (fs *FS) fragmentBlock(n uint32) (stored, error) {
	c, err := fs.seek(&fs.fragments, int64(n))
	if err != nil {
		return stored{}, err
	}
	return c.fragment(fs)
}

func (c *cursor) fragment(fs *FS) (stored, error) {
	var e fragmentEntry
	if err := c.decode(&e); err != nil {
		return stored{}, err
	}
	if e.Start > uint64(fs.size) {
		return stored{}, corrupt("fragment block at %d of %d bytes", e.Start, fs.size)
	}
	s := stored{int64(e.Start), e.Size}
	if s.length() == 0 {
		return s, corrupt("fragment block at %d is empty", s.at)
	}
	return s, fs.checkStored(s)
}

// fragmentTail returns the end of a file that lies in a fragment block.
func (fs *FS) fragmentTail(n *inode, size int64) ([]byte, error) {
	s, err := fs.fragmentBlock(n.fragment)
	if err != nil {
		return nil, fmt.Errorf("fragment %d: %w", n.fragment, err)
	}
	b, err := fs.cached(s)
	if err != nil {
		return nil, fmt.Errorf("fragment %d: %w", n.fragment, err)
	}
	part := span.Span{Offset: int64(n.offset), Length: size}
	if err := part.Within(int64(len(b))); err != nil {
		return nil, corrupt("fragment %d: %w", n.fragment, err)
	}
	return b[part.Offset:part.End()], nil
}

// reader reads a file's content. It implements tree.Reader.
type reader struct {
	fs     *FS
	node   *inode
	blocks *blocks
}

// Close does nothing, as the reader holds nothing.
func (r *reader) Close() error { return nil }

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d", off)
	}
	size := int64(r.node.size)
	for n < len(p) && off < size {
		i := off >> r.fs.super.BlockLog
		in := r.blocks.span(i)
		part := p[n:][:min(int64(len(p)-n), in.End()-off)]
		if err := r.fill(part, i, off-in.Offset); err != nil {
			return n, fmt.Errorf("inode %d: %w", r.node.number, err)
		}
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// fill copies what lies in block i from an offset on.
func (r *reader) fill(p []byte, i, offset int64) error {
	want := r.blocks.span(i).Length
	if i == r.blocks.count {
		b, err := r.fs.fragmentTail(r.node, want)
		if err == nil {
			copy(p, b[offset:])
		}
		return err
	}
	s, err := r.blocks.block(i)
	if err != nil {
		return err
	}
	if s.size == 0 {
		clear(p)
		return nil
	}
	b, err := r.fs.cached(s)
	if err != nil {
		return err
	}
	if int64(len(b)) != want {
		return corrupt("block %d at %d unpacks to %d bytes, not %d", i, s.at, len(b), want)
	}
	copy(p, b[offset:])
	return nil
}
