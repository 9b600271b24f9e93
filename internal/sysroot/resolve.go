package sysroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"

	"sextant/internal/symlink"
	"sextant/internal/tree"
)

// maxLinks is how many symbolic links a path may go through (path_resolution(7)).
const maxLinks = 40

// Resolve returns where a path leads, without links, and the inode there, nil
// if there is none. A path may end in names that do not exist. Links are
// followed, the last name too.
func (r *Root) Resolve(name string) (at string, node *tree.Inode, err error) {
	return r.resolve(name, true)
}

// ResolveLink is Resolve, but does not follow a link that is the last name.
func (r *Root) ResolveLink(name string) (at string, node *tree.Inode, err error) {
	return r.resolve(name, false)
}

func (r *Root) resolve(name string, follow bool) (string, *tree.Inode, error) {
	root, err := r.node("/")
	if err != nil {
		return "", nil, err
	}
	at, _, err := symlink.Follow(links{r}, place{"/", root}, name, symlink.Rules{Links: maxLinks, Stay: !follow})
	switch {
	case err == nil:
		return at.path, at.node, nil
	case errors.Is(err, syscall.ENOTDIR) && at.node != nil && !at.node.Mode.IsDir():
		return "", nil, fmt.Errorf("%s is a %s, not a directory", at.path, at.node.Mode.Kind())
	case errors.Is(err, syscall.ELOOP):
		return "", nil, fmt.Errorf("more than %d symbolic links in a row", maxLinks)
	}
	return "", nil, err
}

// place is a path without links, and what is there, nil if nothing is.
type place struct {
	path string
	node *tree.Inode
}

// links reads the tree for package symlink. What is missing is an empty
// directory in it: all that may be made is below.
type links struct{ root *Root }

func (l links) Child(way []place, name string) (place, symlink.Kind, error) {
	dir := way[len(way)-1]
	node, err := l.root.child(dir.path, dir.node, name)
	at := place{path.Join(dir.path, name), node}
	switch {
	case err != nil:
		return place{}, symlink.Other, err
	case l.root.binds[at.path] != "":
		return at, symlink.Bind, nil
	case node == nil:
		return at, symlink.Dir, nil
	}
	return at, node.Mode.LinkKind(), nil
}

// Target returns where a link leads. What is mounted at a Bind is another
// directory of the tree.
func (l links) Target(link place) (string, error) {
	if source, bound := l.root.binds[link.path]; bound {
		return source, nil
	}
	return link.node.Target, nil
}

// child returns what a directory has under a name, nil if it has nothing.
func (r *Root) child(at string, dir *tree.Inode, name string) (*tree.Inode, error) {
	if err := tree.CheckName(name); err != nil {
		return nil, err
	}
	if dir == nil {
		return nil, nil
	}
	node, err := r.node(path.Join(at, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return node, err
}
