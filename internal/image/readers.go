package image

import (
	"bytes"
	"context"
	"io"
	"strings"
	"time"

	"sextant/internal/format/ext4"
	"sextant/internal/format/gpt"
	"sextant/internal/format/squashfs"
	"sextant/internal/fsck"
)

// Facts are what the superblock of a file system says.
type Facts struct {
	Kind        Kind      `json:"type"`
	Size        int64     `json:"size"` // bytes that the file system takes
	BlockSize   int64     `json:"blockSize"`
	Inodes      uint64    `json:"inodes"` // in use
	UUID        string    `json:"uuid,omitempty"`
	Label       string    `json:"label,omitempty"`
	Created     time.Time `json:"created,omitzero"`
	Compression string    `json:"compression,omitempty"`
	Features    []string  `json:"features"`
}

// factual is a file system that tells about itself without reading its files.
type factual interface {
	facts() Facts
	describe(w io.Writer) error
}

// Facts returns what the superblock of the partition's file system says.
func (m *Image) Facts(p *Part) (Facts, error) {
	fsys, kind, err := m.FileSystem(p)
	if err != nil {
		return Facts{Kind: kind}, err
	}
	if f, ok := fsys.(factual); ok {
		return f.facts(), nil
	}
	return Facts{Kind: kind}, nil
}

// Describe prints the structures of the partition's file system with what they
// mean.
func (m *Image) Describe(w io.Writer, p *Part) error {
	fsys, _, err := m.FileSystem(p)
	if err != nil {
		return err
	}
	if f, ok := fsys.(factual); ok {
		return f.describe(w)
	}
	return nil
}

func (f erofsFS) facts() Facts {
	sb := f.SuperBlock()
	return Facts{
		Kind: "erofs", Size: f.Size(), BlockSize: int64(f.BlockSize()), Inodes: sb.Inodes, UUID: sb.UUID.String(),
		Label: label(sb.VolumeName[:]), Created: f.Made(), Compression: f.Compression(),
		Features: words(sb.FeatureCompat.String(), sb.FeatureIncompat.String()),
	}
}

func (f erofsFS) describe(w io.Writer) error { return f.Describe(w) }

type squashFS struct {
	*squashfs.FS
	r    io.ReaderAt
	size int64
}

func openSquashFS(r io.ReaderAt, size int64) (FileSystem, error) {
	f, err := squashfs.Open(r, size)
	if err != nil {
		return nil, err
	}
	return squashFS{f, r, size}, nil
}

func (f squashFS) check(ctx context.Context) (list []flaw, err error) {
	found, err := f.Check(ctx)
	for _, p := range found {
		list = append(list, flaw{err: p, harmless: p.Harmless})
	}
	return list, err
}

func (f squashFS) facts() Facts {
	sb := f.Superblock()
	return Facts{
		Kind: "squashfs", Size: int64(sb.BytesUsed), BlockSize: int64(sb.BlockSize), Inodes: uint64(sb.Inodes),
		Created: time.Unix(int64(sb.MakeTime), 0).UTC(), Compression: sb.Compression.String(), Features: strings.Split(sb.Flags.String(), ", "),
	}
}

func (f squashFS) describe(w io.Writer) error { return squashfs.Describe(w, f.r, f.size) }

type ext4FS struct {
	*ext4.FS
}

func openExt4(r io.ReaderAt, size int64) (FileSystem, error) {
	f, err := ext4.Open(r, size)
	if err != nil {
		return nil, err
	}
	return ext4FS{f}, nil
}

func (f ext4FS) check(ctx context.Context) ([]flaw, error) { return flawsOf(f.Check(ctx)) }

func flawsOf(found []*fsck.Problem, err error) (list []flaw, _ error) {
	for _, p := range found {
		list = append(list, flaw{err: p, harmless: p.Bookkeeping})
	}
	return list, err
}

func (f ext4FS) facts() Facts {
	sb := f.SuperBlock()
	return Facts{
		Kind: "ext4", Size: f.Size(), BlockSize: f.Geometry().BlockSize, Inodes: uint64(sb.InodesCount - sb.FreeInodes),
		UUID: gpt.GUID(sb.UUID).String(), Label: label(sb.VolumeName[:]), Created: time.Unix(int64(sb.MkfsTime), 0).UTC(),
		Features: words(sb.FeatureCompat.String(), sb.FeatureIncompat.String(), sb.FeatureROCompat.String()),
	}
}

func (f ext4FS) describe(w io.Writer) error { return f.Describe(w) }

// label returns a name that ends with a NUL or with its field.
func label(field []byte) string {
	name, _, _ := bytes.Cut(field, []byte{0})
	return strings.ToValidUTF8(string(name), "\uFFFD")
}

// words cuts lists of features into their names.
func words(lists ...string) []string {
	names := []string{}
	for _, list := range lists {
		for _, word := range strings.Fields(list) {
			if word != "none" {
				names = append(names, word)
			}
		}
	}
	return names
}
