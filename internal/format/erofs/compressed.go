package erofs

import (
	"encoding/binary"
	"fmt"
	"sync"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// compressed is the content of an inode whose data is in pclusters: runs of
// bytes of the image, each of which is decoded as a whole.
type compressed struct {
	f     *FS
	inode *Inode
	size  int64
	table span.Span // map header and what follows it, in the inode's area
	form  string    // what that is, in words

	mu   sync.Mutex // for all below
	find finder
	last pcluster
}

// finder finds the pcluster that has a byte of the file.
type finder interface {
	pcluster(off int64) (pcluster, error)
}

// pcluster is where some bytes of a file come from. If none of packed, inline
// and stored is set, they are zeros.
type pcluster struct {
	span.Span           // in the file
	packed    int64     // with fragment: offset in the packed inode
	stored    span.Span // the encoded bytes, in the image
	algorithm Algorithm
	fragment  bool
	inline    bool // stored is in the inode's area
	partial   bool // more can be decoded from the same bytes
}

// hole reports whether the bytes are zeros that are nowhere.
func (p *pcluster) hole() bool { return !p.fragment && p.stored.Length == 0 }

func newCompressed(i *Inode) (*compressed, error) {
	c := &compressed{f: i.fs, inode: i, size: i.Size}
	c.table.Offset = span.AlignUp(i.at+i.headSize(), mapHeaderSize)
	c.table.Length = mapHeaderSize
	if c.size == 0 {
		c.table.Length = 0
		c.find = nothing{}
		return c, nil
	}
	p, err := i.meta.bytes(c.table)
	if err != nil {
		return nil, fmt.Errorf("map header: %w", err)
	}
	var header MapHeader
	take(p, &header)
	switch {
	case header.Cluster&clusterFragment != 0:
		c.form = "place in the packed inode"
		err = c.openFragment(int64(binary.LittleEndian.Uint64(p) &^ (1 << 63)))
	case i.Format.Layout() == CompressedFull && header.Advise&AdviseExtents != 0:
		c.form = "extents"
		err = c.openExtents(header)
	default:
		c.form = "indexes"
		err = c.openIndexes(header)
	}
	if err != nil {
		return nil, err
	}
	if err := c.table.Within(i.meta.size); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", fault.ErrCorrupt, c.form, err)
	}
	return c, nil
}

// nothing is the finder of an empty file.
type nothing struct{}

func (nothing) pcluster(int64) (pcluster, error) { panic("internal error: no byte to find") }

// fragment is the finder of a file that is in the packed inode as a whole.
type fragment struct {
	c  *compressed
	at int64
}

func (c *compressed) openFragment(at int64) error {
	c.find = fragment{c, at}
	_, err := c.lookup(0)
	return err
}

func (x fragment) pcluster(int64) (pcluster, error) {
	return x.c.fragmentAt(span.Span{Length: x.c.size}, x.at)
}

// fragmentAt returns the pcluster for the bytes s of the file, which are at an
// offset of the packed inode.
func (c *compressed) fragmentAt(s span.Span, at int64) (pcluster, error) {
	packed := c.f.packed
	if packed == nil || packed.Inode.NID == c.inode.NID {
		return pcluster{}, corrupt("it has a fragment in the packed inode, which there is none of")
	}
	if err := (span.Span{Offset: at, Length: s.Length}).Within(packed.Size); err != nil {
		return pcluster{}, fmt.Errorf("%w: fragment: %w", fault.ErrCorrupt, err)
	}
	return pcluster{Span: s, fragment: true, packed: at}, nil
}

// lookup finds the pcluster with the file's byte off and checks it.
func (c *compressed) lookup(off int64) (pcluster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if off >= c.last.Offset && off < c.last.End() {
		return c.last, nil
	}
	p, err := c.find.pcluster(off)
	if err != nil {
		return p, err
	}
	if err := c.check(p); err != nil {
		return p, fmt.Errorf("pcluster for %s: %w", p.Span, err)
	}
	c.last = p
	return p, nil
}

func (c *compressed) check(p pcluster) error {
	if p.hole() || p.fragment {
		return nil
	}
	size := c.f.size
	if p.inline {
		size = c.inode.meta.size
	}
	if err := p.stored.Within(size); err != nil {
		return fmt.Errorf("%w: %w", fault.ErrCorrupt, err)
	}
	switch {
	case p.stored.Length > maxPcluster:
		return unsupported("%d bytes", p.stored.Length)
	case p.algorithm <= Zstd && c.f.usable&(1<<p.algorithm) == 0:
		return corrupt("it is of %s, which the superblock does not name", p.algorithm)
	case p.algorithm > Zstd && p.algorithm != shifted && p.algorithm != interlaced:
		return unsupported("%s", p.algorithm)
	case p.inline && p.algorithm == interlaced && c.firstBlock(p) != p.stored.Length:
		// mkfs.erofs with ztailpacking and fragments stores the end of the
		// packed inode from its start on, up to 1.9 at least. Linux and
		// fsck.erofs do not read it so, and give bytes of something else.
		return corrupt("its %d bytes are inline, and interlaced", p.stored.Length)
	case p.algorithm > Zstd && p.Length > p.stored.Length:
		return corrupt("it is not compressed, but has only %d bytes", p.stored.Length)
	case p.Length > maxDecoded:
		return unsupported("%d bytes decoded", p.Length)
	}
	return nil
}

// each calls visit for the pclusters that have bytes of s, in their order.
func (c *compressed) each(s span.Span, visit func(p pcluster) error) error {
	for off := s.Offset; off < s.End(); {
		p, err := c.lookup(off)
		if err != nil {
			return err
		}
		if off != p.Offset && off != s.Offset {
			return corrupt("pcluster for %s overlaps the one before", p.Span)
		}
		if err := visit(p); err != nil {
			return fmt.Errorf("pcluster for %s: %w", p.Span, err)
		}
		off = p.End()
	}
	return nil
}

func (c *compressed) readAt(dst []byte, off int64) error {
	return c.each(span.Span{Offset: off, Length: int64(len(dst))}, func(p pcluster) error {
		start := max(p.Offset, off)
		part := dst[start-off : min(p.End()-off, int64(len(dst)))]
		return c.read(part, p, start-p.Offset)
	})
}

// read fills dst from the decoded bytes of p, from their offset off on.
func (c *compressed) read(dst []byte, p pcluster, off int64) error {
	switch {
	case p.hole():
		clear(dst)
		return nil
	case p.fragment:
		return c.f.packed.content.readAt(dst, p.packed+off)
	case p.algorithm == shifted:
		return c.source(p).readAt(dst, p.stored.Offset+off)
	case p.algorithm == interlaced:
		return c.readInterlaced(dst, p, off)
	case int64(len(dst)) == p.Length:
		return c.f.unpack(dst, c.source(p), p)
	}
	return c.f.readUnpacked(dst, c.source(p), p, off)
}

// source returns what p.stored is a part of.
func (c *compressed) source(p pcluster) source {
	if p.inline {
		return c.inode.meta.reader
	}
	return c.f
}

// source is what encoded bytes are read from.
type source interface {
	readAt(p []byte, off int64) error
}

// readInterlaced is read for bytes that are not compressed and lie where they
// would in a block of the file. What comes before the first block boundary is
// at the end, the rest at the start.
func (c *compressed) readInterlaced(dst []byte, p pcluster, off int64) error {
	first := c.firstBlock(p)
	if first > p.stored.Length {
		return corrupt("%d bytes are less than a block", p.stored.Length)
	}
	if off < first {
		n := min(int64(len(dst)), first-off)
		if err := c.source(p).readAt(dst[:n], p.stored.End()-first+off); err != nil {
			return err
		}
		dst, off = dst[n:], off+n
	}
	if len(dst) == 0 {
		return nil
	}
	return c.source(p).readAt(dst, p.stored.Offset+off-first)
}

// firstBlock returns how far it is from the start of p to the next block of
// the file.
func (c *compressed) firstBlock(p pcluster) int64 {
	return c.f.blockSize() - p.Offset%c.f.blockSize()
}

func (c *compressed) extents() (list []span.Span, err error) {
	if _, ok := c.find.(*extents); !ok {
		return span.Whole(c.size), nil // only extents can be holes
	}
	err = c.each(span.Span{Length: c.size}, func(p pcluster) error {
		if !p.hole() {
			list = span.Append(list, p.Span)
		}
		return nil
	})
	return list, err
}

func (c *compressed) place() (list []span.Span, err error) {
	err = c.each(span.Span{Length: c.size}, func(p pcluster) error {
		if p.stored.Length > 0 && !p.inline {
			list = span.Append(list, p.stored)
		}
		return nil
	})
	return list, err
}

// inlined returns where the encoded bytes are if they are behind the indexes.
func (p *pcluster) inlined() span.Span {
	if p.inline {
		return p.stored
	}
	return span.Span{}
}
