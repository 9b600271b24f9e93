package erofs

import (
	"fmt"
	"strings"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// Tree returns all files of the image. Contents stay in the image and are read
// from it when opened. Names with the same inode number are one Inode.
func (f *FS) Tree() (*tree.Tree, error) {
	b := treeBuilder{walker: newWalker(f), nodes: make(map[uint64]*tree.Inode)}
	err := b.walk(func(v visit) error {
		if v.err != nil {
			return fmt.Errorf("%s: %w", v.path, v.err)
		}
		if err := b.add(v); err != nil {
			return fmt.Errorf("%s: %w", v.path, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &tree.Tree{Root: b.nodes[f.rootNID]}, nil
}

type treeBuilder struct {
	*walker
	nodes map[uint64]*tree.Inode
}

func (b *treeBuilder) add(v visit) error {
	node := b.nodes[v.inode.NID]
	if node == nil {
		var err error
		if node, err = b.node(v); err != nil {
			return err
		}
		b.nodes[v.inode.NID] = node
	}
	if v.parent == nil {
		return nil
	}
	return b.nodes[v.parent.NID].Put(v.entry.Name, node)
}

func (b *treeBuilder) node(v visit) (node *tree.Inode, err error) {
	i := v.inode
	node = &tree.Inode{
		Mode: i.Mode, UID: i.UID, GID: i.GID, ModTime: i.ModTime, Device: i.Device,
		Xattrs: v.xattrs, Origin: v.path,
	}
	switch i.Mode.Type() {
	case tree.TypeRegular:
		node.Content, err = newFileContent(i)
	case tree.TypeSymlink:
		node.Target, err = i.Target()
	}
	return node, err
}

// fileContent is a tree.Content in an image.
type fileContent struct {
	i    *Inode
	data []span.Span
}

func newFileContent(i *Inode) (*fileContent, error) {
	c, err := i.content()
	if err != nil {
		return nil, err
	}
	data, err := c.extents()
	return &fileContent{i, data}, err
}

func (c *fileContent) Size() int64                { return c.i.Size }
func (c *fileContent) Extents() []span.Span       { return c.data }
func (c *fileContent) Open() (tree.Reader, error) { return c.i.Reader() }

// visit is one name that a walk comes to.
type visit struct {
	path   string
	entry  DirEntry
	parent *Inode // nil for the root
	inode  *Inode // nil if it can not be read
	xattrs []tree.Xattr
	again  bool // another name of an inode that was visited before
	err    error
}

// maxPath is the length of the longest path that a walk follows (PATH_MAX). It
// keeps deep trees from taking memory by the square of their depth.
const maxPath = 4095

// walker goes through all names of an image. What it reads is bounded by the
// length of the image, as in a good image no byte belongs to two inodes: more
// than that is fault.ErrCorrupt.
type walker struct {
	f       *FS
	seen    map[uint64]*Inode
	xattrs  map[uint64][]tree.Xattr
	shared  map[uint32]tree.Xattr
	records int64 // bytes of inodes, xattrs and chunk tables
	dirs    int64 // bytes of directories
	values  int64 // bytes of shared xattrs
}

func newWalker(f *FS) *walker {
	return &walker{
		f:      f,
		seen:   make(map[uint64]*Inode),
		xattrs: make(map[uint64][]tree.Xattr),
		shared: make(map[uint32]tree.Xattr),
	}
}

// walk calls see for every name, a directory before what is in it. It goes on
// after faults, which are in visit.err, until see returns an error.
func (w *walker) walk(see func(v visit) error) error {
	root := w.visit(visit{path: "/", entry: DirEntry{NID: w.f.rootNID, Type: DirType}})
	if err := see(root); err != nil || root.inode == nil {
		return err
	}
	for todo := []visit{root}; len(todo) > 0; {
		dir := todo[0]
		todo = todo[1:]
		subdirs, err := w.list(dir, see)
		if err != nil {
			return err
		}
		todo = append(todo, subdirs...)
	}
	return nil
}

// list visits the entries of a directory and returns those to list next.
func (w *walker) list(dir visit, see func(v visit) error) (subdirs []visit, err error) {
	entries, err := w.entries(dir.inode)
	if err != nil {
		return nil, see(visit{path: dir.path, entry: dir.entry, inode: dir.inode, again: true, err: err})
	}
	for _, e := range entries {
		if e.Name == "." || e.Name == ".." {
			continue
		}
		v := w.visit(visit{
			path:   strings.TrimSuffix(dir.path, "/") + "/" + e.Name,
			entry:  e,
			parent: dir.inode,
		})
		if err := see(v); err != nil {
			return nil, err
		}
		if v.inode != nil && v.inode.Mode.IsDir() && !v.again {
			subdirs = append(subdirs, v)
		}
	}
	return subdirs, nil
}

// visit fills in the inode of v.
func (w *walker) visit(v visit) visit {
	if len(v.path) > maxPath {
		v.err = unsupported("the path has %d bytes", len(v.path))
		return v
	}
	if known := w.seen[v.entry.NID]; known != nil {
		v.inode, v.xattrs, v.again = known, w.xattrs[v.entry.NID], true
		if known.Mode.IsDir() {
			v.err = corrupt("directory %d has two names", v.entry.NID)
		}
		return v
	}
	i, err := w.f.Inode(v.entry.NID)
	if err != nil {
		v.err = err
		return v
	}
	v.inode = i
	w.seen[i.NID] = i
	if w.records += i.recordSize(); w.records > w.f.metadataLimit() {
		v.err = corrupt("inodes take more bytes than the image has")
		return v
	}
	v.xattrs, v.err = i.xattrs(w.sharedXattr)
	w.xattrs[i.NID] = v.xattrs
	if v.err == nil && v.entry.Type != UnknownType && v.entry.Type != fileTypeOf(i.Mode) {
		v.err = corrupt("its directory has it as a %s, inode %d is a %s", v.entry.Type, i.NID, i.Mode.Kind())
	}
	return v
}

// sharedXattr reads each shared entry once, so that all inodes have the same
// value in memory.
func (w *walker) sharedXattr(id uint32) (tree.Xattr, error) {
	if x, ok := w.shared[id]; ok {
		return x, nil
	}
	x, err := w.f.sharedXattr(id)
	if err != nil {
		return x, err
	}
	if w.values += int64(len(x.Name) + len(x.Value)); w.values > w.f.metadataLimit() {
		return x, corrupt("shared extended attributes take more bytes than the image has")
	}
	w.shared[id] = x
	return x, nil
}

func (w *walker) entries(dir *Inode) ([]DirEntry, error) {
	if w.dirs += dir.Size; w.dirs > w.f.metadataLimit() {
		return nil, corrupt("directories take more bytes than the image has")
	}
	return dir.Entries()
}
