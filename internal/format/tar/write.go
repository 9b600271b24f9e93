package tar

import (
	"context"
	"fmt"
	"io"
	"strings"

	"sextant/internal/pages"
	"sextant/internal/span"
	"sextant/internal/tree"
)

const (
	// copySize is how many bytes of a file are read at once.
	copySize = 256 << 10

	// recordSize is what archives are padded to: the 20 blocks of a tape, as
	// GNU tar does it.
	recordSize = 20 * BlockSize

	// worthHole is how many bytes must be holes for a file to be written as
	// sparse: less than the blocks that the map takes is no gain.
	worthHole = 4 * BlockSize
)

// Write writes t as a pax archive: a directory before what is in it, entries in
// byte order of their names, without leading slash, the root as "./". Further
// names of a file are hard links to the first. Files with holes are in GNU's
// sparse format 1.0, extended attributes in records "SCHILY.xattr.". The same
// tree always gives the same bytes.
//
// It returns the paths of the sockets, which no tar can hold.
func Write(ctx context.Context, w io.Writer, t *tree.Tree) (leftOut []string, err error) {
	a := &archiver{w: w, first: make(map[*tree.Inode]string), buf: make([]byte, copySize)}
	err = t.Walk(func(path string, node *tree.Inode) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if node.Mode.Type() == tree.TypeSocket {
			leftOut = append(leftOut, path)
			return nil
		}
		if err := a.entry(ctx, path, node); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return leftOut, a.end()
}

// archiver writes an archive.
type archiver struct {
	w     io.Writer
	at    int64 // bytes written so far
	first map[*tree.Inode]string
	buf   []byte
}

func (a *archiver) write(b []byte) error {
	n, err := a.w.Write(b)
	a.at += int64(n)
	return err
}

// pad fills up with zeros to a multiple of size.
func (a *archiver) pad(size int64) error {
	return a.write(make([]byte, span.AlignUp(a.at, size)-a.at))
}

func (a *archiver) end() error {
	if err := a.write(make([]byte, 2*BlockSize)); err != nil {
		return err
	}
	return a.pad(recordSize)
}

// entry writes one name of the tree.
func (a *archiver) entry(ctx context.Context, path string, node *tree.Inode) error {
	name := strings.TrimPrefix(path, "/")
	if node.Mode.IsDir() {
		name += "/"
	}
	if path == "/" {
		name = "./"
	}
	if other, again := a.first[node]; again && !node.Mode.IsDir() {
		return a.header(newEntry(name, TypeLink, node).linkTo(other))
	}
	a.first[node] = name
	e := newEntry(name, typeOf(node.Mode), node)
	switch {
	case node.Mode.IsRegular():
		return a.file(ctx, e, node)
	case node.Mode.Type() == tree.TypeSymlink:
		e.linkTo(node.Target)
	}
	e.xattrs(node)
	return a.header(e)
}

func typeOf(m tree.Mode) Typeflag {
	switch m.Type() {
	case tree.TypeDir:
		return TypeDir
	case tree.TypeSymlink:
		return TypeSymlink
	case tree.TypeChar:
		return TypeChar
	case tree.TypeBlock:
		return TypeBlock
	case tree.TypeFIFO:
		return TypeFIFO
	}
	return TypeRegular
}

// file writes a regular file with its content.
func (a *archiver) file(ctx context.Context, e *outEntry, node *tree.Inode) error {
	size, data := node.Size(), extents(node)
	var sparse []byte
	if holes := size - total(data); holes >= worthHole {
		sparse = sparseMap(data, size)
		e.holes(size)
	}
	stored := int64(len(sparse)) + total(data)
	if sparse == nil {
		data, stored = span.Whole(size), size
	}
	e.size(stored)
	e.xattrs(node)
	if err := a.header(e); err != nil {
		return err
	}
	if err := a.write(sparse); err != nil {
		return err
	}
	if err := a.contents(ctx, node, data); err != nil {
		return err
	}
	return a.pad(BlockSize)
}

func extents(node *tree.Inode) []span.Span {
	if node.Content == nil {
		return nil
	}
	return node.Content.Extents()
}

func total(list []span.Span) (n int64) {
	for _, s := range list {
		n += s.Length
	}
	return n
}

// sparseMap returns the map in front of the data in format 1.0. An empty range
// at the end of the file tells of a hole there.
func sparseMap(data []span.Span, size int64) []byte {
	if len(data) == 0 || data[len(data)-1].End() < size {
		data = append(data[:len(data):len(data)], span.Span{Offset: size})
	}
	b := fmt.Appendf(nil, "%d\n", len(data))
	for _, s := range data {
		b = fmt.Appendf(b, "%d\n%d\n", s.Offset, s.Length)
	}
	return append(b, make([]byte, span.AlignUp(int64(len(b)), BlockSize)-int64(len(b)))...)
}

// contents copies the ranges of the file.
func (a *archiver) contents(ctx context.Context, node *tree.Inode, data []span.Span) error {
	if len(data) == 0 {
		return nil
	}
	r, err := node.Content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	for _, s := range data {
		for at := s.Offset; at < s.End(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			piece := a.buf[:min(int64(len(a.buf)), s.End()-at)]
			if _, err := pages.ReadFull(r, piece, at); err != nil {
				return err
			}
			if err := a.write(piece); err != nil {
				return err
			}
			at += int64(len(piece))
		}
	}
	return nil
}
