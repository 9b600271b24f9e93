package extract

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"sextant/internal/pages"
	"sextant/internal/tree"
)

// bufferSize is how much of a file is copied at once.
const bufferSize = 256 << 10

// openStage makes the directory that everything is made in.
func (x *extraction) openStage() (err error) {
	x.stage = ".sextant-" + rand.Text()
	if err := x.root.Mkdir(x.stage, 0o700); err != nil {
		return err
	}
	if x.staged, err = x.root.OpenRoot(x.stage); err != nil {
		return err
	}
	x.buffer = make([]byte, bufferSize)
	return nil
}

// closeStage removes the directory with what is left in it. Our directories
// have mode 0700 until the end, so we can.
func (x *extraction) closeStage() error {
	if err := x.staged.Close(); err != nil {
		return err
	}
	return x.root.RemoveAll(x.stage)
}

// fill makes all files in the stage.
func (x *extraction) fill(ctx context.Context) error {
	type todo struct {
		at   string
		node *tree.Inode
	}
	for queue := []todo{{".", x.tree.Root}}; len(queue) > 0; {
		dir := queue[0]
		queue = queue[1:]
		x.dirs = append(x.dirs, dir.at)
		if err := x.fillDir(ctx, dir.at, dir.node); err != nil {
			return err
		}
		for _, e := range dir.node.Entries() {
			if e.Inode.Mode.IsDir() {
				queue = append(queue, todo{path.Join(dir.at, e.Name), e.Inode})
			}
		}
	}
	return nil
}

// place is an open directory in which files are made.
type place struct {
	at   string // its path in the tree, without leading slash
	root *os.Root
	file *os.File // the same, for system calls
}

func openPlace(root *os.Root, at string) (*place, error) {
	dir, err := root.OpenRoot(at)
	if err != nil {
		return nil, err
	}
	f, err := dir.Open(".")
	if err != nil {
		dir.Close()
		return nil, err
	}
	return &place{at, dir, f}, nil
}

func (p *place) close() error {
	return errors.Join(p.file.Close(), p.root.Close())
}

// fillDir makes the entries of one directory, those that are directories
// empty.
func (x *extraction) fillDir(ctx context.Context, at string, node *tree.Inode) (err error) {
	dir, err := openPlace(x.staged, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	for _, e := range node.Entries() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := x.make(ctx, dir, e.Name, e.Inode); err != nil {
			return fmt.Errorf("/%s: %w", path.Join(at, e.Name), err)
		}
	}
	return nil
}

// make makes one entry.
func (x *extraction) make(ctx context.Context, dir *place, name string, node *tree.Inode) error {
	// The tree has no names with slashes, but other systems have other rules.
	if !filepath.IsLocal(name) || strings.ContainsRune(name, filepath.Separator) {
		return fmt.Errorf("name %q means something else on this system", name)
	}
	at := path.Join(dir.at, name)
	if node.Mode.IsDir() {
		return dir.root.Mkdir(name, 0o700)
	}
	x.result.Files++
	if other, again := x.first[node]; again {
		if other == "" {
			return nil // it was left out under its first name
		}
		return x.staged.Link(other, at)
	}
	made, err := x.makeFile(ctx, dir, name, node)
	if err != nil {
		return err
	}
	if !made {
		x.first[node] = ""
		return nil
	}
	x.first[node] = at
	return x.setAttributes(dir, name, node)
}

// makeFile makes a file of any type but a directory. It returns false if it
// had to leave it out.
func (x *extraction) makeFile(ctx context.Context, dir *place, name string, node *tree.Inode) (made bool, err error) {
	switch node.Mode.Type() {
	case tree.TypeRegular:
		return true, x.regular(ctx, dir, name, node.Content)
	case tree.TypeSymlink:
		return true, dir.root.Symlink(node.Target, name)
	}
	return x.special(dir, name, node)
}

// regular makes a file with its content. Holes stay holes.
func (x *extraction) regular(ctx context.Context, dir *place, name string, content tree.Content) (err error) {
	f, err := dir.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if content == nil || content.Size() == 0 {
		return nil
	}
	if extents := content.Extents(); len(extents) == 0 || extents[len(extents)-1].End() < content.Size() {
		if err := f.Truncate(content.Size()); err != nil {
			return err
		}
	}
	r, err := content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	for _, s := range content.Extents() {
		for at := s.Offset; at < s.End(); {
			if err := ctx.Err(); err != nil {
				return err
			}
			piece := x.buffer[:min(int64(len(x.buffer)), s.End()-at)]
			if err := x.copy(f, r, piece, at); err != nil {
				return err
			}
			at += int64(len(piece))
		}
	}
	return nil
}

// copy copies one piece of a file.
func (x *extraction) copy(f io.WriterAt, r io.ReaderAt, piece []byte, at int64) error {
	if _, err := pages.ReadFull(r, piece, at); err != nil {
		return err
	}
	if _, err := f.WriteAt(piece, at); err != nil {
		return err
	}
	x.result.Bytes += int64(len(piece))
	if x.opts.Progress != nil {
		x.opts.Progress(x.result.Bytes)
	}
	return nil
}
