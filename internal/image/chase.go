package image

import (
	"io"
	"path"

	"sextant/internal/tree"
)

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// chase returns what is at a path of a tree, nil if nothing is. Symbolic links
// are followed as if the tree were the root of the system: absolute ones start
// at its root, and ".." stops there (systemd's chase.c).
func chase(t *tree.Tree, name string) *tree.Inode {
	at := []*tree.Inode{t.Root}
	rest := tree.Split(name)
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == ".." {
			at = at[:max(len(at)-1, 1)]
			continue
		}
		next := at[len(at)-1].Child(part)
		switch {
		case next == nil:
			return nil
		case next.Mode.Type() != tree.TypeSymlink:
			at = append(at, next)
			continue
		}
		if links++; links > maxLinks {
			return nil
		}
		if path.IsAbs(next.Target) {
			at = at[:1]
		}
		rest = append(tree.Split(next.Target), rest...)
	}
	return at[len(at)-1]
}

// readNode reads a small file of a tree.
func readNode(node *tree.Inode) ([]byte, error) {
	r, err := node.Content.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.NewSectionReader(r, 0, min(node.Content.Size(), maxRelease)))
}
