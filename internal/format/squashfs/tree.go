package squashfs

import (
	"fmt"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

// Tree returns the whole file system as a tree. Names of one inode lead to one
// tree.Inode. Contents are read from the image when they are asked for.
func (fs *FS) Tree() (*tree.Tree, error) {
	defer fs.readAhead()()
	b := builder{fs: fs, nodes: make(map[uint32]built)}
	root, err := b.node(fs.root)
	if err != nil {
		return nil, fmt.Errorf("read squashfs: /: %w", err)
	}
	b.nodes[fs.root.number] = built{fs.root.ref, root}
	if err := b.fill(nil, fs.root, root); err != nil {
		return nil, fmt.Errorf("read squashfs: %w", err)
	}
	return &tree.Tree{Root: root}, nil
}

// maxDepth is how deep directories may lie in each other: the most that a path
// which Linux accepts can name (half of PATH_MAX).
const maxDepth = 2048

func tooDeep() error {
	return fmt.Errorf("more than %d directories in each other: %w", maxDepth, fault.ErrUnsupported)
}

// trail is a path, as links from its end to the root, which is nil. Spelled
// out, the paths of a crafted image could take gigabytes.
type trail struct {
	up    *trail
	name  string
	depth int
}

func (t *trail) down(name string) *trail {
	if t == nil {
		return &trail{nil, name, 1}
	}
	return &trail{t, name, t.depth + 1}
}

// String gives the path from the root on.
func (t *trail) String() string {
	if t == nil {
		return "/"
	}
	if t.up == nil {
		return "/" + t.name
	}
	return t.up.String() + "/" + t.name
}

type builder struct {
	fs      *FS
	nodes   map[uint32]built // by inode number
	entries int
}

type built struct {
	ref  Ref
	node *tree.Inode
}

func (b *builder) fill(path *trail, dir *inode, into *tree.Inode) error {
	list, err := b.fs.entries(dir)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if b.entries += len(list); b.entries > maxEntries {
		return tooMany()
	}
	for i := range list {
		if err := b.add(path.down(list[i].name), into, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) add(path *trail, into *tree.Inode, e *entry) error {
	if known, ok := b.nodes[e.number]; ok && known.ref == e.ref && e.kind != typeDir {
		return into.Put(e.name, known.node)
	} else if ok {
		return corrupt("%s: inode number %d has another file", path, e.number)
	}
	if path.depth > maxDepth {
		return tooDeep()
	}
	n, err := b.fs.child(e)
	if err != nil {
		return fmt.Errorf("%s: %w", path.up, err)
	}
	node, err := b.node(n)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	b.nodes[e.number] = built{e.ref, node}
	if err := into.Put(e.name, node); err != nil {
		return corrupt("%s: %w", path, err)
	}
	if n.kind == typeDir {
		return b.fill(path, n, node)
	}
	return nil
}

// node turns an inode into one without entries.
func (b *builder) node(n *inode) (node *tree.Inode, err error) {
	node = &tree.Inode{
		Mode: n.treeMode(), UID: n.uid, GID: n.gid, ModTime: n.modTime(), Device: n.treeDevice(),
	}
	if node.Xattrs, err = b.fs.xattrsOf(n); err != nil {
		return nil, err
	}
	switch n.kind {
	case typeFile:
		node.Content = content{b.fs, n}
	case typeSymlink:
		node.Target, err = b.fs.target(n)
	}
	return node, err
}
