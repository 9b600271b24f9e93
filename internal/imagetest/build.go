package imagetest

import (
	"time"

	"sextant/internal/tree"
)

// buildTime is the modification time of the files that a Builder makes.
var buildTime = time.Unix(1_700_000_000, 123_456_789)

// Builder makes trees in a few lines. It panics on what a tree refuses.
type Builder struct {
	Tree *tree.Tree
}

// NewBuilder returns a Builder of an empty tree.
func NewBuilder() Builder {
	t := tree.New()
	t.Root.ModTime = buildTime
	return Builder{t}
}

// Put makes node an entry of the tree, and the directories above it.
func (b Builder) Put(path string, node *tree.Inode) *tree.Inode {
	names := tree.Split(path)
	dir := b.Tree.Root
	for _, name := range names[:len(names)-1] {
		child := dir.Child(name)
		if child == nil {
			child = tree.NewDir(0o755)
			child.ModTime = buildTime
			must(dir.Put(name, child))
		}
		dir = child
	}
	if node.ModTime.IsZero() {
		node.ModTime = buildTime
	}
	must(dir.Put(names[len(names)-1], node))
	return node
}

// File puts a file with the given bytes.
func (b Builder) File(path string, perm tree.Mode, content string) *tree.Inode {
	return b.Content(path, perm, tree.Bytes(content))
}

// Content puts a file with the given content.
func (b Builder) Content(path string, perm tree.Mode, content tree.Content) *tree.Inode {
	return b.Put(path, &tree.Inode{Mode: tree.TypeRegular | perm, Content: content})
}

// Dir puts an empty directory.
func (b Builder) Dir(path string, perm tree.Mode) *tree.Inode {
	return b.Put(path, tree.NewDir(perm))
}

// Symlink puts a symbolic link.
func (b Builder) Symlink(path, target string) *tree.Inode {
	return b.Put(path, &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: target})
}

// Special puts a device, fifo or socket.
func (b Builder) Special(path string, mode tree.Mode, device tree.Device) *tree.Inode {
	return b.Put(path, &tree.Inode{Mode: mode, Device: device})
}

func must(err error) {
	if err != nil {
		panic("internal error: " + err.Error())
	}
}
