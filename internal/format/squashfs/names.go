package squashfs

import (
	"fmt"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

// maxPath is the length of the longest path that Names follows (PATH_MAX).
const maxPath = 4095

// Names calls see for every name in the image but the root's, in the order of
// tree.Walk, with the type that its directory gives it; dir ends in a slash. Of
// the inodes it reads those of directories only.
func (fs *FS) Names(see func(dir, name string, kind tree.Mode) error) error {
	defer fs.readAhead()()
	n := namer{fs: fs, see: see}
	if err := n.names("/", fs.root); err != nil {
		return fmt.Errorf("read squashfs: %w", err)
	}
	return nil
}

type namer struct {
	fs  *FS
	see func(dir, name string, kind tree.Mode) error

	// open are the entries of the directories that are being listed, one
	// directory behind the other.
	open  []entry
	count int
}

// names lists the directory at path, which ends in a slash.
func (n *namer) names(path string, dir *inode) error {
	first := len(n.open)
	list, err := n.fs.appendEntries(n.open, dir)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	n.open = list
	defer func() { n.open = n.open[:first] }()
	if n.count += len(list) - first; n.count > maxEntries {
		return tooMany()
	}
	for _, e := range list[first:] {
		if err := n.see(path, e.name, e.kind.treeType()); err != nil {
			return err
		}
		if e.kind != typeDir {
			continue
		}
		if err := n.below(path+e.name+"/", &e); err != nil {
			return err
		}
	}
	return nil
}

// below lists the directory that an entry leads to.
func (n *namer) below(path string, e *entry) error {
	if len(path) > maxPath {
		return fmt.Errorf("a path has %d bytes: %w", len(path), fault.ErrUnsupported)
	}
	dir, err := n.fs.child(e)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return n.names(path, dir)
}
