package sysroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

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
	at := "/"
	node, err := r.node(at)
	if err != nil {
		return "", nil, err
	}
	links := 0
	for names := tree.Split(name); len(names) > 0; {
		next := names[0]
		names = names[1:]
		if next == ".." {
			at = path.Dir(at)
			if node, err = r.node(at); err != nil {
				return "", nil, err
			}
			continue
		}
		if node != nil && !node.Mode.IsDir() {
			return "", nil, fmt.Errorf("%s is a %s, not a directory", at, node.Mode.Kind())
		}
		child, err := r.child(at, node, next)
		if err != nil {
			return "", nil, err
		}
		source, bound := r.binds[path.Join(at, next)]
		if !bound && (child == nil || child.Mode.Type() != tree.TypeSymlink || len(names) == 0 && !follow) {
			at, node = path.Join(at, next), child
			continue
		}
		if links++; links > maxLinks {
			return "", nil, fmt.Errorf("more than %d symbolic links in a row", maxLinks)
		}
		if bound {
			// What is mounted there is another directory of the tree.
			child = &tree.Inode{Target: source}
		}
		if strings.HasPrefix(child.Target, "/") {
			at = "/"
			if node, err = r.node(at); err != nil {
				return "", nil, err
			}
		}
		names = append(tree.Split(child.Target), names...)
	}
	return at, node, nil
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
