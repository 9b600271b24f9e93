// Package volume asks about a mounted file system as a whole, and waits for it
// to be gone.
package volume

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Free returns the bytes that are left for files in the file system that an open
// file lies in.
func Free(f *os.File) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &s); err != nil {
		return 0, &os.PathError{Op: "statfs", Path: f.Name(), Err: err}
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// Sync brings the file system that an open file lies in to stable storage, and
// returns what could not be written since it was mounted.
func Sync(f *os.File) error {
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: f.Name(), Err: err}
	}
	return nil
}

// The kernel takes a file system apart when its last user is gone, and may do so
// a moment later.
const (
	patience = 30 * time.Second
	pause    = 5 * time.Millisecond
)

// Released waits until no file system is on a block device any more.
func Released(device string) error {
	for end := time.Now().Add(patience); ; time.Sleep(pause) {
		fd, err := unix.Open(device, unix.O_RDONLY|unix.O_EXCL|unix.O_CLOEXEC, 0)
		if err == nil {
			return unix.Close(fd)
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
			return fmt.Errorf("unmount %s: %w", device, err)
		}
	}
}
