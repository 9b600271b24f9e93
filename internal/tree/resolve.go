package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

const (
	// DepthMax is how many directories may lie above each other where a tree
	// is made from a list of paths: as many as fit in Linux's PATH_MAX.
	DepthMax = 2048

	// linksMax is how many symbolic links a path may pass through, as in
	// Linux (path_resolution(7)).
	linksMax = 40
)

// ErrOutside says that a path leads out of the tree.
var ErrOutside = errors.New("leads out of the tree")

// ResolveDir returns the directory at path. Unlike Lookup it follows symbolic
// links, those that stay in the tree: an absolute one and one that climbs
// above the root are ErrOutside, and so is ".." in path itself.
//
// With create, directories that are missing are made, mode 0755 and without a
// time, but none behind a symbolic link. Without, a missing one is
// fs.ErrNotExist.
func (t *Tree) ResolveDir(path string, create bool) (*Inode, error) {
	names := Split(path)
	if slices.Contains(names, "..") {
		return nil, fmt.Errorf("path %q %w", path, ErrOutside)
	}
	r := resolver{dirs: []*Inode{t.Root}}
	if err := r.walk(names, create); err != nil {
		return nil, err
	}
	return r.top(), nil
}

// resolver walks from directory to directory. dirs are the ones it is in, the
// root first, and names what they are called, the root left out.
type resolver struct {
	dirs  []*Inode
	names []string
	links int
}

func (r *resolver) top() *Inode { return r.dirs[len(r.dirs)-1] }

// path returns the name of the entry called name in the top directory.
func (r *resolver) path(name string) string {
	return "/" + strings.Join(append(slices.Clone(r.names), name), "/")
}

func (r *resolver) walk(names []string, create bool) error {
	for _, name := range names {
		if err := r.step(name, create); err != nil {
			return err
		}
	}
	return nil
}

func (r *resolver) step(name string, create bool) error {
	if name == ".." {
		return r.up()
	}
	child := r.top().Child(name)
	switch {
	case child == nil && !create:
		return fmt.Errorf("directory %s: %w", r.path(name), fs.ErrNotExist)
	case child == nil:
		child = NewDir(0o755)
		if err := r.top().Put(name, child); err != nil {
			return err
		}
	case child.Mode.Type() == TypeSymlink:
		return r.follow(name, child)
	case !child.Mode.IsDir():
		return fmt.Errorf("%s is %s, not a directory", r.path(name), child.describe())
	}
	if len(r.dirs) > DepthMax {
		return fmt.Errorf("more than %d directories above each other", DepthMax)
	}
	r.dirs, r.names = append(r.dirs, child), append(r.names, name)
	return nil
}

func (r *resolver) up() error {
	last := len(r.dirs) - 1
	if last == 0 {
		return ErrOutside
	}
	r.dirs, r.names = r.dirs[:last], r.names[:last-1]
	return nil
}

func (r *resolver) follow(name string, link *Inode) error {
	path := r.path(name)
	r.links++
	if r.links > linksMax {
		return fmt.Errorf("more than %d symbolic links in a row at %s", linksMax, path)
	}
	if strings.HasPrefix(link.Target, "/") {
		return fmt.Errorf("symbolic link %s to %s %w", path, link.Target, ErrOutside)
	}
	if err := r.walk(Split(link.Target), false); err != nil {
		return fmt.Errorf("symbolic link %s to %s: %w", path, link.Target, err)
	}
	return nil
}

// describe says what the inode is and where it comes from, for messages.
func (i *Inode) describe() string {
	article := "a "
	if i.Mode.Kind() == "unknown" {
		article = "an "
	}
	if i.Origin == "" {
		return article + i.Mode.Kind()
	}
	return article + i.Mode.Kind() + " from " + i.Origin
}
