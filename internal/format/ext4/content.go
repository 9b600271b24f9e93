package ext4

import (
	"fmt"
	"io"
	"math"
	"sync/atomic"

	"sextant/internal/pages"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// content is a file's bytes where they lie in blocks. It is a tree.Content and
// a tree.Reader at the same time, without state but for the run that was used
// last.
type content struct {
	fs   *FS
	node *node
	last atomic.Pointer[Run]
}

// content returns the bytes of a file, or of a symbolic link.
func (f *FS) content(n *node) (interface {
	tree.Content
	tree.Reader
}, error) {
	switch {
	case n.has(FlagEncrypt):
		return nil, unsupported("encrypted content")
	case n.has(FlagInlineData):
		b, err := f.inlineContent(n)
		return inline{b, f.size(n)}, err
	}
	return &content{fs: f, node: n}, nil
}

// inline is a content that lies in the inode. What is missing up to size reads as
// zeros, as in the kernel: mke2fs makes such files of holes.
type inline struct {
	data []byte
	size int64
}

func (i inline) Size() int64                { return i.size }
func (i inline) Open() (tree.Reader, error) { return i, nil }
func (i inline) Close() error               { return nil }

func (i inline) Extents() []span.Span { return span.Whole(int64(len(i.data))) }

func (i inline) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d", off)
	}
	if off >= i.size {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > i.size-off {
		p, eof = p[:i.size-off], io.EOF
	}
	done := 0
	if off < int64(len(i.data)) {
		done = copy(p, i.data[off:])
	}
	clear(p[done:])
	return len(p), eof
}

// Size returns the length in bytes, holes included.
func (c *content) Size() int64 { return c.fs.size(c.node) }

// Close does nothing.
func (c *content) Close() error { return nil }

// Open returns a reader of the whole content.
func (c *content) Open() (tree.Reader, error) {
	return &content{fs: c.fs, node: c.node}, nil
}

// Extents returns the ranges that were written. It says nothing of a broken
// map: all from there on counts as one range, so that reading meets the error.
func (c *content) Extents() []span.Span {
	size, block, blocks := c.Size(), c.fs.geo.BlockSize, c.fs.sizeBlocks(c.node)
	var list []span.Span
	for r, err := range c.fs.runs(c.node, 0) {
		if err != nil {
			var end int64
			if n := len(list); n > 0 {
				end = list[n-1].End()
			}
			return span.Append(list, span.Between(min(end, size), size))
		}
		if r.Unwritten || r.Logical >= blocks {
			continue
		}
		end := int64(min(r.Logical+r.Length, blocks)) * block
		list = span.Append(list, span.Between(int64(r.Logical)*block, min(end, size)))
	}
	return list
}

// ReadAt reads from the offset off on; holes read as zeros.
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d", off)
	}
	size := c.Size()
	if off >= size {
		return 0, io.EOF
	}
	var eof error
	if int64(len(p)) > size-off {
		p, eof = p[:size-off], io.EOF
	}
	done := 0
	for done < len(p) {
		n, err := c.readRun(p[done:], off+int64(done))
		done += n
		if err != nil {
			return done, fmt.Errorf("inode %d: %w", c.node.number, err)
		}
	}
	return done, eof
}

// readRun reads up to the end of the run or hole at off.
func (c *content) readRun(p []byte, off int64) (int, error) {
	block := uint64(c.fs.geo.BlockSize)
	run, err := c.find(uint64(off) / block)
	if err != nil {
		return 0, err
	}
	inside := uint64(off) - run.Logical*block
	if left := run.Length*block - inside; uint64(len(p)) > left {
		p = p[:left]
	}
	if run.Unwritten {
		clear(p)
		return len(p), nil
	}
	if _, err := pages.ReadFull(c.fs.image, p, int64(run.Physical*block+inside)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// find returns the run that holds a logical block, or the hole as a run that
// was not written.
func (c *content) find(logical uint64) (Run, error) {
	if r := c.last.Load(); r != nil && logical >= r.Logical && logical-r.Logical < r.Length {
		return *r, nil
	}
	// No file has more bytes than an int64 counts, nor has the hole behind
	// its last run.
	found := Run{Logical: logical, Length: math.MaxInt64/uint64(c.fs.geo.BlockSize) - logical + 1, Unwritten: true}
	for r, err := range c.fs.runs(c.node, logical) {
		if err != nil {
			return Run{}, err
		}
		if r.Logical > logical {
			found.Length = r.Logical - logical
		} else {
			found = r
		}
		break
	}
	c.last.Store(&found)
	return found, nil
}

// inlineContent returns the content that lies in place of the block pointers
// and goes on in the xattr system.data, at most as much as the size says.
func (f *FS) inlineContent(n *node) ([]byte, error) {
	size := f.size(n)
	b := n.disk.Block[:]
	if size > blockAreaSize {
		more, _, err := f.inlineRest(n)
		if err != nil {
			return nil, err
		}
		b = append(b[:blockAreaSize:blockAreaSize], more...)
	}
	return b[:min(size, int64(len(b)))], nil
}

// inlineRest returns the value of the xattr system.data in the inode, and
// whether there is one.
func (f *FS) inlineRest(n *node) (value []byte, ok bool, err error) {
	body, err := f.xattrBody(n)
	if err != nil {
		return nil, false, err
	}
	for x, err := range body.entries() {
		if err != nil {
			return nil, false, err
		}
		if x.NameIndex == XattrSystem && x.name == "data" && x.ValueInode == 0 {
			return x.value, true, nil
		}
	}
	return nil, false, nil
}
