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
	"syscall"
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
	if absent(root, path) {
		return "", &os.PathError{Op: "resolve", Path: Join(root, path), Err: syscall.ENOENT}
	}
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

// ReadFile reads a file of the system below root, following links there.
func ReadFile(root, path string) ([]byte, error) {
	at, err := Resolve(root, path)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(Join(root, at))
}

// absent reports that nothing is at path, without following it step by step:
// most files that settings may lie in are not there. Only where the root is that
// of this process do links lead where the kernel says.
func absent(root, path string) bool {
	if root != "" && root != "/" {
		return false
	}
	_, err := os.Lstat("/" + path)
	return errors.Is(err, fs.ErrNotExist)
}

func follow(root, path string) (at, rest string, err error) {
	return followIn(directory(root), path)
}
