package source

import (
	"fmt"
	"io"
	"sort"

	"sextant/internal/format/tar"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// memberContent returns the content of a regular file in an archive. Most
// are in one piece, which takes less memory to say.
func memberContent(from archive, e *tar.Entry) tree.Content {
	switch {
	case e.Size == 0:
		return tree.Bytes(nil)
	case len(e.Data) == 1 && e.Data[0].Length == e.Size:
		return member{from, e.Data[0].At, e.Size}
	}
	return sparseMember{from, e.Size, e.Data}
}

// member is a file that lies in an archive in one piece.
type member struct {
	archive archive
	at      int64
	size    int64
}

// Size returns the length in bytes.
func (m member) Size() int64 { return m.size }

// Extents returns the whole file as one span.
func (m member) Extents() []span.Span { return []span.Span{{Length: m.size}} }

// Open opens the archive.
func (m member) Open() (tree.Reader, error) {
	r, err := m.archive.Open()
	if err != nil {
		return nil, err
	}
	return section{io.NewSectionReader(r, m.at, m.size), r}, nil
}

// section is part of an archive.
type section struct {
	io.ReaderAt
	io.Closer
}

// sparseMember is a file that lies in an archive without its holes.
type sparseMember struct {
	archive archive
	size    int64
	pieces  []tar.Piece
}

// Size returns the length in bytes.
func (m sparseMember) Size() int64 { return m.size }

// Extents returns what is between the holes. Pieces that touch are one.
func (m sparseMember) Extents() []span.Span {
	var list []span.Span
	for _, p := range m.pieces {
		list = span.Append(list, p.Span)
	}
	return list
}

// Open opens the archive.
func (m sparseMember) Open() (tree.Reader, error) {
	r, err := m.archive.Open()
	if err != nil {
		return nil, err
	}
	return &sparseReader{m, r}, nil
}

// sparseReader reads a sparseMember.
type sparseReader struct {
	member  sparseMember
	archive tree.Reader
}

// ReadAt reads data from the archive and holes as zeros.
func (r *sparseReader) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("negative offset %d", offset)
	}
	if offset >= r.member.size {
		return 0, io.EOF
	}
	var err error
	if left := r.member.size - offset; int64(len(p)) > left {
		p, err = p[:left], io.EOF
	}
	clear(p)
	pieces := r.member.pieces
	first := sort.Search(len(pieces), func(i int) bool { return pieces[i].End() > offset })
	for _, piece := range pieces[first:] {
		start := max(piece.Offset, offset)
		end := min(piece.End(), offset+int64(len(p)))
		if start >= end {
			break
		}
		n, err := r.archive.ReadAt(p[start-offset:end-offset], piece.At+start-piece.Offset)
		if int64(n) < end-start {
			return int(start-offset) + n, err
		}
	}
	return len(p), err
}

// Close closes the archive.
func (r *sparseReader) Close() error { return r.archive.Close() }
