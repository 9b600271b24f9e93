package erofs

import (
	"encoding/binary"

	"sextant/internal/span"
)

// extents is the finder of a file with a record for each pcluster. Long records
// say where in the file theirs starts; for short ones all have the same length.
// The shortest say only how long the encoded data is, one behind the other.
type extents struct {
	c          *compressed
	at         int64 // of the first record
	count      int64
	record     int64 // size: 4, 8, 16 or 32
	bits       uint8 // with short records: log2 of what one stands for
	interlaced bool
	fragment   bool // the last one is a fragment
	window     window

	next, start int64 // with records of 4 bytes: where the data of a record starts
}

const (
	shortestExtent = 4
	shortExtent    = 8
)

func (c *compressed) openExtents(header MapHeader) error {
	x := &extents{
		c:          c,
		record:     header.Advise.recordSize(),
		interlaced: header.Advise&AdviseInterlacedPcluster != 0,
		fragment:   header.Advise&AdviseFragmentPcluster != 0,
	}
	x.window.meta = c.inode.meta
	c.find = x
	x.at = span.AlignUp(c.table.End(), x.record)
	if x.record <= shortExtent {
		x.bits = c.f.super.BlockBits + header.Cluster&15
		x.count = (c.size-1)>>x.bits + 1
	} else {
		x.count = int64(header.Low) | int64(header.Algorithms)<<32 | int64(header.Cluster)<<40
	}
	if x.count > c.inode.meta.size/x.record {
		return corrupt("%d extents are more than there is room for", x.count)
	}
	if x.record == shortestExtent {
		p, err := x.window.bytes(span.Span{Offset: x.at, Length: 8})
		if err != nil {
			return err
		}
		x.at += 8
		x.start = int64(binary.LittleEndian.Uint64(p))
		if x.start < 0 || x.start > c.f.size {
			return corrupt("the data starts at %d", uint64(x.start))
		}
	}
	c.table = span.Between(c.table.Offset, x.at+x.count*x.record)
	return nil
}

// load reads record k.
func (x *extents) load(k int64) (e Extent, err error) {
	p, err := x.window.bytes(span.Span{Offset: x.at + k*x.record, Length: x.record})
	if err != nil {
		return e, err
	}
	var whole [extentSize]byte
	copy(whole[:], p)
	take(whole[:], &e)
	return e, nil
}

func (e Extent) offset() int64 { return int64(e.FileLow) | int64(e.FileHigh)<<32 }
func (e Extent) start() int64  { return int64(e.StartLow) | int64(e.StartHigh)<<32 }
func (e Extent) length() int64 { return int64(e.Length & extentLengthMask) }

// pcluster implements finder.
func (x *extents) pcluster(off int64) (p pcluster, err error) {
	k, e, s, err := x.search(off)
	if err != nil {
		return p, err
	}
	p.Span = s
	if k < 0 {
		return p, nil // in front of the first one
	}
	if x.fragment && k == x.count-1 {
		at := int64(e.Length)
		if x.record > shortestExtent {
			at |= e.start() << 32
		}
		return x.c.fragmentAt(s, at)
	}
	p.stored = span.Span{Offset: e.start(), Length: e.length()}
	p.partial = e.Length&extentPartial != 0
	switch form := e.Length >> extentFormShift; {
	case form != 0:
		p.algorithm = Algorithm(form - 1)
	case x.interlaced && (p.stored.Offset|p.stored.Length)%x.c.f.blockSize() == 0:
		p.algorithm = interlaced
	default:
		p.algorithm = shifted
	}
	return p, nil
}

// search returns the record for the byte off, and for which part of the file
// it stands. Before the first record there is -1.
func (x *extents) search(off int64) (k int64, e Extent, s span.Span, err error) {
	if x.record <= shortExtent {
		k = off >> x.bits
		s = span.Between(k<<x.bits, min((k+1)<<x.bits, x.c.size))
		e, err = x.load(k)
		if err == nil && x.record == shortestExtent {
			e.StartLow, e.StartHigh, err = x.sum(k)
		}
		return k, e, s, err
	}
	low, high := int64(0), x.count // the first one behind off
	s = span.Between(0, x.c.size)
	k = -1
	for low < high {
		middle := (low + high) / 2
		found, err := x.load(middle)
		if err != nil {
			return k, e, s, err
		}
		at := found.offset()
		if at < s.Offset || at > s.End() {
			return k, e, s, corrupt("extent %d starts at %d, not in %s", middle, at, s)
		}
		if at > off {
			high, s = middle, span.Between(s.Offset, at)
		} else {
			low, k, e, s = middle+1, middle, found, span.Between(at, s.End())
		}
	}
	return k, e, s, nil
}

// sum returns where the data of record k starts, as the two halves that other
// records have. It starts from the record before the last one asked for.
func (x *extents) sum(k int64) (low, high uint32, err error) {
	if k < x.next {
		x.next = 0
		p, err := x.window.bytes(span.Span{Offset: x.at - 8, Length: 8})
		if err != nil {
			return 0, 0, err
		}
		x.start = int64(binary.LittleEndian.Uint64(p))
	}
	for x.next < k {
		e, err := x.load(x.next)
		if err != nil {
			return 0, 0, err
		}
		x.start += e.length()
		x.next++
	}
	return uint32(x.start), uint32(x.start >> 32), nil
}
