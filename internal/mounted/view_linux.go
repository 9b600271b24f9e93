package mounted

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"sextant/internal/linux/dir"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// oldTime is the modification time that a directory had.
type oldTime struct {
	dir  string
	time time.Time
}

// view shows a mounted file system as io/fs has it.
type view struct{ root *os.Root }

var (
	_ fs.ReadDirFS  = view{}
	_ fs.StatFS     = view{}
	_ fs.ReadLinkFS = view{}
)

// check refuses names that lead through links: an absolute one would begin at
// this system's root.
func (v view) check(op, name string) error {
	err := fs.ErrInvalid
	if fs.ValidPath(name) {
		err = plainDir(v.root, path.Dir(name))
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// Open opens a file or directory.
func (v view) Open(name string) (fs.File, error) {
	state, err := v.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !state.Mode().IsRegular() && !state.IsDir() {
		// A device would be opened, a pipe would wait.
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("is a " + tree.ModeOf(state.Mode()).Kind())}
	}
	return v.root.Open(name)
}

// Stat is Lstat.
func (v view) Stat(name string) (fs.FileInfo, error) { return v.Lstat(name) }

// Lstat returns the state of what is at name; its Sys is a *tree.Inode.
func (v view) Lstat(name string) (fs.FileInfo, error) {
	if err := v.check("lstat", name); err != nil {
		return nil, err
	}
	state, err := v.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	node, err := v.inode(name)
	if err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: name, Err: err}
	}
	return info{state, node}, nil
}

// inode reads all that lstat(2) and listxattr(2) say.
func (v view) inode(name string) (*tree.Inode, error) {
	parent, err := v.root.Open(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	d, err := dir.Open(pathOf(parent))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	st, err := d.Stat(path.Base(name))
	if err != nil {
		return nil, err
	}
	node := &tree.Inode{
		Mode: tree.Mode(st.Mode), UID: st.UID, GID: st.GID, ModTime: st.ModTime,
		Device: tree.Device{Major: st.Major, Minor: st.Minor},
	}
	switch node.Mode.Type() {
	case tree.TypeSymlink:
		node.Target, err = d.Readlink(path.Base(name))
	case tree.TypeRegular:
		node.Content = content{v, name, st.Size}
	}
	if err != nil {
		return nil, err
	}
	list, err := dir.Xattrs(pathOf(parent)+"/"+path.Base(name), func(string) bool { return true })
	for _, x := range list {
		node.PutXattr(x.Name, x.Value)
	}
	return node, err
}

// ReadLink returns the target of the symbolic link at name.
func (v view) ReadLink(name string) (string, error) {
	if err := v.check("readlink", name); err != nil {
		return "", err
	}
	return v.root.Readlink(name)
}

// ReadDir returns the entries of the directory at name, sorted.
func (v view) ReadDir(name string) ([]fs.DirEntry, error) {
	d, err := v.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	reader, ok := d.(fs.ReadDirFile)
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("is not a directory")}
	}
	list, err := reader.ReadDir(-1)
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, err
}

// info is a state that tells an inode.
type info struct {
	fs.FileInfo
	node *tree.Inode
}

// Sys returns a *tree.Inode.
func (i info) Sys() any { return i.node }

// content is that of a file of the view.
type content struct {
	view view
	name string
	size int64
}

// Size returns the length in bytes.
func (c content) Size() int64 { return c.size }

// Extents returns the whole file as one span.
func (c content) Extents() []span.Span { return span.Whole(c.size) }

// Open opens the file.
func (c content) Open() (tree.Reader, error) { return c.view.root.Open(c.name) }
