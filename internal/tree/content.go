package tree

import (
	"bytes"

	"sextant/internal/span"
)

// Bytes is a file content held in memory, without holes.
type Bytes []byte

// Size returns the number of bytes.
func (b Bytes) Size() int64 { return int64(len(b)) }

// Extents returns the whole content as one span.
func (b Bytes) Extents() []span.Span { return span.Whole(int64(len(b))) }

// Open returns a reader of the bytes.
func (b Bytes) Open() (Reader, error) {
	return nopCloser{bytes.NewReader(b)}, nil
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
