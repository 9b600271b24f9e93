//go:build linux

// Package tmpfile makes files without a name, which vanish with the program
// that has them open (open(2), O_TMPFILE).
package tmpfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Create opens a nameless file for reading and writing in the directory of
// path, which is also what its errors call it. Where the file system has no
// such files the error is errors.ErrUnsupported.
func Create(path string) (*os.File, error) {
	dir := filepath.Dir(path)
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EISDIR):
		return nil, errors.ErrUnsupported
	default:
		return nil, &os.PathError{Op: "create file in", Path: dir, Err: err}
	}
	// Without /proc the file could never get a name.
	if _, err := os.Lstat(procPath(fd)); err != nil {
		unix.Close(fd)
		return nil, errors.ErrUnsupported
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Link gives a file that Create opened its first name, which must be free.
func Link(f *os.File, path string) error {
	err := unix.Linkat(unix.AT_FDCWD, procPath(int(f.Fd())), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: "nameless file", New: path, Err: err}
	}
	return nil
}

func procPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
