//go:build unix

package smallfile

import (
	"io/fs"
	"math"
	"syscall"
)

// firstRead is how much room a file gets at first, in bytes: most have less.
const firstRead = 1 << 10

// Read returns what a regular file holds, which may be limit bytes: else it is a
// *TooLarge. Anything but a regular file could keep the reader waiting, and is
// ErrNotRegular.
func Read(path string, limit int) ([]byte, error) {
	fd, err := open(path, syscall.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrNotRegular}
	}
	return readAll(fd, path, limit)
}

func readAll(fd int, path string, limit int) ([]byte, error) {
	buf := make([]byte, 0, min(firstRead, limit+1))
	for {
		n, err := retry(func() (int, error) { return syscall.Read(fd, buf[len(buf):cap(buf)]) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return buf, nil
		}
		if buf = buf[:len(buf)+n]; len(buf) > limit {
			return nil, &TooLarge{path, limit}
		}
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, min(4*cap(buf), limit+1)), buf...)
		}
	}
}

// Write makes a file with the text, or puts the text in place of what a file
// holds.
func Write(path, text string, perm fs.FileMode) error {
	fd, err := open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, uint32(perm.Perm()))
	if err != nil {
		return err
	}
	for rest := []byte(text); len(rest) > 0 && err == nil; {
		var n int
		n, err = retry(func() (int, error) { return syscall.Write(fd, rest) })
		rest = rest[max(n, 0):]
	}
	if closeErr := syscall.Close(fd); err == nil {
		err = closeErr
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// Names returns what is in a directory, in the order of its file system.
func Names(path string) ([]string, error) { return entries(path, math.MaxInt) }

// EmptyDir reports whether a directory has no entries.
func EmptyDir(path string) (bool, error) {
	names, err := entries(path, 1)
	return err == nil && len(names) == 0, err
}

// entries returns the names in a directory, but no more than most.
func entries(path string, most int) (names []string, err error) {
	fd, err := open(path, syscall.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer syscall.Close(fd)
	buf := make([]byte, firstRead)
	for len(names) < most {
		n, err := retry(func() (int, error) { return syscall.ReadDirent(fd, buf) })
		if err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: path, Err: err}
		}
		if n == 0 {
			break
		}
		// Neither "." nor ".." is among them.
		_, _, names = syscall.ParseDirent(buf[:n], most-len(names), names)
	}
	return names, nil
}

func open(path string, flags int, perm uint32) (int, error) {
	fd, err := retry(func() (int, error) { return syscall.Open(path, flags|syscall.O_CLOEXEC, perm) })
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// retry makes a call again that a signal has interrupted.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR {
			return n, err
		}
	}
}
