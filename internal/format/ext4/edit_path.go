package ext4

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"sextant/internal/tree"
)

// place is a name in a directory, and what is there.
type place struct {
	dir   *node
	name  string // empty for the root
	block dirBlock
	entry dirent
	node  *node // nil if nothing is there
}

// find follows a path without following symbolic links.
func (e *Editor) find(path string) (place, error) {
	names := tree.Split(path)
	root, err := e.load(RootInode)
	if err == nil && !root.mode().IsDir() {
		err = corrupt("the root is not a directory")
	}
	p := place{node: root}
	for i, name := range names {
		if err != nil {
			return p, err
		}
		above := strings.Join(names[:i], "/")
		if p.node == nil {
			return p, fmt.Errorf("directory %s: %w", above, fs.ErrNotExist)
		}
		if !p.node.mode().IsDir() {
			return p, fmt.Errorf("%s is a %s, not a directory: %w", above, p.node.mode().Kind(), fs.ErrInvalid)
		}
		p, err = e.step(p.node, name)
	}
	return p, err
}

func (e *Editor) step(dir *node, name string) (place, error) {
	p := place{dir: dir, name: name}
	if err := tree.CheckName(name); err != nil {
		return p, fmt.Errorf("%w: %w", fs.ErrInvalid, err)
	}
	var err error
	p.block, p.entry, err = e.entry(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("inode %d: %w", dir.number, err)
	}
	if e.fs.isSpecial(p.entry.inode) || p.entry.inode == RootInode {
		return p, corrupt("entry %q of the special inode %d", name, p.entry.inode)
	}
	p.node, err = e.load(p.entry.inode)
	return p, err
}

// Put makes the file at path, whose directory must be there, or replaces what is
// there. Symbolic links are not followed. A file that replaces another is a new
// one, as after a rename: other names of the old one keep what it was. A
// directory that is there already keeps what is in it and gets the attributes of
// file, whose entries do not count. Nothing else replaces a directory: that is
// fs.ErrExist.
//
// A file that is no directory, when it is put a second time, becomes another
// name of the first.
func (e *Editor) Put(path string, file *tree.Inode) error {
	return e.run("put", path, func(p place) error { return e.checkPut(p, file) },
		func(p place) error { return e.put(p, file) })
}

// Set gives the file at path the owner, mode, time and extended attributes of
// file.
func (e *Editor) Set(path string, file *tree.Inode) error {
	return e.run("set", path, func(p place) error { return e.checkSet(p, file) },
		func(p place) error { return e.set(p.node, file) })
}

// Remove removes the file or the empty directory at path.
func (e *Editor) Remove(path string) error {
	return e.run("remove", path, func(p place) error { return e.checkRemove(p, false) }, e.remove)
}

// RemoveAll removes what is at path and all that is in it. It is no error if
// there is nothing.
func (e *Editor) RemoveAll(path string) error {
	err := e.run("remove", path, func(p place) error { return e.checkRemove(p, true) }, e.remove)
	if errors.Is(err, fs.ErrNotExist) && e.failed == nil {
		return nil
	}
	return err
}

// run finds a place, checks a change and does it. Errors from before the first
// change leave the Editor as it was; later ones break it, as memory then holds
// half of the change.
func (e *Editor) run(what, path string, check, do func(place) error) error {
	if e.failed != nil {
		return e.failed
	}
	p, err := e.find(path)
	if err == nil {
		err = check(p)
	}
	if err == nil {
		err = do(p)
		e.failed = err
	}
	if err != nil {
		err = fmt.Errorf("%s %s: %w", what, path, err)
	}
	return err
}

// checkChange wants the inode to be one that root may change.
func checkChange(n *node, not InodeFlags) error {
	if flags := n.disk.Flags & not; flags != 0 {
		return fmt.Errorf("inode %d is %s: %w", n.number, flags, fs.ErrPermission)
	}
	return nil
}

func (e *Editor) checkSet(p place, file *tree.Inode) error {
	if p.node == nil {
		return fs.ErrNotExist
	}
	if file.Mode.Type() != p.node.mode().Type() {
		return fmt.Errorf("there is a %s and no %s: %w", p.node.mode().Kind(), file.Mode.Kind(), fs.ErrExist)
	}
	if err := checkChange(p.node, FlagImmutable|FlagAppend); err != nil {
		return err
	}
	_, err := e.planXattrs(p.node, file.Xattrs)
	return err
}

func (e *Editor) checkPut(p place, file *tree.Inode) error {
	if p.node != nil && p.node.mode().IsDir() || p.name == "" {
		return e.checkSet(p, file)
	}
	if p.node != nil {
		if file.Mode.IsDir() {
			return fmt.Errorf("there is a %s: %w", p.node.mode().Kind(), fs.ErrExist)
		}
		if err := checkChange(p.node, FlagImmutable|FlagAppend); err != nil {
			return err
		}
	}
	not := FlagImmutable
	if p.node != nil {
		not |= FlagAppend
	}
	if err := checkChange(p.dir, not); err != nil {
		return err
	}
	if file.Mode.IsDir() && !e.mayHaveSubdir(p.dir) {
		return fmt.Errorf("%d directories in one: %w", p.dir.disk.Links, ErrLimit)
	}
	return e.checkFile(file)
}

// checkFile wants a file to be one that the file system can hold.
func (e *Editor) checkFile(file *tree.Inode) error {
	var n node
	n.record = make([]byte, e.fs.geo.InodeSize)
	if len(n.record) > inodeSize0 {
		n.disk.ExtraSize = uint16(min(len(n.record)-inodeSize0, e.fs.extraSize()))
	}
	if _, err := e.planXattrs(&n, file.Xattrs); err != nil {
		return err
	}
	switch {
	case file.Mode.Kind() == "unknown":
		return fmt.Errorf("file type %#o: %w", uint16(file.Mode.Type()), fs.ErrInvalid)
	case file.Mode.IsRegular() && file.Content == nil:
		return fmt.Errorf("file without content: %w", fs.ErrInvalid)
	case file.Mode.Type() == tree.TypeSymlink:
		if size := int64(len(file.Target)); size == 0 || size >= min(e.fs.geo.BlockSize, 4096) || strings.IndexByte(file.Target, 0) >= 0 {
			return fmt.Errorf("symbolic link of %d bytes: %w", size, fs.ErrInvalid)
		}
	case file.Mode.IsDevice() && (file.Device.Major > 0xfff || file.Device.Minor > 0xfffff):
		return fmt.Errorf("device %d:%d: %w", file.Device.Major, file.Device.Minor, fs.ErrInvalid)
	}
	return nil
}

func (e *Editor) checkRemove(p place, all bool) error {
	switch {
	case p.name == "":
		return fmt.Errorf("the root: %w", fs.ErrInvalid)
	case p.node == nil:
		return fs.ErrNotExist
	}
	if err := checkChange(p.dir, FlagImmutable|FlagAppend); err != nil {
		return err
	}
	if err := checkChange(p.node, FlagImmutable|FlagAppend); err != nil {
		return err
	}
	if !p.node.mode().IsDir() || all {
		return nil
	}
	empty, err := e.isEmpty(p.node)
	if err == nil && !empty {
		err = fmt.Errorf("directory is not empty: %w", fs.ErrExist)
	}
	return err
}
