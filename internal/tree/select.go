package tree

import (
	"fmt"
	"io/fs"
)

// Select returns a tree of what lies at paths, with all that is in it and with
// the directories above it. A path that is not there is fs.ErrNotExist; a
// symbolic link is the link, not what it leads to. The trees share their
// inodes.
func (t *Tree) Select(paths []string) (*Tree, error) {
	chosen := &Tree{Root: t.Root.CopyDir()}
	for _, path := range paths {
		if err := chosen.graft(t, path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return chosen, nil
}

// graft makes what from has at path a part of t.
func (t *Tree) graft(from *Tree, path string) error {
	names := Split(path)
	if len(names) == 0 {
		t.Root = from.Root
		return nil
	}
	dst, src := t.Root, from.Root
	for _, name := range names[:len(names)-1] {
		if dst == src {
			return from.mustHave(path) // it is in already, with the directory above it
		}
		if src = src.Child(name); src == nil || !src.Mode.IsDir() {
			return fs.ErrNotExist
		}
		if dst.Child(name) == nil {
			if err := dst.Put(name, src.CopyDir()); err != nil {
				return err
			}
		}
		dst = dst.Child(name)
	}
	last := names[len(names)-1]
	node := src.Child(last)
	if node == nil {
		return fs.ErrNotExist
	}
	if dst == src {
		return nil
	}
	return dst.Put(last, node)
}

func (t *Tree) mustHave(path string) error {
	if t.Lookup(path) == nil {
		return fs.ErrNotExist
	}
	return nil
}
