package fat

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"sextant/internal/openfile"
	"sextant/internal/tree"
)

var (
	_ fs.ReadDirFS  = (*FS)(nil)
	_ fs.StatFS     = (*FS)(nil)
	_ fs.ReadLinkFS = (*FS)(nil)
)

// find is resolve with io/fs's rules for paths and errors.
func (f *FS) find(op, path string) (*node, error) {
	if !fs.ValidPath(path) {
		return nil, &fs.PathError{Op: op, Path: path, Err: fs.ErrInvalid}
	}
	n, err := f.resolve(path)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: path, Err: err}
	}
	return n, nil
}

// Open opens a file or directory by its path.
func (f *FS) Open(path string) (fs.File, error) {
	n, err := f.find("open", path)
	if err != nil {
		return nil, err
	}
	if n.isDir() {
		return openfile.Dir(f.stat(n), func() ([]fs.DirEntry, error) { return f.readDir(n) }), nil
	}
	r, err := f.content(n).open()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return openfile.Regular(f.stat(n), r), nil
}

// Stat returns the attributes of the file at path, whose Sys is a *tree.Inode.
func (f *FS) Stat(path string) (fs.FileInfo, error) {
	n, err := f.find("stat", path)
	if err != nil {
		return nil, err
	}
	return f.stat(n), nil
}

// Lstat is Stat, as there are no symbolic links.
func (f *FS) Lstat(path string) (fs.FileInfo, error) { return f.Stat(path) }

// ReadLink returns an error: no file is a symbolic link.
func (f *FS) ReadLink(path string) (string, error) {
	if _, err := f.find("readlink", path); err != nil {
		return "", err
	}
	return "", &fs.PathError{Op: "readlink", Path: path, Err: fs.ErrInvalid}
}

// ReadDir returns the entries of the directory at path, sorted by name.
func (f *FS) ReadDir(path string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", path)
	if err == nil && !n.isDir() {
		err = &fs.PathError{Op: "readdir", Path: path, Err: errors.New("is not a directory")}
	}
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
	nodes, err := f.children(n)
	if err != nil {
		return nil, err
	}
	list := make([]fs.DirEntry, len(nodes))
	for i, child := range nodes {
		list[i] = fs.FileInfoToDirEntry(f.stat(child))
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

func (f *FS) stat(n *node) fs.FileInfo { return f.inode(n).Stat(n.name) }

// inode gives a file as a tree has it, a directory without what is in it.
func (f *FS) inode(n *node) *tree.Inode {
	i := &tree.Inode{Mode: n.mode(), ModTime: n.modTime()}
	if !n.isDir() {
		i.Content = f.content(n)
	}
	return i
}

// maxDepth is how deep directories may lie inside each other: more have no path
// that Linux takes (PATH_MAX, with names of one byte).
const maxDepth = 2048

// Tree returns all files. Their Contents read from the image, which must stay
// open; a broken chain of clusters is an error when a Content is opened.
func (f *FS) Tree() (*tree.Tree, error) {
	b := &builder{fs: f, seen: make(map[uint32]bool), left: int64(f.geo.Clusters)*f.geo.ClusterSize + f.geo.RootSize}
	root := f.rootNode()
	t := &tree.Tree{Root: f.inode(root)}
	t.Root.Origin = "/"
	if err := b.fill(root, t.Root, "/", 0); err != nil {
		return nil, fmt.Errorf("read FAT tree: %w", err)
	}
	return t, nil
}

// builder makes a tree. What it counts down bounds the memory: by the size of
// the image, whatever its entries say.
type builder struct {
	fs   *FS
	seen map[uint32]bool // directories by their first cluster
	left int64           // bytes that directories can have
}

func (b *builder) fill(n *node, dir *tree.Inode, path string, depth int) error {
	if depth > maxDepth {
		return unsupported("directories lie more than %d deep in each other", maxDepth)
	}
	if b.seen[n.first] {
		return corrupt("%s: directory at cluster %d has another name too", path, n.first)
	}
	b.seen[n.first] = true
	nodes, err := b.fs.children(n)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if b.left -= int64(len(nodes)) * DirEntrySize; b.left < 0 {
		return corrupt("%s: directories larger than the file system", path)
	}
	for _, child := range nodes {
		inode := b.fs.inode(child)
		inode.Origin = strings.TrimSuffix(path, "/") + "/" + child.name
		if err := dir.Put(child.name, inode); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if child.isDir() {
			if err := b.fill(child, inode, inode.Origin, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}
