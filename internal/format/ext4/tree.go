package ext4

import (
	"fmt"
	"strings"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// maxDepth is how deep directories may lie inside each other: more have no path
// that the kernel takes (PATH_MAX, with names of one byte).
const maxDepth = 2048

// Tree returns all files. Those with the same inode number are one tree.Inode.
// Their Contents read from the image, which must stay open. An encrypted file
// is an error only when its Content is opened, an encrypted directory or link
// at once.
func (f *FS) Tree() (*tree.Tree, error) {
	b := f.newBuilder()
	root, err := b.inode(RootInode, "/")
	if err == nil && !root.Mode.IsDir() {
		err = corrupt("inode %d: the root is not a directory", RootInode)
	}
	if err == nil {
		err = b.fill(RootInode, root, "/", 0)
	}
	if err != nil {
		return nil, fmt.Errorf("read ext4 tree: %w", err)
	}
	return &tree.Tree{Root: root}, nil
}

// builder makes a tree. What it counts down bounds the memory: by the size of
// the image, whatever its fields say.
type builder struct {
	fs     *FS
	inodes map[uint32]*tree.Inode
	values *xattrValues
	blocks uint64 // directory blocks that there can be
	xattrs int64  // attributes that there can be
}

func (f *FS) newBuilder() *builder {
	return &builder{
		fs:     f,
		inodes: make(map[uint32]*tree.Inode),
		values: newXattrValues(),
		blocks: f.geo.Blocks,
		xattrs: f.Size()/xattrEntrySize + 1<<16,
	}
}

// fill reads a directory into dir, and those inside it.
func (b *builder) fill(number uint32, dir *tree.Inode, path string, depth int) error {
	if depth > maxDepth {
		return unsupported("directories lie more than %d deep in each other", maxDepth)
	}
	n, err := b.fs.node(number)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !n.has(FlagInlineData) {
		b.blocks -= min(b.blocks, b.fs.sizeBlocks(n))
	}
	if b.blocks == 0 {
		return corrupt("%s: inode %d: directories larger than the file system", path, number)
	}
	var dirs []dirent
	for e, err := range b.fs.children(n) {
		if err != nil {
			return fmt.Errorf("%s: inode %d: %w", path, number, err)
		}
		isDir, err := b.add(dir, e, strings.TrimSuffix(path, "/")+"/"+string(e.name))
		if err != nil {
			return err
		}
		if isDir {
			dirs = append(dirs, dirent{inode: e.inode, name: []byte(string(e.name))})
		}
	}
	for _, e := range dirs {
		name := string(e.name)
		if err := b.fill(e.inode, dir.Child(name), strings.TrimSuffix(path, "/")+"/"+name, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// add puts an entry into dir.
func (b *builder) add(dir *tree.Inode, e dirent, path string) (isDir bool, err error) {
	if dir.Child(string(e.name)) != nil {
		return false, corrupt("%s: two entries of that name", path)
	}
	child, known := b.inodes[e.inode]
	if known && child.Mode.IsDir() {
		return false, corrupt("%s: inode %d is a directory with two names", path, e.inode)
	}
	if !known {
		if child, err = b.inode(e.inode, path); err != nil {
			return false, err
		}
	}
	if err := dir.Put(string(e.name), child); err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	return child.Mode.IsDir(), nil
}

// inode reads an inode that has not been met.
func (b *builder) inode(number uint32, path string) (*tree.Inode, error) {
	n, err := b.fs.node(number)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s := b.fs.stat(n)
	i := &tree.Inode{
		Mode:    s.Mode,
		UID:     s.UID,
		GID:     s.GID,
		ModTime: s.ModTime,
		Device:  s.Device,
		Origin:  path,
	}
	if i.Xattrs, err = b.fs.xattrs(n, b.values); err == nil {
		err = b.body(n, i)
	}
	if b.xattrs -= int64(len(i.Xattrs)); err == nil && b.xattrs < 0 {
		err = corrupt("more attributes than the file system has room for")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: inode %d: %w", path, number, err)
	}
	b.inodes[number] = i
	return i, nil
}

func (b *builder) body(n *node, i *tree.Inode) (err error) {
	switch {
	case i.Mode.Kind() == "unknown":
		return corrupt("file type %#o", uint16(i.Mode.Type()))
	case i.Mode.Type() == tree.TypeSymlink:
		i.Target, err = b.fs.target(n)
	case i.Mode.IsRegular() && n.has(FlagEncrypt):
		i.Content = encrypted(b.fs.size(n))
	case i.Mode.IsRegular():
		i.Content, err = b.fs.content(n)
	}
	return err
}

// encrypted is the Content of an encrypted file: a length and nothing else.
type encrypted int64

// Size returns the length in bytes.
func (e encrypted) Size() int64 { return int64(e) }

// Extents returns one span, as what is written where is not known.
func (e encrypted) Extents() []span.Span { return span.Whole(int64(e)) }

// Open returns an error that wraps fault.ErrUnsupported.
func (e encrypted) Open() (tree.Reader, error) { return nil, unsupported("encrypted content") }
