package diff

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"

	"sextant/internal/pages"
	"sextant/internal/span"
	"sextant/internal/tree"
)

const (
	// bufferSize is how much of each file is read at once.
	bufferSize = 128 << 10

	// maxHash is the size of the largest file of which a digest is given. A
	// hole can be of any size, and its zeros have to be hashed too.
	maxHash = 1 << 30
)

// difference is what two contents of one size differ in.
type difference struct {
	at   int64  // first byte that is not the same
	a, b string // digests, "" for large files
}

func (d *difference) field() Field {
	if d.a == "" {
		return Field{"content", "", fmt.Sprintf("differs from byte %d on", d.at)}
	}
	return Field{"content", "sha256 " + d.a, "sha256 " + d.b}
}

// contents compares two contents of one size, each pair once. It returns nil
// if they are the same.
func (c *comparison) contents(a, b *tree.Inode) (*difference, error) {
	pair := [2]*tree.Inode{a, b}
	if found, ok := c.equal[pair]; ok {
		return found, nil
	}
	found, err := c.compareContents(a.Content, b.Content)
	if err == nil {
		c.equal[pair] = found
	}
	return found, err
}

func (c *comparison) compareContents(a, b tree.Content) (*difference, error) {
	left, err := a.Open()
	if err != nil {
		return nil, err
	}
	defer left.Close()
	right, err := b.Open()
	if err != nil {
		return nil, err
	}
	defer right.Close()
	at, err := c.firstDifference(left, right, union(a.Extents(), b.Extents()))
	if err != nil || at < 0 {
		return nil, err
	}
	d := &difference{at: at}
	if a.Size() <= maxHash {
		if d.a, err = c.digest(left, a.Size()); err != nil {
			return nil, err
		}
		d.b, err = c.digest(right, b.Size())
	}
	return d, err
}

// union returns the ranges that lie in a or b, ascending and apart.
func union(a, b []span.Span) []span.Span {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y span.Span) int { return cmp.Compare(x.Offset, y.Offset) })
	var list []span.Span
	for _, s := range all {
		if n := len(list) - 1; n >= 0 && s.Offset <= list[n].End() {
			list[n] = span.Between(list[n].Offset, max(list[n].End(), s.End()))
			continue
		}
		list = append(list, s)
	}
	return list
}

// firstDifference returns the offset of the first byte in the ranges that is
// not the same, or -1.
func (c *comparison) firstDifference(a, b io.ReaderAt, ranges []span.Span) (int64, error) {
	left, right := c.buffers[0][:], c.buffers[1][:]
	for _, s := range ranges {
		for at := s.Offset; at < s.End(); at += bufferSize {
			if err := c.ctx.Err(); err != nil {
				return 0, err
			}
			n := min(bufferSize, s.End()-at)
			if _, err := pages.ReadFull(a, left[:n], at); err != nil {
				return 0, err
			}
			if _, err := pages.ReadFull(b, right[:n], at); err != nil {
				return 0, err
			}
			if bytes.Equal(left[:n], right[:n]) {
				continue
			}
			for i := range n {
				if left[i] != right[i] {
					return at + i, nil
				}
			}
		}
	}
	return -1, nil
}

func (c *comparison) digest(r io.ReaderAt, size int64) (string, error) {
	h, buffer := sha256.New(), c.buffers[0][:]
	for at := int64(0); at < size; at += bufferSize {
		if err := c.ctx.Err(); err != nil {
			return "", err
		}
		p := buffer[:min(bufferSize, size-at)]
		if _, err := pages.ReadFull(r, p, at); err != nil {
			return "", err
		}
		h.Write(p)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
