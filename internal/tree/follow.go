package tree

import (
	"fmt"
	"io/fs"
	"strings"
)

// Follow returns the inode at path as a program would find it whose root
// directory is the tree: symbolic links are followed, also the last one,
// absolute ones begin at the root, and ".." ends there.
func (t *Tree) Follow(path string) (*Inode, error) {
	dirs := []*Inode{t.Root} // from the root to where we are
	links := 0
	for names := Split(path); len(names) > 0; {
		name := names[0]
		names = names[1:]
		if name == ".." {
			dirs = dirs[:max(len(dirs)-1, 1)]
			continue
		}
		at := dirs[len(dirs)-1]
		if !at.Mode.IsDir() {
			return nil, fmt.Errorf("%s: not in a directory: %w", name, fs.ErrNotExist)
		}
		node := at.Child(name)
		if node == nil {
			return nil, fs.ErrNotExist
		}
		if node.Mode.Type() != TypeSymlink {
			dirs = append(dirs, node)
			continue
		}
		if links++; links > linksMax {
			return nil, fmt.Errorf("more than %d symbolic links in a row", linksMax)
		}
		if strings.HasPrefix(node.Target, "/") {
			dirs = dirs[:1]
		}
		names = append(Split(node.Target), names...)
	}
	return dirs[len(dirs)-1], nil
}
