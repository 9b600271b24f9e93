package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"sextant/internal/symlink"
)

// maxFollow is how many links are followed to one file: the last of CHASE_MAX is
// one too many.
const maxFollow = 31

// errLoop is one reason for which a path leads nowhere, like fs.ErrNotExist and
// syscall.ENOTDIR.
var errLoop = errors.New("too many symbolic links")

// root is a file system with the links that were made in it and removed from
// it so far. Paths are absolute inside it.
type root struct {
	fsys  fs.FS
	links map[string]string // made: path and target
	dirs  map[string]bool   // made
	gone  map[string]bool   // removed links and directories
}

func newRoot(fsys fs.FS) *root {
	return &root{fsys, map[string]string{}, map[string]bool{}, map[string]bool{}}
}

// name returns a path as fs.FS wants it.
func name(p string) string {
	if p == "/" {
		return "."
	}
	return strings.TrimPrefix(p, "/")
}

// mode tells what lies at a path of which all but the last name is resolved.
func (r *root) mode(p string) (fs.FileMode, error) {
	switch _, made := r.links[p]; {
	case made:
		return fs.ModeSymlink, nil
	case r.dirs[p]:
		return fs.ModeDir, nil
	case r.gone[p]:
		return 0, fs.ErrNotExist
	}
	info, err := fs.Lstat(r.fsys, name(p))
	if err != nil {
		if !fs.ValidPath(name(p)) { // a name that is not UTF-8 is in no fs.FS
			return 0, fs.ErrNotExist
		}
		return 0, err
	}
	return info.Mode(), nil
}

// chase resolves p inside the root. A file that does not exist is no error:
// then the result is where it would be (chase with CHASE_NONEXISTENT and
// CHASE_AT_RESOLVE_IN_ROOT). Without follow a link at the very end stays.
func (r *root) chase(p string, follow bool) (resolved string, exists bool, err error) {
	at, rest, err := symlink.Follow(r, "/", p, symlink.Rules{Links: maxFollow, Stay: !follow})
	next, _, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	switch {
	case err == nil:
		return at, true, nil
	case errors.Is(err, syscall.ELOOP):
		return "", false, fmt.Errorf("%s: %w", p, errLoop)
	case errors.Is(err, fs.ErrNotExist) && !slices.Contains(strings.Split(rest, "/"), ".."):
		return path.Join(at, rest), false, nil
	}
	return "", false, fmt.Errorf("%s: %w", path.Join(at, next), err)
}

// Child implements symlink.Reader.
func (r *root) Child(way []string, name string) (string, symlink.Kind, error) {
	p := path.Join(way[len(way)-1], name)
	mode, err := r.mode(p)
	return p, symlink.KindOf(mode.IsDir(), mode&fs.ModeSymlink != 0), err
}

// Target implements symlink.Reader.
func (r *root) Target(p string) (string, error) {
	if target, made := r.links[p]; made {
		return target, nil
	}
	return fs.ReadLink(r.fsys, name(p))
}

// find resolves all of p but the last name, and tells what lies there.
func (r *root) find(p string) (resolved string, mode fs.FileMode, err error) {
	resolved, exists, err := r.chase(p, false)
	if err == nil && !exists {
		err = fmt.Errorf("%s: %w", p, fs.ErrNotExist)
	}
	if err != nil {
		return "", 0, err
	}
	mode, err = r.mode(resolved)
	return resolved, mode, err
}

// readDir returns what lies in the directory at p, sorted by name; nothing
// where there is no directory.
func (r *root) readDir(p string) ([]entry, error) {
	dir, exists, err := r.chase(p, true)
	if err != nil || !exists {
		return nil, ignoreMissing(err)
	}
	if mode, err := r.mode(dir); err != nil || !mode.IsDir() {
		return nil, err
	}
	found := map[string]fs.FileMode{}
	list, err := fs.ReadDir(r.fsys, name(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range list {
		if !r.gone[path.Join(dir, e.Name())] {
			found[e.Name()] = e.Type()
		}
	}
	for _, made := range slices.Concat(slices.Collect(maps.Keys(r.links)), slices.Collect(maps.Keys(r.dirs))) {
		if path.Dir(made) == dir {
			found[path.Base(made)], _ = r.mode(made)
		}
	}
	entries := make([]entry, 0, len(found))
	for _, n := range slices.Sorted(maps.Keys(found)) {
		entries = append(entries, entry{n, path.Join(dir, n), found[n].Type()})
	}
	return entries, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}

// entry is a name in a directory.
type entry struct {
	name string
	path string // resolved
	mode fs.FileMode
}

// link makes a link, and the directories it needs. All but its last name is
// resolved.
func (r *root) link(p, target string) (dirs []string) {
	for d := path.Dir(p); d != "/"; d = path.Dir(d) {
		if _, err := r.mode(d); err == nil {
			break
		}
		delete(r.gone, d)
		r.dirs[d] = true
		dirs = append(dirs, d)
	}
	delete(r.gone, p)
	r.links[p] = target
	slices.Reverse(dirs)
	return dirs
}

// remove takes a link or a directory away.
func (r *root) remove(p string) {
	delete(r.links, p)
	delete(r.dirs, p)
	r.gone[p] = true
}
