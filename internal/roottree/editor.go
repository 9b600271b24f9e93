package roottree

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"sextant/internal/tree"
)

// Editor changes the tree of a base, in memory until Commit.
type Editor struct {
	base    *Base
	tree    *tree.Tree
	opts    Options
	own     map[*tree.Inode]bool // directories that are not the base's
	commit  func(*Editor) error
	done    bool
	notices []string

	checkpoint func() error // between the steps of a change in place
}

func (b *Base) editor(opts Options, commit func(*Editor) error) *Editor {
	e := &Editor{base: b, opts: opts, own: make(map[*tree.Inode]bool), commit: commit, checkpoint: nothing}
	e.tree = &tree.Tree{Root: e.clone(b.Tree.Root)}
	return e
}

// clone copies a directory, so that its entries can be changed.
func (e *Editor) clone(dir *tree.Inode) *tree.Inode {
	c := dir.CopyDir()
	for _, entry := range dir.Entries() {
		if err := c.Put(entry.Name, entry.Inode); err != nil {
			panic("internal error: " + err.Error())
		}
	}
	e.own[c] = true
	return c
}

// names cuts a path. Paths lead nowhere but down.
func names(path string) ([]string, error) {
	list := tree.Split(path)
	if slices.Contains(list, "..") {
		return nil, fs.ErrInvalid
	}
	return list, nil
}

// dir returns the directory at a path, as one that may be changed. It follows no
// symbolic link.
func (e *Editor) dir(path []string) (*tree.Inode, error) {
	at := e.tree.Root
	for _, name := range path {
		child := at.Child(name)
		switch {
		case child == nil:
			return nil, fmt.Errorf("directory %s: %w", name, fs.ErrNotExist)
		case !child.Mode.IsDir():
			return nil, fmt.Errorf("%s is a %s, not a directory: %w", name, child.Mode.Kind(), fs.ErrNotExist)
		}
		if !e.own[child] {
			child = e.clone(child)
			if err := at.Put(name, child); err != nil {
				return nil, err
			}
		}
		at = child
	}
	return at, nil
}

// touch notes that the entries of a directory change.
func (e *Editor) touch(dir *tree.Inode) {
	if !e.opts.Time.IsZero() {
		dir.ModTime = e.opts.Time
	}
}

func (e *Editor) do(what, path string, change func(names []string) error) error {
	list, err := names(path)
	if err == nil && e.done {
		err = errors.New("the changes are written already")
	}
	if err == nil {
		err = change(list)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, path, err)
	}
	return nil
}

// describe gives an inode the attributes of another.
func describe(i, as *tree.Inode) {
	i.Mode = i.Mode.Type() | as.Mode.Perm()
	i.UID, i.GID, i.ModTime, i.Xattrs = as.UID, as.GID, as.ModTime, as.Xattrs
}

// Put makes node what is at path. The parent must exist. A directory that is
// there keeps what is in it and gets the attributes; nothing becomes a directory
// that was none, or the other way round. Symbolic links are not followed.
func (e *Editor) Put(path string, node *tree.Inode) error {
	return e.do("put", path, func(names []string) error {
		if len(names) == 0 {
			if !node.Mode.IsDir() {
				return fmt.Errorf("is the root directory: %w", fs.ErrExist)
			}
			describe(e.tree.Root, node)
			return nil
		}
		parent, name, err := e.parent(names)
		if err != nil {
			return err
		}
		old := parent.Child(name)
		switch {
		case old == nil:
		case old.Mode.IsDir() != node.Mode.IsDir():
			return fmt.Errorf("is a %s: %w", old.Mode.Kind(), fs.ErrExist)
		case old.Mode.IsDir():
			own, err := e.dir(names)
			if err != nil {
				return err
			}
			describe(own, node)
			return nil
		}
		return e.enter(parent, name, node)
	})
}

// parent returns the directory that has the last of names.
func (e *Editor) parent(names []string) (*tree.Inode, string, error) {
	last := len(names) - 1
	if last < 0 {
		return nil, "", fmt.Errorf("is the root directory: %w", fs.ErrInvalid)
	}
	dir, err := e.dir(names[:last])
	return dir, names[last], err
}

// enter puts a copy of node, so that a node that is put twice is not one file
// with two names.
func (e *Editor) enter(parent *tree.Inode, name string, node *tree.Inode) error {
	c := node.CopyDir()
	if c.Mode.IsDir() {
		e.own[c] = true
	}
	if err := parent.Put(name, c); err != nil {
		return err
	}
	e.touch(parent)
	return nil
}

// Set gives what is at path the attributes of node, and nothing else. All names
// of a file get them.
func (e *Editor) Set(path string, node *tree.Inode) error {
	return e.do("set attributes of", path, func(names []string) error {
		old := e.tree.Lookup(path)
		if old == nil {
			return fs.ErrNotExist
		}
		if old.Mode.IsDir() {
			dir, err := e.dir(names)
			if err == nil {
				describe(dir, node)
			}
			return err
		}
		c := old.CopyDir()
		describe(c, node)
		return e.exchange(old, c)
	})
}

// exchange puts one inode in place of another under all its names.
func (e *Editor) exchange(old, with *tree.Inode) error {
	var paths []string
	err := e.tree.Walk(func(path string, node *tree.Inode) error {
		if node == old {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, path := range paths {
		parent, name, err := e.parent(tree.Split(path))
		if err != nil {
			return err
		}
		if err := parent.Put(name, with); err != nil {
			return err
		}
	}
	return nil
}

// Remove removes a file or an empty directory.
func (e *Editor) Remove(path string) error {
	return e.do("remove", path, func(names []string) error {
		node := e.tree.Lookup(path)
		switch {
		case node == nil:
			return fs.ErrNotExist
		case node.Len() > 0:
			return fmt.Errorf("directory is not empty: %w", fs.ErrExist)
		}
		return e.drop(names)
	})
}

// RemoveAll removes what is at path, with all below it. A path where nothing is
// is no error.
func (e *Editor) RemoveAll(path string) error {
	return e.do("remove", path, func(names []string) error {
		if e.tree.Lookup(path) == nil {
			return nil
		}
		return e.drop(names)
	})
}

func (e *Editor) drop(names []string) error {
	parent, name, err := e.parent(names)
	if err != nil {
		return err
	}
	parent.Remove(name)
	e.touch(parent)
	return nil
}

// FS returns the tree with the changes so far. The Sys of its states is a
// *tree.Inode, which is not to be changed.
func (e *Editor) FS() fs.FS { return view{e.tree} }

// Free returns how many bytes new files may have. Where that is not known
// before the tree is written, as here, it is a number without end.
func (e *Editor) Free() int64 { return math.MaxInt64 }

// Commit writes the tree. The editor is of no use afterwards.
func (e *Editor) Commit() error {
	if e.done {
		return errors.New("the changes are written already")
	}
	if err := e.commit(e); err != nil {
		return err
	}
	e.done = true
	return nil
}

// Notices says, after Commit, what could not be kept: owners where this is not
// root, sockets in an archive.
func (e *Editor) Notices() []string { return e.notices }
