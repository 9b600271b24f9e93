package sysroot

import (
	"cmp"
	"io"
	"io/fs"
	"path"
	"slices"

	"sextant/internal/openfile"
	"sextant/internal/tree"
)

var (
	_ fs.StatFS     = (*Root)(nil)
	_ fs.ReadDirFS  = (*Root)(nil)
	_ fs.ReadFileFS = (*Root)(nil)
	_ fs.ReadLinkFS = (*Root)(nil)
)

// find resolves a name by the rules of io/fs.
func (r *Root) find(op, name string, follow bool) (string, *tree.Inode, error) {
	if !fs.ValidPath(name) {
		return "", nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	at, node, err := r.resolve(name, follow)
	if err == nil && node == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return "", nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return at, node, nil
}

// Open opens a file or directory, following links.
func (r *Root) Open(name string) (fs.File, error) {
	at, node, err := r.find("open", name, true)
	if err != nil {
		return nil, err
	}
	i := node.Stat(path.Base(name))
	switch {
	case node.Mode.IsDir():
		return openfile.Dir(i, func() ([]fs.DirEntry, error) { return r.list(at) }), nil
	case !node.Mode.IsRegular():
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	content := node.Content
	if content == nil {
		content = tree.Bytes(nil)
	}
	reader, err := content.Open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return openfile.Regular(i, reader), nil
}

// Stat returns the attributes of what a name leads to. The Sys of the result
// is a *tree.Inode.
func (r *Root) Stat(name string) (fs.FileInfo, error) {
	_, node, err := r.find("stat", name, true)
	return node.Stat(path.Base(name)), err
}

// Lstat is Stat, but does not follow a link that is the last name.
func (r *Root) Lstat(name string) (fs.FileInfo, error) {
	_, node, err := r.find("lstat", name, false)
	return node.Stat(path.Base(name)), err
}

// ReadLink returns the target of a symbolic link.
func (r *Root) ReadLink(name string) (string, error) {
	_, node, err := r.find("readlink", name, false)
	if err == nil && node.Mode.Type() != tree.TypeSymlink {
		err = &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return "", err
	}
	return node.Target, nil
}

// ReadFile reads a whole file.
func (r *Root) ReadFile(name string) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// ReadDir lists a directory, following links to it, sorted by name.
func (r *Root) ReadDir(name string) ([]fs.DirEntry, error) {
	at, node, err := r.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	if !node.Mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return r.list(at)
}

func (r *Root) list(at string) (entries []fs.DirEntry, err error) {
	_, changed := r.changed[at]
	m, inside := r.mount(at)
	if m.FS != nil && !r.gone(at) {
		entries, err = fs.ReadDir(m.FS, inside)
		if err != nil && !changed {
			return nil, err
		}
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return r.children[at][e.Name()] })
	for child := range r.children[at] {
		if node := r.changed[path.Join(at, child)]; node != nil {
			entries = append(entries, fs.FileInfoToDirEntry(node.Stat(child)))
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return cmp.Compare(a.Name(), b.Name()) })
	return entries, nil
}
