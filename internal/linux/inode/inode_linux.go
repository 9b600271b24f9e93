//go:build linux

// Package inode makes and marks files in an open directory. Each function takes
// one name there and does not follow a symbolic link of that name.
package inode

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Mknod makes a device, fifo or socket. Mode is st_mode of inode(7), cut by no
// umask.
func Mknod(dir *os.File, name string, mode, major, minor uint32) error {
	fd := int(dir.Fd())
	if err := unix.Mknodat(fd, name, mode, int(unix.Mkdev(major, minor))); err != nil {
		return fail("mknod", name, err)
	}
	return Chmod(dir, name, mode)
}

// Chmod sets the twelve permission bits.
func Chmod(dir *os.File, name string, mode uint32) error {
	fd, bits := int(dir.Fd()), mode&0o7777
	err := unix.Fchmodat(fd, name, bits, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = chmodHeld(fd, name, bits) // before Linux 6.6 there is no fchmodat2(2)
	}
	return fail("chmod", name, err)
}

// chmodHeld goes by way of an open file, so that nothing can become a symbolic
// link in between; one that is a link already has no mode.
func chmodHeld(dir int, name string, bits uint32) error {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.EOPNOTSUPP
	}
	return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), bits)
}

// SetXattr sets an extended attribute. It needs /proc, as before Linux 6.13 no
// call takes a directory and a name.
func SetXattr(dir *os.File, name, attribute string, value []byte) error {
	path := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + name
	return fail("set "+attribute+" of", name, unix.Lsetxattr(path, attribute, value, 0))
}

// KeepXattrs removes the extended attributes that keep is false for. Those that
// this user may not remove, or that only the kernel sets, stay.
func KeepXattrs(dir *os.File, name string, keep func(attribute string) bool) error {
	path := "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + name
	list := make([]byte, 1<<16) // XATTR_LIST_MAX
	n, err := unix.Llistxattr(path, list)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	if err != nil {
		return fail("list attributes of", name, err)
	}
	for attribute := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if attribute == "" || keep(attribute) {
			continue
		}
		err := unix.Lremovexattr(path, attribute)
		if err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EACCES) {
			return fail("remove "+attribute+" of", name, err)
		}
	}
	return nil
}

// SetTime sets access and modification time.
func SetTime(dir *os.File, name string, t time.Time) error {
	ts := unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
	err := unix.UtimesNanoAt(int(dir.Fd()), name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	return fail("set time of", name, err)
}

func fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}
