package roottree

import (
	"errors"
	"io/fs"
	"path"

	"sextant/internal/openfile"
	"sextant/internal/tree"
)

// view shows a tree as io/fs has it. Links on the way are followed inside the
// tree; Open and Stat follow the last name too.
type view struct{ tree *tree.Tree }

var (
	_ fs.ReadDirFS  = view{}
	_ fs.StatFS     = view{}
	_ fs.ReadLinkFS = view{}
)

// find returns the inode at name.
func (v view) find(op, name string, follow bool) (*tree.Inode, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	look := v.tree.FollowLink
	if follow {
		look = v.tree.Follow
	}
	node, err := look(name)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return node, nil
}

// Open opens a file or directory.
func (v view) Open(name string) (fs.File, error) {
	node, err := v.find("open", name, true)
	if err != nil {
		return nil, err
	}
	i := node.Stat(path.Base(name))
	switch {
	case node.Mode.IsDir():
		return openfile.Dir(i, func() ([]fs.DirEntry, error) { return entries(node), nil }), nil
	case !node.Mode.IsRegular():
		return openfile.Special(i), nil
	}
	content := node.Content
	if content == nil {
		content = tree.Bytes(nil)
	}
	r, err := content.Open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return openfile.Regular(i, r), nil
}

// Stat returns the state of what is at name.
func (v view) Stat(name string) (fs.FileInfo, error) { return v.state("stat", name, true) }

// Lstat is Stat without following a link at the end of name.
func (v view) Lstat(name string) (fs.FileInfo, error) { return v.state("lstat", name, false) }

func (v view) state(op, name string, follow bool) (fs.FileInfo, error) {
	node, err := v.find(op, name, follow)
	if err != nil {
		return nil, err
	}
	return node.Stat(path.Base(name)), nil
}

// ReadLink returns the target of the symbolic link at name.
func (v view) ReadLink(name string) (string, error) {
	node, err := v.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if node.Mode.Type() != tree.TypeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return node.Target, nil
}

// ReadDir returns the entries of the directory at name, sorted.
func (v view) ReadDir(name string) ([]fs.DirEntry, error) {
	node, err := v.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !node.Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("is not a directory")}
	}
	return entries(node), nil
}

func entries(dir *tree.Inode) (list []fs.DirEntry) {
	for _, e := range dir.Entries() {
		list = append(list, fs.FileInfoToDirEntry(e.Inode.Stat(e.Name)))
	}
	return list
}
