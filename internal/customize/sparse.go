package customize

import (
	"bytes"
	"fmt"
	"io"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// zeroBlock is the smallest run of zeros that becomes a hole.
const zeroBlock = 4096

// sparse is a content whose holes are where its zeros are. A source has its
// holes where its file system and the last program that copied it left them;
// the same bytes must give the same image.
type sparse struct {
	tree.Content
	data []span.Span
}

// Extents returns what is not zero, in whole blocks.
func (s sparse) Extents() []span.Span { return s.data }

// scanner finds zeros, with one buffer for all files.
type scanner struct{ buf []byte }

// sparse reads a content to find its zeros.
func (z *scanner) sparse(c tree.Content) (tree.Content, error) {
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if z.buf == nil {
		z.buf = make([]byte, 1<<20)
	}
	s, buf := sparse{Content: c}, z.buf
	for _, e := range c.Extents() {
		// Blocks count from the beginning of the file.
		for at := e.Offset &^ (zeroBlock - 1); at < e.End(); at += int64(len(buf)) {
			b := buf[:min(int64(len(buf)), c.Size()-at)]
			if n, err := r.ReadAt(b, at); n < len(b) {
				if err == nil || err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return nil, fmt.Errorf("read at %d: %w", at, err)
			}
			s.add(b, at)
		}
	}
	return s, nil
}

// add notes the blocks of b that are not zero. It may see a block again whose
// beginning belonged to the extent before.
func (s *sparse) add(b []byte, at int64) {
	var zeros [zeroBlock]byte
	for len(b) > 0 {
		block := b[:min(zeroBlock, len(b))]
		b = b[len(block):]
		last := len(s.data) - 1
		switch {
		case bytes.Equal(block, zeros[:len(block)]):
		case last >= 0 && s.data[last].End() > at:
		case last >= 0 && s.data[last].End() == at:
			s.data[last].Length += int64(len(block))
		default:
			s.data = append(s.data, span.Span{Offset: at, Length: int64(len(block))})
		}
		at += int64(len(block))
	}
}
