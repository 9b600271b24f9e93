package erofs

import (
	"fmt"

	"sextant/internal/span"
)

// indexes is the finder of a file with an index for each lcluster, as long as
// a block in what mkfs.erofs writes. In each at most one pcluster starts.
type indexes struct {
	c       *compressed
	header  MapHeader
	bits    uint8 // log2 of the size of an lcluster
	count   int64 // of lclusters
	packs   packs // of compact indexes
	window  window
	tailEnd int64 // where the inline pcluster is
}

// lcluster is what an index says.
type lcluster struct {
	kind    LclusterType
	offset  int64 // of a head: where the decoded data starts
	block   int64 // of a head: where the pcluster starts
	partial bool  // of a head
	back    int64 // of others: distance to the head, or a bit of it
	blocks  int64 // of the one behind a head: the pcluster's size, or 0
}

func (l lcluster) head() bool { return l.kind != NonheadLcluster }

func (c *compressed) openIndexes(header MapHeader) error {
	x := &indexes{c: c, header: header, bits: c.f.super.BlockBits + header.Cluster&15}
	x.count = (c.size-1)>>x.bits + 1
	x.window.meta = c.inode.meta
	c.find = x
	const big = AdviseBigPcluster1 | AdviseBigPcluster2
	at := c.table.End()
	if c.inode.Format.Layout() == CompressedFull {
		at += fullIndexGap
		if x.count > c.inode.meta.size/fullIndexSize {
			return corrupt("%d indexes are more than there is room for", x.count)
		}
		x.tailEnd = at + x.count*fullIndexSize
	} else {
		if x.bits > 14 {
			return unsupported("compact indexes for lclusters of 1<<%d bytes", x.bits)
		}
		if header.Advise&big != 0 && header.Advise&big != big {
			return corrupt("only one of the heads has big pclusters")
		}
		if x.count > c.inode.meta.size {
			return corrupt("%d indexes are more than there is room for", x.count)
		}
		x.packs = newPacks(at, x.count, header.Advise&AdviseCompacted2B != 0)
		x.tailEnd = x.packs.end()
	}
	c.table = span.Between(c.table.Offset, x.tailEnd)
	return nil
}

// load reads the index of an lcluster.
func (x *indexes) load(n int64) (l lcluster, err error) {
	if x.c.inode.Format.Layout() == CompressedFull {
		l, err = x.loadFull(n)
	} else {
		l, err = x.loadCompact(n)
	}
	if err == nil && l.head() && l.offset >= 1<<x.bits {
		err = corrupt("it starts at %d of %d bytes", l.offset, 1<<x.bits)
	}
	if err == nil && l.blocks != 0 && x.header.Advise&(AdviseBigPcluster1|AdviseBigPcluster2) == 0 {
		err = corrupt("there are no big pclusters")
	}
	if err != nil {
		return l, fmt.Errorf("index %d: %w", n, err)
	}
	return l, nil
}

func (x *indexes) loadFull(n int64) (l lcluster, err error) {
	p, err := x.window.bytes(span.Span{Offset: x.tailEnd - (x.count-n)*fullIndexSize, Length: fullIndexSize})
	if err != nil {
		return l, err
	}
	var index LclusterIndex
	take(p, &index)
	l.kind = LclusterType(index.Advise & indexTypeMask)
	if l.head() {
		l.offset = int64(index.Offset)
		l.block = int64(index.Union)
		l.partial = index.Advise&indexPartial != 0
		return l, nil
	}
	l.back = int64(index.Union & 0xffff)
	if l.back&indexBlockCount != 0 {
		l.blocks, l.back = l.back&^indexBlockCount, 1
	}
	return l, nil
}

// pcluster implements finder. Heads are found by going from index to index, no
// matter what distances are there, which takes no longer than decoding; but the
// distances that Linux goes by must not lead to another head.
func (x *indexes) pcluster(off int64) (p pcluster, err error) {
	n, head, err := x.headOf(off)
	if err != nil {
		return p, err
	}
	end, blocks, err := x.extentOf(n, head)
	if err != nil {
		return p, err
	}
	p.Span = span.Between(n<<x.bits+head.offset, min(end, x.c.size))
	p.partial = head.partial
	p.algorithm = x.algorithm(head.kind)
	last := p.End() == x.c.size
	switch {
	case last && x.header.Advise&AdviseFragmentPcluster != 0:
		at := int64(x.header.Low)
		if x.c.inode.Format.Layout() == CompressedFull {
			at |= head.block << 32
		}
		return x.c.fragmentAt(p.Span, at)
	case last && x.header.Advise&AdviseInlinePcluster != 0 && x.header.Low>>16 != 0:
		return x.inline(p)
	}
	if blocks == 0 {
		return p, corrupt("pcluster for %s has no blocks", p.Span)
	}
	p.stored = span.Span{Offset: head.block << x.c.f.super.BlockBits, Length: blocks << x.c.f.super.BlockBits}
	return p, nil
}

// inline makes p the pcluster that is behind the indexes.
func (x *indexes) inline(p pcluster) (pcluster, error) {
	p.inline = true
	p.stored = span.Span{Offset: x.tailEnd, Length: int64(x.header.Low >> 16)}
	if p.stored.Offset%x.c.f.blockSize()+p.stored.Length > x.c.f.blockSize() {
		return p, corrupt("inline pcluster at %s is in two blocks", p.stored)
	}
	return p, nil
}

func (x *indexes) algorithm(kind LclusterType) Algorithm {
	switch kind {
	case Head1Lcluster:
		return x.header.Algorithms.Of(0)
	case Head2Lcluster:
		return x.header.Algorithms.Of(1)
	}
	if x.header.Advise&AdviseInterlacedPcluster != 0 {
		return interlaced
	}
	return shifted
}

// steps is how many lclusters a pcluster can go over.
func (x *indexes) steps() int64 { return maxDecoded>>x.bits + 2 }

// headOf returns the lcluster in which the pcluster with the byte off starts.
func (x *indexes) headOf(off int64) (n int64, l lcluster, err error) {
	first := off >> x.bits
	for n = first; n >= 0 && first-n <= x.steps(); n-- {
		if l, err = x.load(n); err != nil {
			return n, l, err
		}
		if l.head() && n<<x.bits+l.offset <= off {
			return n, l, nil
		}
	}
	if n < 0 {
		return n, l, corrupt("no pcluster starts before index %d", first)
	}
	return n, l, unsupported("a pcluster over %d lclusters", x.steps())
}

// extentOf returns where in the file the next pcluster starts and how many
// blocks the one of lcluster n has.
func (x *indexes) extentOf(n int64, head lcluster) (end, blocks int64, err error) {
	blocks = 1
	for k := n + 1; k < x.count; k++ {
		if k-n > x.steps() {
			return 0, 0, unsupported("a pcluster over %d lclusters", x.steps())
		}
		l, err := x.load(k)
		if err != nil {
			return 0, 0, err
		}
		if l.head() {
			return k<<x.bits + l.offset, blocks, nil
		}
		if l.back < 1 || l.back > k-n {
			return 0, 0, corrupt("index %d has its head %d before, and not %d", k, l.back, k-n)
		}
		if k == n+1 && x.header.Advise&bigAdvise(head.kind) != 0 {
			blocks = l.blocks
		}
	}
	return x.c.size, blocks, nil
}

// bigAdvise is the flag for pclusters of more than a block.
func bigAdvise(kind LclusterType) MapAdvise {
	if kind == Head1Lcluster {
		return AdviseBigPcluster1
	}
	return AdviseBigPcluster2
}

// window reads pieces of an area, most of which follow each other.
type window struct {
	meta area
	span span.Span
	buf  [1024]byte
}

// bytes returns the bytes of s, which is not larger than a block, until it is
// called again.
func (w *window) bytes(s span.Span) ([]byte, error) {
	if s.Offset < w.span.Offset || s.Offset+s.Length > w.span.End() {
		if err := s.Within(w.meta.size); err != nil {
			return nil, corrupt("%w", err)
		}
		w.span = span.Span{}
		start := s.Offset &^ (int64(len(w.buf)) - 1)
		if s.End() > start+int64(len(w.buf)) {
			start = s.Offset
		}
		next := span.Span{Offset: start, Length: min(int64(len(w.buf)), w.meta.size-start)}
		if err := w.meta.reader.readAt(w.buf[:next.Length], next.Offset); err != nil {
			return nil, err
		}
		w.span = next
	}
	return w.buf[s.Offset-w.span.Offset:][:s.Length], nil
}
