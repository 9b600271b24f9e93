package extract

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"sextant/internal/tree"
)

// ErrExists says that something is in the way. It comes with its path.
var ErrExists = errors.New("exists already")

// Options say how a tree is extracted.
type Options struct {
	// Force replaces files that are in the way; never directories.
	Force bool

	// Owners sets owner and group of everything, which only root can do.
	Owners bool

	// Progress is called with the number of bytes written so far. It may be
	// nil.
	Progress func(done int64)
}

// Result says what was done.
type Result struct {
	Files   int   // names that are not directories
	Bytes   int64 // data written, without holes
	LeftOut []LeftOut
}

// LeftOut is a property that could not be kept, or a kind of file that could
// not be made.
type LeftOut struct {
	What  string // "owners", "device nodes"
	Count int    // files concerned
	First string // path of the first one
}

// Extract writes t below the directory dir, which it makes if it is missing.
// A path that exists, other than a directory for a directory, is ErrExists
// before anything is written.
func Extract(ctx context.Context, dir string, t *tree.Tree, opts Options) (*Result, error) {
	made, err := makeDir(dir)
	if err != nil {
		return nil, err
	}
	x := &extraction{opts: opts, tree: t, first: make(map[*tree.Inode]string), ours: make(map[string]bool)}
	if err := x.run(ctx, dir, made); err != nil {
		if made {
			os.Remove(dir) // goes only if it is empty
		}
		return nil, err
	}
	x.result.LeftOut = x.left
	return &x.result, nil
}

// makeDir makes the directory unless it exists.
func makeDir(dir string) (made bool, err error) {
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrExist):
		return false, nil
	default:
		return false, err
	}
}

type extraction struct {
	opts   Options
	tree   *tree.Tree
	root   *os.Root
	stage  string   // name of our directory in root
	staged *os.Root // and that directory

	first  map[*tree.Inode]string // where each inode got its first name
	dirs   []string               // all directories, the ones above first
	ours   map[string]bool        // those that were made, not met
	buffer []byte
	left   []LeftOut
	result Result
}

func (x *extraction) run(ctx context.Context, dir string, made bool) (err error) {
	if x.root, err = os.OpenRoot(dir); err != nil {
		return err
	}
	defer x.root.Close()
	x.ours["."] = made
	if err := x.check(".", x.tree.Root); err != nil {
		return err
	}
	if err := x.openStage(); err != nil {
		return err
	}
	err = x.fill(ctx)
	if err == nil {
		err = x.publish(".", x.tree.Root)
	}
	if cleanErr := x.closeStage(); err == nil {
		err = cleanErr
	}
	if err != nil {
		return err
	}
	return x.finish()
}

// check returns an error if something is in the way of what will be made at
// name.
func (x *extraction) check(name string, dir *tree.Inode) error {
	for _, e := range dir.Entries() {
		at := path.Join(name, e.Name)
		there, err := x.root.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		switch {
		case there.IsDir() && e.Inode.Mode.IsDir():
			if err := x.check(at, e.Inode); err != nil {
				return err
			}
		case there.IsDir():
			return fmt.Errorf("%s: a directory is there, and a %s in the image: %w", at, e.Inode.Mode.Kind(), ErrExists)
		case !x.opts.Force:
			return fmt.Errorf("%s: %w", at, ErrExists)
		}
	}
	return nil
}

// publish moves what is ready to its place. A directory that exists takes in
// what is in ours.
func (x *extraction) publish(name string, dir *tree.Inode) error {
	for _, e := range dir.Entries() {
		at := path.Join(name, e.Name)
		from := path.Join(x.stage, at)
		if _, err := x.root.Lstat(from); errors.Is(err, fs.ErrNotExist) {
			continue // it was left out
		}
		there, err := x.root.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case there.IsDir() && e.Inode.Mode.IsDir():
			if err := x.publish(at, e.Inode); err != nil {
				return err
			}
			continue
		case !x.opts.Force || there.IsDir():
			return fmt.Errorf("%s: %w", at, ErrExists)
		case e.Inode.Mode.IsDir():
			// A directory cannot be renamed over a file.
			if err := x.root.Remove(at); err != nil {
				return err
			}
		}
		if err := x.root.Rename(from, at); err != nil {
			return err
		}
		x.own(at, e.Inode)
	}
	return nil
}

// own notes the directories that were moved as ours.
func (x *extraction) own(at string, node *tree.Inode) {
	if !node.Mode.IsDir() {
		return
	}
	x.ours[at] = true
	for _, e := range node.Entries() {
		x.own(path.Join(at, e.Name), e.Inode)
	}
}

// leave counts something that is not kept.
func (x *extraction) leave(what, at string) {
	for i := range x.left {
		if x.left[i].What == what {
			x.left[i].Count++
			return
		}
	}
	x.left = append(x.left, LeftOut{What: what, Count: 1, First: "/" + at})
}
