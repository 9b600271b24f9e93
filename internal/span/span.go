// Package span holds byte ranges and the checks that every offset and length
// read from an untrusted file must pass before it is used.
package span

import "fmt"

// Span is the half-open byte range [Offset, Offset+Length).
type Span struct {
	Offset int64
	Length int64
}

// Between returns the span that starts at start and ends before end.
func Between(start, end int64) Span {
	return Span{Offset: start, Length: end - start}
}

// Whole returns the data of a content of that many bytes that has no holes: one
// span, or none if it is empty.
func Whole(size int64) []Span {
	if size == 0 {
		return nil
	}
	return []Span{{Length: size}}
}

// Append appends s to a list, as a part of its last span if that goes on there.
// An empty span adds nothing.
func Append(list []Span, s Span) []Span {
	if s.Length == 0 {
		return list
	}
	if last := len(list) - 1; last >= 0 && list[last].End() == s.Offset {
		list[last].Length += s.Length
		return list
	}
	return append(list, s)
}

// End returns the offset of the first byte behind the span. It is meaningful
// only for a span that Within accepted, as the sum can overflow.
func (s Span) End() int64 { return s.Offset + s.Length }

// Within returns an error unless the span lies inside [0, size). An empty
// span at size is inside.
func (s Span) Within(size int64) error {
	if s.Offset < 0 || s.Length < 0 || s.Offset > size || s.Length > size-s.Offset {
		return fmt.Errorf("bytes %s lie outside 0-%d", s, size)
	}
	return nil
}

// Overlaps reports whether the two spans share a byte.
func (s Span) Overlaps(other Span) bool {
	return s.Length > 0 && other.Length > 0 && s.Offset < other.End() && other.Offset < s.End()
}

// String gives the span as "first-end", the end being exclusive.
func (s Span) String() string {
	return fmt.Sprintf("%d-%d", s.Offset, uint64(s.Offset)+uint64(s.Length))
}

// AlignUp returns the smallest multiple of to that is at least n. It needs
// n >= 0 and to > 0, and n+to must not overflow.
func AlignUp(n, to int64) int64 { return (n + to - 1) / to * to }

// Mapped is a span of a virtual disk together with where its bytes lie in the
// file that holds the disk.
type Mapped struct {
	Span
	At int64 // offset in the file, or Packed
}

// Packed is the place of bytes that the file holds compressed.
const Packed = -1

// Part returns the part of m that s, which lies in m, is.
func (m Mapped) Part(s Span) Mapped {
	if m.At == Packed {
		return Mapped{s, Packed}
	}
	return Mapped{s, m.At + s.Offset - m.Offset}
}

// Extended reports whether next continues m, on the disk and in the file, and
// returns both as one.
func (m Mapped) Extended(next Mapped) (Mapped, bool) {
	if m.End() != next.Offset || m.Length == 0 {
		return m, false
	}
	if m.At == Packed && next.At != Packed || m.At != Packed && m.At+m.Length != next.At {
		return m, false
	}
	m.Length += next.Length
	return m, true
}
