package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"sextant/internal/symlink"
)

// Follow returns the inode at path as a program would find it whose root
// directory is the tree: symbolic links are followed, also the last one,
// absolute ones begin at the root, and ".." ends there.
func (t *Tree) Follow(path string) (*Inode, error) { return t.follow(path, false) }

// FollowLink is Follow, but does not follow a link that is the last name.
func (t *Tree) FollowLink(path string) (*Inode, error) { return t.follow(path, true) }

func (t *Tree) follow(path string, stay bool) (*Inode, error) {
	node, rest, err := symlink.Follow(links{}, t.Root, path, symlink.Rules{Links: linksMax, Stay: stay})
	switch {
	case err == nil:
		return node, nil
	case errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("no directory is before %q: %w", rest, fs.ErrNotExist)
	case errors.Is(err, syscall.ELOOP):
		return nil, fmt.Errorf("more than %d symbolic links in a row", linksMax)
	}
	return nil, err
}

// LinkKind returns what package symlink calls a file of the mode.
func (m Mode) LinkKind() symlink.Kind { return symlink.KindOf(m.IsDir(), m.Type() == TypeSymlink) }

// links reads a tree for package symlink.
type links struct{}

func (links) Child(way []*Inode, name string) (*Inode, symlink.Kind, error) {
	node := way[len(way)-1].Child(name)
	if node == nil {
		return nil, symlink.Other, fs.ErrNotExist
	}
	return node, node.Mode.LinkKind(), nil
}

func (links) Target(link *Inode) (string, error) { return link.Target, nil }
