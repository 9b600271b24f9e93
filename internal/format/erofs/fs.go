package erofs

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"sextant/internal/openfile"
	"sextant/internal/symlink"
	"sextant/internal/tree"
)

// FS implements these interfaces.
var (
	_ fs.ReadDirFS  = (*FS)(nil)
	_ fs.ReadFileFS = (*FS)(nil)
	_ fs.StatFS     = (*FS)(nil)
	_ fs.ReadLinkFS = (*FS)(nil)
)

const (
	// maxLinks is how many symbolic links a path can go through, as in Linux.
	maxLinks = 40

	// maxReadFile is the size up to which ReadFile reads a file.
	maxReadFile = 1 << 30
)

// resolve returns the inode at name, following symbolic links on the way and,
// if follow is set, at its end.
func (f *FS) resolve(name string, follow bool) (*Inode, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrInvalid
	}
	root, err := f.Root()
	if err != nil {
		return nil, err
	}
	node, _, err := symlink.Follow(links{f}, root, name, symlink.Rules{Links: maxLinks, Stay: !follow})
	if err != nil {
		return nil, err
	}
	return node, nil
}

// links reads the directories for package symlink.
type links struct{ *FS }

func (f links) Child(way []*Inode, name string) (*Inode, symlink.Kind, error) {
	nid, ok, err := way[len(way)-1].Lookup(name)
	if err != nil {
		return nil, symlink.Other, err
	}
	if !ok {
		return nil, symlink.Other, fs.ErrNotExist
	}
	node, err := f.Inode(nid)
	if err != nil {
		return nil, symlink.Other, err
	}
	if node.Mode.IsDir() && slices.ContainsFunc(way, func(d *Inode) bool { return d.NID == nid }) {
		return nil, symlink.Other, corrupt("directory %d is inside itself", nid)
	}
	return node, node.Mode.LinkKind(), nil
}

func (f links) Target(link *Inode) (string, error) { return link.Target() }

// at resolves name for the operation op.
func (f *FS) at(op, name string, follow bool) (*Inode, error) {
	node, err := f.resolve(name, follow)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return node, nil
}

// Open implements fs.FS. What it returns is an io.ReaderAt and io.Seeker for a
// regular file and an fs.ReadDirFile for a directory. Symbolic links are
// followed.
func (f *FS) Open(name string) (fs.File, error) {
	node, err := f.at("open", name, true)
	if err != nil {
		return nil, err
	}
	info := fileInfo{path.Base(name), node}
	switch {
	case node.Mode.IsDir():
		return openfile.Dir(info, node.list), nil
	case node.Mode.IsRegular():
		r, err := node.Reader()
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return openfile.Regular(info, r), nil
	}
	return openfile.Special(info), nil
}

// Stat implements fs.StatFS. Symbolic links are followed. The FileInfo's Sys
// returns the *Inode.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	node, err := f.at("stat", name, true)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), node}, nil
}

// Lstat implements fs.ReadLinkFS: Stat that does not follow name itself.
func (f *FS) Lstat(name string) (fs.FileInfo, error) {
	node, err := f.at("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), node}, nil
}

// ReadLink implements fs.ReadLinkFS.
func (f *FS) ReadLink(name string) (string, error) {
	node, err := f.at("readlink", name, false)
	if err != nil {
		return "", err
	}
	target, err := node.Target()
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return target, nil
}

// ReadDir implements fs.ReadDirFS.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	node, err := f.at("readdir", name, true)
	if err != nil {
		return nil, err
	}
	list, err := node.list()
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	return list, nil
}

// ReadFile implements fs.ReadFileFS. It refuses files over 1 GiB: a hole in a
// small image can be of any size.
func (f *FS) ReadFile(name string) ([]byte, error) {
	node, err := f.at("read", name, true)
	if err != nil {
		return nil, err
	}
	p, err := node.readAll()
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return p, nil
}

func (i *Inode) readAll() ([]byte, error) {
	r, err := i.Reader()
	if err != nil {
		return nil, err
	}
	if i.Size > maxReadFile {
		return nil, fmt.Errorf("%d bytes are too many to read at once", i.Size)
	}
	p := make([]byte, i.Size)
	if n, err := r.ReadAt(p, 0); n < len(p) {
		return nil, err
	}
	return p, nil
}

// list returns the entries of a directory as fs.ReadDirFS gives them.
func (i *Inode) list() ([]fs.DirEntry, error) {
	entries, err := i.Entries()
	if err != nil {
		return nil, err
	}
	list := make([]fs.DirEntry, 0, len(entries))
	for _, e := range entries {
		if e.Name != "." && e.Name != ".." {
			list = append(list, dirEntry{e, i.fs})
		}
	}
	return list, nil
}

// fileInfo is an inode under a name.
type fileInfo struct {
	name string
	node *Inode
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.node.Size }
func (i fileInfo) Mode() fs.FileMode  { return i.node.Mode.FileMode() }
func (i fileInfo) ModTime() time.Time { return i.node.ModTime }
func (i fileInfo) IsDir() bool        { return i.node.Mode.IsDir() }
func (i fileInfo) Sys() any           { return i.node }
func (i fileInfo) String() string     { return fs.FormatFileInfo(i) }

// dirEntry is an fs.DirEntry.
type dirEntry struct {
	DirEntry
	f *FS
}

func (e dirEntry) Name() string      { return e.DirEntry.Name }
func (e dirEntry) IsDir() bool       { return e.DirEntry.Type == DirType }
func (e dirEntry) Type() fs.FileMode { return e.DirEntry.Type.mode().FileMode().Type() }
func (e dirEntry) String() string    { return fs.FormatDirEntry(e) }

func (e dirEntry) Info() (fs.FileInfo, error) {
	node, err := e.f.Inode(e.NID)
	if err != nil {
		return nil, err
	}
	return fileInfo{e.DirEntry.Name, node}, nil
}

// mode returns the type bits of inodes of type t.
func (t FileType) mode() tree.Mode {
	modes := [...]tree.Mode{0, tree.TypeRegular, tree.TypeDir, tree.TypeChar, tree.TypeBlock,
		tree.TypeFIFO, tree.TypeSocket, tree.TypeSymlink}
	if int(t) < len(modes) {
		return modes[t]
	}
	return 0
}
