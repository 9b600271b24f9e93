package ext4

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"sextant/internal/openfile"
	"sextant/internal/symlink"
	"sextant/internal/tree"
)

// maxLinksFollowed is what the kernel allows on one path (MAXSYMLINKS).
const maxLinksFollowed = 40

var (
	_ fs.ReadDirFS  = (*FS)(nil)
	_ fs.StatFS     = (*FS)(nil)
	_ fs.ReadLinkFS = (*FS)(nil)
)

// resolve returns the inode at path. The last name is followed if it is a
// symbolic link only where follow says so.
func (f *FS) resolve(path string, follow bool) (*node, error) {
	root, err := f.node(RootInode)
	if err != nil {
		return nil, err
	}
	if !root.mode().IsDir() {
		return nil, corrupt("inode %d: the root is not a directory", RootInode)
	}
	n, _, err := symlink.Follow(links{f}, root, path, symlink.Rules{Links: maxLinksFollowed, Stay: !follow})
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fs.ErrNotExist
	}
	return nil, err
}

// links reads the directories for package symlink.
type links struct{ fs *FS }

func (l links) Child(way []*node, name string) (*node, symlink.Kind, error) {
	number, err := l.fs.lookup(way[len(way)-1], name)
	if err != nil {
		return nil, symlink.Other, err
	}
	n, err := l.fs.node(number)
	if err != nil {
		return nil, symlink.Other, err
	}
	return n, n.mode().LinkKind(), nil
}

func (l links) Target(link *node) (string, error) { return l.fs.target(link) }

// find is resolve with io/fs's rules for paths and errors.
func (f *FS) find(op, path string, follow bool) (*node, error) {
	if !fs.ValidPath(path) {
		return nil, &fs.PathError{Op: op, Path: path, Err: fs.ErrInvalid}
	}
	n, err := f.resolve(path, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: path, Err: err}
	}
	return n, nil
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Open opens a file or directory by its path. Files of any type can be opened;
// only regular ones can be read.
func (f *FS) Open(path string) (fs.File, error) {
	n, err := f.find("open", path, true)
	if err != nil {
		return nil, err
	}
	i := info{baseName(path), f, n}
	switch {
	case n.mode().IsDir():
		return openfile.Dir(i, func() ([]fs.DirEntry, error) { return f.readDir(n) }), nil
	case n.mode().IsRegular():
		c, err := f.content(n)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("inode %d: %w", n.number, err)}
		}
		return openfile.Regular(i, c), nil
	}
	return openfile.Special(i), nil
}

// Stat returns the attributes of the file at path, whose Sys is a *Stat.
func (f *FS) Stat(path string) (fs.FileInfo, error) { return f.statPath("stat", path, true) }

// Lstat is Stat without following a link at the end of path.
func (f *FS) Lstat(path string) (fs.FileInfo, error) { return f.statPath("lstat", path, false) }

func (f *FS) statPath(op, path string, follow bool) (fs.FileInfo, error) {
	n, err := f.find(op, path, follow)
	if err != nil {
		return nil, err
	}
	return info{baseName(path), f, n}, nil
}

// ReadLink returns the target of the symbolic link at path.
func (f *FS) ReadLink(path string) (string, error) {
	n, err := f.find("readlink", path, false)
	if err != nil {
		return "", err
	}
	if n.mode().Type() != tree.TypeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: path, Err: fs.ErrInvalid}
	}
	target, err := f.target(n)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: path, Err: fmt.Errorf("inode %d: %w", n.number, err)}
	}
	return target, nil
}

// Xattrs returns the extended attributes of the file at path, sorted by name,
// as listxattr and getxattr show them to root. It does not follow a link at the
// end of path.
func (f *FS) Xattrs(path string) ([]tree.Xattr, error) {
	n, err := f.find("listxattr", path, false)
	if err != nil {
		return nil, err
	}
	list, err := f.xattrs(n, newXattrValues())
	if err != nil {
		return nil, &fs.PathError{Op: "listxattr", Path: path, Err: fmt.Errorf("inode %d: %w", n.number, err)}
	}
	return list, nil
}

// Inode returns the file at path with all that belongs to it but, of a
// directory, the entries. It does not follow a link at the end of path.
func (f *FS) Inode(path string) (*tree.Inode, error) {
	n, err := f.find("read", path, false)
	if err != nil {
		return nil, err
	}
	file, err := f.newBuilder().inode(n.number, path)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return file, nil
}

// ReadDir returns the entries of the directory at path, sorted by name. An entry
// reads its inode when asked for its Info.
func (f *FS) ReadDir(path string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", path, true)
	if err != nil {
		return nil, err
	}
	list, err := f.readDir(n)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: path, Err: err}
	}
	return list, nil
}

func (f *FS) readDir(n *node) ([]fs.DirEntry, error) {
	var list []fs.DirEntry
	for e, err := range f.children(n) {
		if err != nil {
			return nil, fmt.Errorf("inode %d: %w", n.number, err)
		}
		entry, err := f.dirEntry(e)
		if err != nil {
			return nil, err
		}
		list = append(list, entry)
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for i := range list {
		if i > 0 && list[i].Name() == list[i-1].Name() {
			return nil, corrupt("inode %d: two entries %q", n.number, list[i].Name())
		}
	}
	return list, nil
}

// dirEntry makes an fs.DirEntry of an entry. Where that does not tell the type,
// the inode does.
func (f *FS) dirEntry(e dirent) (fs.DirEntry, error) {
	name := string(e.name)
	if mode, ok := e.fileType.mode(); ok {
		return entry{name, f, e.inode, mode.FileMode()}, nil
	}
	n, err := f.node(e.inode)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return info{name, f, n}, nil
}

// entry is an fs.DirEntry whose inode was not read yet.
type entry struct {
	name   string
	fs     *FS
	number uint32
	mode   fs.FileMode
}

func (e entry) Name() string      { return e.name }
func (e entry) Type() fs.FileMode { return e.mode }
func (e entry) IsDir() bool       { return e.mode.IsDir() }
func (e entry) String() string    { return fs.FormatDirEntry(e) }

func (e entry) Info() (fs.FileInfo, error) {
	n, err := e.fs.node(e.number)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: e.name, Err: err}
	}
	return info{e.name, e.fs, n}, nil
}
