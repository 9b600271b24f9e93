package imagetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// Noise is a file content of any size that takes no memory: each byte follows
// from the seed and its offset. Bytes outside Data are zeros.
type Noise struct {
	Seed   uint64
	Length int64
	Data   []span.Span // nil for no holes
}

// Sparse returns a Noise with the given data and holes between.
func Sparse(seed uint64, size int64, data ...span.Span) Noise {
	return Noise{Seed: seed, Length: size, Data: append([]span.Span{}, data...)}
}

// Size implements tree.Content.
func (n Noise) Size() int64 { return n.Length }

// Extents implements tree.Content.
func (n Noise) Extents() []span.Span {
	if n.Data != nil {
		return n.Data
	}
	return span.Whole(n.Length)
}

// Open implements tree.Content.
func (n Noise) Open() (tree.Reader, error) { return n, nil }

// Close implements tree.Reader.
func (n Noise) Close() error { return nil }

// ReadAt implements io.ReaderAt.
func (n Noise) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= n.Length {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), n.Length-off)]
	clear(p)
	for _, e := range n.Extents() {
		start, end := max(e.Offset, off), min(e.End(), off+int64(len(p)))
		if start < end {
			n.fill(p[start-off:end-off], uint64(start))
		}
	}
	if off+int64(len(p)) == n.Length {
		return len(p), io.EOF
	}
	return len(p), nil
}

// fill sets p to the bytes from offset at on, eight from each word.
func (n Noise) fill(p []byte, at uint64) {
	var word [8]byte
	for len(p) > 0 {
		binary.LittleEndian.PutUint64(word[:], mix(n.Seed^at>>3))
		k := copy(p, word[at&7:])
		p, at = p[k:], at+uint64(k)
	}
}

// mix is the finisher of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Diff returns a line for each path that the two dumps do not agree on, at
// most twenty.
func Diff(got, want map[string]string) []string {
	var lines []string
	for path, w := range want {
		if g, ok := got[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s is missing, want %s", path, w))
		} else if g != w {
			lines = append(lines, fmt.Sprintf("%s:\n\tgot  %s\n\twant %s", path, g, w))
		}
	}
	for path, g := range got {
		if _, ok := want[path]; !ok {
			lines = append(lines, fmt.Sprintf("%s is too much: %s", path, g))
		}
	}
	slices.Sort(lines)
	if more := len(lines) - 20; more > 0 {
		lines = append(lines[:20], fmt.Sprintf("and %d more", more))
	}
	return lines
}
