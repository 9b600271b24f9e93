package merge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sextant/internal/linux/mount"
)

// submount is a mount of others below a hierarchy.
type submount struct {
	mount.Mount
	rel  string   // path below the hierarchy
	tree *os.File // a private copy, with all that is mounted below it
}

// below returns the topmost mounts that can be seen below dir, without our own
// dot directory. What is mounted below one of them comes with it.
func below(dir, dot string, table []mount.Mount) (list []submount, err error) {
	prefix := strings.TrimSuffix(dir, "/") + "/"
	for _, m := range table {
		rel, ok := strings.CutPrefix(m.Point, prefix)
		if !ok || rel == dot {
			continue
		}
		// Of several mounts on one path the last one is seen, and of those on a
		// path that is covered none.
		id, err := mount.ID(m.Point)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && id != m.ID {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, submount{Mount: m, rel: rel})
	}
	if len(list) < 2 {
		return list, nil
	}
	slices.SortFunc(list, func(a, b submount) int { return strings.Compare(a.rel+"/", b.rel+"/") })
	topmost := list[:0]
	for _, s := range list {
		if n := len(topmost); n > 0 && strings.HasPrefix(s.rel, topmost[n-1].rel+"/") {
			continue
		}
		topmost = append(topmost, s)
	}
	return topmost, nil
}

// copySubmounts copies what is mounted below a hierarchy. The copies are private:
// what happens to the originals later must not happen to them.
func (r *run) copySubmounts(list []submount) (err error) {
	for i := range list {
		if list[i].tree, err = r.clonePrivate(list[i].Point); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) clonePrivate(path string) (*os.File, error) {
	tree, err := r.k.clone(path, true)
	if err != nil {
		return nil, err
	}
	if err := r.k.makePrivate(tree); err != nil {
		tree.Close()
		return nil, err
	}
	return tree, nil
}

// attachSubmounts puts the copies on the new overlay.
func (r *run) attachSubmounts(s *site, overlay string) error {
	for _, m := range s.submounts {
		if err := r.attachAt(m.tree, overlay, m.rel); err != nil {
			return fmt.Errorf("mount of others at %s: %w", m.Point, err)
		}
	}
	return nil
}

// attachAt puts a tree on a path below dir, and makes what is missing of it.
func (r *run) attachAt(tree *os.File, dir, rel string) error {
	target := filepath.Join(dir, rel)
	found, err := os.Lstat(target)
	switch {
	case err == nil && found.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link now", target)
	case missing(err):
		if err := r.makePoint(tree, target); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	return r.k.attach(tree, target)
}

// makePoint makes a directory or a file to mount on.
func (r *run) makePoint(tree *os.File, target string) error {
	root, err := tree.Stat()
	if err != nil {
		return err
	}
	if root.IsDir() {
		return r.k.mkdirAll(target, 0o755)
	}
	if err := r.k.mkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return r.k.create(target)
}
