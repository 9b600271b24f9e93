package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrConflict says that two sources want different kinds of file in one place.
var ErrConflict = errors.New("conflict")

// Merge puts src, a directory or any other file, at target, which need not exist; parents that
// are missing are made, mode 0755 and without a time.
//
// Where both have a directory its entries are united, and the one that was
// there first keeps its owner, mode, time and extended attributes: so do
// cp(1) and tar(1) as mkosi calls them. Of two files of the same kind src's
// remains. A symbolic link in the way of a directory is followed if it leads
// to one inside the tree. Any other difference in kind is an ErrConflict that
// names both. After an error the tree is part merged.
//
// The tree takes over what is in src.
func (t *Tree) Merge(target string, src *Inode) error {
	names := Split(target)
	if len(names) == 0 {
		return t.merge("", t.Root, src)
	}
	if slices.Contains(names, "..") {
		return fmt.Errorf("path %q %w", target, ErrOutside)
	}
	last := len(names) - 1
	parent, err := t.ResolveDir(strings.Join(names[:last], "/"), true)
	if err != nil {
		return err
	}
	return t.mergeEntry("/"+strings.Join(names[:last], "/"), parent, Entry{names[last], src})
}

// merge puts the entries of src into dst, whose path is given.
func (t *Tree) merge(path string, dst, src *Inode) error {
	if !src.Mode.IsDir() {
		return fmt.Errorf("/ is a directory, not %s: %w", src.describe(), ErrConflict)
	}
	for _, e := range src.Entries() {
		if err := t.mergeEntry(path, dst, e); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tree) mergeEntry(dirPath string, dir *Inode, e Entry) error {
	path := strings.TrimSuffix(dirPath, "/") + "/" + e.Name
	old := dir.Child(e.Name)
	if old == nil {
		return dir.Put(e.Name, e.Inode)
	}
	if e.Inode.Mode.IsDir() && old.Mode.Type() == TypeSymlink {
		behind, err := t.ResolveDir(path, false)
		if err != nil {
			return fmt.Errorf("%s is %s and %s: %w", path, old.describe(), e.Inode.describe(), errors.Join(ErrConflict, err))
		}
		return t.merge(path, behind, e.Inode)
	}
	if old.Mode.Type() != e.Inode.Mode.Type() {
		return fmt.Errorf("%s is %s and %s: %w", path, old.describe(), e.Inode.describe(), ErrConflict)
	}
	if e.Inode.Mode.IsDir() {
		return t.merge(path, old, e.Inode)
	}
	return dir.Put(e.Name, e.Inode)
}
