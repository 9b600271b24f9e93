// Package diff tells in what two images or directories differ: the image around
// the files, the release files, and every file.
package diff

import (
	"context"
	"fmt"

	"sextant/internal/image"
	"sextant/internal/inspect"
	"sextant/internal/tree"
)

// Field is one property in which A and B differ. An empty text is a property
// that one of them does not have.
type Field struct {
	Name string `json:"name"` // "mode", "root hash", "xattr user.note"
	A    string `json:"a"`
	B    string `json:"b"`
}

// Diff is all in which two images differ.
type Diff struct {
	Image       []Field     `json:"image"`
	Release     []Field     `json:"release"`
	Files       []Change    `json:"files"`
	Directories []Directory `json:"directories"`
}

// Same reports whether nothing differs.
func (d *Diff) Same() bool {
	return len(d.Image)+len(d.Release)+len(d.Files) == 0
}

// Options say what counts.
type Options struct {
	Times     bool // modification times
	FilesOnly bool // nothing but the files
}

// Images compares two images that are open. If one is a directory, what is
// around the files does not count.
func Images(ctx context.Context, a, b *image.Image, opts Options) (*Diff, error) {
	treeA, err := a.Tree()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Path, err)
	}
	treeB, err := b.Tree()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", b.Path, err)
	}
	d := &Diff{Image: []Field{}, Release: []Field{}, Directories: directories(treeA, treeB)}
	if d.Files, err = Trees(ctx, treeA, treeB, opts); err != nil || opts.FilesOnly {
		return d, err
	}
	return d, d.compareAround(a, b)
}

// compareAround compares what is around the files.
func (d *Diff) compareAround(a, b *image.Image) error {
	one, err := inspect.Image(a, false)
	if err != nil {
		return fmt.Errorf("%s: %w", a.Path, err)
	}
	other, err := inspect.Image(b, false)
	if err != nil {
		return fmt.Errorf("%s: %w", b.Path, err)
	}
	d.Release = compare(releaseFields(one), releaseFields(other))
	if !a.Dir && !b.Dir {
		d.Image = compare(imageFields(one), imageFields(other))
	}
	return nil
}

// Directory is a directory of the first two levels whose size differs. Its
// numbers are those of the files below it.
type Directory struct {
	Path   string `json:"path"`
	FilesA int    `json:"filesA"`
	FilesB int    `json:"filesB"`
	BytesA int64  `json:"bytesA"`
	BytesB int64  `json:"bytesB"`
}

// directories returns the directories that grew or shrank.
func directories(a, b *tree.Tree) []Directory {
	list := []Directory{}
	before, after := inspect.Count(a).Directories, inspect.Count(b).Directories
	for len(before)+len(after) > 0 {
		var d Directory
		if len(after) == 0 || len(before) > 0 && before[0].Path <= after[0].Path {
			d.Path, d.FilesA, d.BytesA = before[0].Path, before[0].Files, before[0].Bytes
			before = before[1:]
		}
		if len(after) > 0 && (d.Path == "" || d.Path == after[0].Path) {
			d.Path, d.FilesB, d.BytesB = after[0].Path, after[0].Files, after[0].Bytes
			after = after[1:]
		}
		if d.FilesA != d.FilesB || d.BytesA != d.BytesB {
			list = append(list, d)
		}
	}
	return list
}
