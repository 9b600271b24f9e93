package squashfs

import (
	"fmt"
	"io/fs"
	"path"
	"syscall"
	"time"

	"sextant/internal/openfile"
	"sextant/internal/symlink"
	"sextant/internal/tree"
)

// Stat is what Sys of a fs.FileInfo returns, as *Stat: the fields of an inode
// that io/fs has no place for.
type Stat struct {
	Inode    uint32 // its number
	Mode     tree.Mode
	UID, GID uint32
	Links    uint32
	Device   tree.Device // of block and character devices

	node *inode
}

// Xattrs reads the extended attributes, sorted by name.
func (s *Stat) Xattrs() ([]tree.Xattr, error) { return s.node.fs.xattrsOf(s.node) }

// info implements fs.FileInfo.
type info struct {
	name string
	node *inode
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(i.node.size) }
func (i info) Mode() fs.FileMode  { return i.node.treeMode().FileMode() }
func (i info) ModTime() time.Time { return i.node.modTime() }
func (i info) IsDir() bool        { return i.node.kind == typeDir }
func (i info) Sys() any {
	n := i.node
	return &Stat{
		Inode: n.number, Mode: n.treeMode(), UID: n.uid, GID: n.gid, Links: n.links,
		Device: n.treeDevice(), node: n,
	}
}

// Name returns the last part of the path.
func (e *entry) Name() string { return e.name }

// IsDir reports whether the entry is a directory.
func (e *entry) IsDir() bool { return e.kind == typeDir }

// Type returns the type bits.
func (e *entry) Type() fs.FileMode { return e.kind.treeType().FileMode().Type() }

// Info reads the inode.
func (e *entry) Info() (fs.FileInfo, error) {
	n, err := e.dir.fs.child(e)
	if err != nil {
		return nil, err
	}
	return info{e.name, n}, nil
}

func (e *entry) String() string { return fs.FormatDirEntry(e) }

// maxLinks is how many symbolic links a path may lead through (as on Linux).
const maxLinks = 40

// resolve returns the inode at a path. Symbolic links are followed inside the
// file system, whose root no path leaves; the last one if follow says so.
func (fs *FS) resolve(name string, follow bool) (*inode, error) {
	n, _, err := symlink.Follow(links{fs}, fs.root, name, symlink.Rules{Links: maxLinks, Stay: !follow})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// links reads the directories for package symlink.
type links struct{ fs *FS }

func (l links) Child(way []*inode, name string) (*inode, symlink.Kind, error) {
	e, ok, err := l.fs.find(way[len(way)-1], name)
	if err != nil {
		return nil, symlink.Other, err
	}
	if !ok {
		return nil, symlink.Other, fs.ErrNotExist
	}
	n, err := l.fs.child(&e)
	if err != nil {
		return nil, symlink.Other, err
	}
	return n, symlink.KindOf(n.kind == typeDir, n.kind == typeSymlink), nil
}

func (l links) Target(link *inode) (string, error) { return l.fs.target(link) }

// look resolves a path as the methods of io/fs take it.
func (fsys *FS) look(op, name string, follow bool) (*inode, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := fsys.resolve(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

// Open opens the named file, following symbolic links inside the image. Of
// devices, pipes and sockets only Stat can be asked.
func (fsys *FS) Open(name string) (fs.File, error) {
	n, err := fsys.look("open", name, true)
	if err != nil {
		return nil, err
	}
	i := info{path.Base(name), n}
	switch n.kind {
	case typeDir:
		return openfile.Dir(i, func() ([]fs.DirEntry, error) { return fsys.dirEntries(n) }), nil
	case typeFile:
		return openfile.Regular(i, &reader{fs: fsys, node: n, blocks: newBlocks(fsys, n)}), nil
	}
	return openfile.Special(i), nil
}

// Stat returns what Open and then Stat would.
func (fsys *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := fsys.look("stat", name, true)
	if err != nil {
		return nil, err
	}
	return info{path.Base(name), n}, nil
}

// Lstat is Stat, but does not follow the last symbolic link.
func (fsys *FS) Lstat(name string) (fs.FileInfo, error) {
	n, err := fsys.look("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return info{path.Base(name), n}, nil
}

// ReadLink returns the target of the named symbolic link.
func (fsys *FS) ReadLink(name string) (string, error) {
	n, err := fsys.look("readlink", name, false)
	if err != nil {
		return "", err
	}
	if n.kind != typeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	target, err := fsys.target(n)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

// ReadDir returns the entries of the named directory in the order of their
// names. It does not read their inodes.
func (fsys *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := fsys.look("readdir", name, true)
	if err != nil {
		return nil, err
	}
	list, err := fsys.dirEntries(n)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, nil
}

func (fsys *FS) dirEntries(n *inode) ([]fs.DirEntry, error) {
	if n.kind != typeDir {
		return nil, syscall.ENOTDIR
	}
	entries, err := fsys.entries(n)
	if err != nil {
		return nil, err
	}
	list := make([]fs.DirEntry, len(entries))
	for i := range entries {
		list[i] = &entries[i]
	}
	return list, nil
}

// Walk calls visit for every file below the root, a directory before what is
// in it, entries in the order of their names. Paths have no slash at the
// start. It is what fs.WalkDir does, in two thirds of the time, as it needs to
// look up no path. Walk stops at the first error other than fs.SkipDir.
func (fsys *FS) Walk(visit func(path string, e fs.DirEntry) error) error {
	defer fsys.readAhead()()
	return fsys.walk("", fsys.root, 0, visit)
}

func (fsys *FS) walk(prefix string, dir *inode, depth int, visit func(string, fs.DirEntry) error) error {
	if depth > maxDepth {
		return tooDeep()
	}
	list, err := fsys.entries(dir)
	if err != nil {
		return err
	}
	for i := range list {
		e := &list[i]
		path := prefix + e.name
		switch err := visit(path, e); {
		case err == fs.SkipDir:
			continue
		case err != nil:
			return err
		case e.kind != typeDir:
			continue
		}
		n, err := fsys.child(e)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := fsys.walk(path+"/", n, depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}
