package image

import (
	"bytes"
	"fmt"
	"io"

	"sextant/internal/format/gpt"
	"sextant/internal/span"
	"sextant/internal/verdict"
)

// gaps warns of bytes other than zero in no partition and not in the table:
// nothing vouches for them, and nothing should be there.
func (v *verifier) gaps() error {
	if v.m.Table == nil {
		return nil
	}
	taken, err := gpt.Reserved(v.m.r, v.m.Size)
	if err != nil {
		return v.orFinding(verdict.TableCopy, "partition table", err)
	}
	for _, p := range v.m.Parts {
		taken = append(taken, p.Span)
	}
	for _, gap := range uncovered(taken, span.Span{Length: v.m.Size}) {
		if err := v.zeros(verdict.TableGap, "unused space", gap); err != nil {
			return err
		}
	}
	return nil
}

// zeros warns unless a span of the image holds zeros. It makes one finding of
// it, whatever is there.
func (v *verifier) zeros(rule verdict.Rule, place string, s span.Span) error {
	found, err := nonZero(v.m.r, s, v.ctx.Err)
	if err != nil {
		return fmt.Errorf("%s: %w", place, err)
	}
	if found.count > 0 {
		v.add(rule, place, "%d of the bytes %s are not zero, the first is byte %d", found.count, s, found.first)
	}
	return nil
}

// stain is what a span holds besides zeros.
type stain struct {
	count, first int64
}

// nonZero counts the bytes of a span that are not zero.
func nonZero(r io.ReaderAt, s span.Span, stop func() error) (found stain, err error) {
	buffer := make([]byte, min(s.Length, 64<<10))
	zeros := make([]byte, len(buffer))
	for at := s.Offset; at < s.End(); at += int64(len(buffer)) {
		if err := stop(); err != nil {
			return found, err
		}
		buffer = buffer[:min(int64(len(buffer)), s.End()-at)]
		if _, err := r.ReadAt(buffer, at); err != nil {
			return found, err
		}
		if !bytes.Equal(buffer, zeros[:len(buffer)]) {
			found.add(buffer, at)
		}
	}
	return found, nil
}

func (s *stain) add(b []byte, at int64) {
	for i, c := range b {
		if c == 0 {
			continue
		}
		if s.count == 0 {
			s.first = at + int64(i)
		}
		s.count++
	}
}
