// Package inroot resolves paths of a system that lies below a directory, its
// root, as that system itself would: a symbolic link, absolute or full of "..",
// never leads out of the root.
//
// The steps are those of systemd's chase() with CHASE_PREFIX_ROOT
// (src/basic/chase.c): at most 32 links, ".." at the top stays at the top, a
// name behind a file is ENOTDIR. As there, the result is a path and not a
// handle: who may write below the root can change what it means afterwards.
package inroot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sextant/internal/symlink"
)

// maxLinks is how many symbolic links one path may lead through (CHASE_MAX).
const maxLinks = 32

// Join returns the path on this host of path, which is absolute in the system
// below root. An empty root is "/".
func Join(root, path string) string {
	if root == "" || root == "/" {
		return filepath.Clean("/" + path)
	}
	return filepath.Join(root, path)
}

// Resolve follows all symbolic links of path in the system below root. It
// returns the path there, without links: Join makes it one of this host. The
// error of something that does not exist is fs.ErrNotExist.
func Resolve(root, path string) (string, error) {
	at, _, err := follow(root, path)
	if err != nil {
		return "", &os.PathError{Op: "resolve", Path: Join(root, path), Err: err}
	}
	return at, nil
}

// ResolveNew is Resolve for a path whose last parts may be missing.
func ResolveNew(root, path string) (string, error) {
	at, rest, err := follow(root, path)
	if errors.Is(err, fs.ErrNotExist) {
		return filepath.Join(at, rest), nil
	}
	if err != nil {
		return "", &os.PathError{Op: "resolve", Path: Join(root, path), Err: err}
	}
	return at, nil
}

func follow(root, path string) (at, rest string, err error) {
	return symlink.Follow(directory(root), "/", path, symlink.Rules{Links: maxLinks})
}

// directory is the root, as package symlink reads it: what is below has its path
// without links.
type directory string

func (d directory) Child(way []string, name string) (string, symlink.Kind, error) {
	at := strings.TrimSuffix(way[len(way)-1], "/") + "/" + name
	found, err := os.Lstat(Join(string(d), at))
	if err != nil {
		return "", symlink.Other, plain(err)
	}
	return at, symlink.KindOf(found.IsDir(), found.Mode()&os.ModeSymlink != 0), nil
}

func (d directory) Target(link string) (string, error) {
	target, err := os.Readlink(Join(string(d), link))
	return target, plain(err)
}

// plain returns the number of an error, without operation and path.
func plain(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}
