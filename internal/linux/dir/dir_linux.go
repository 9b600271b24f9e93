//go:build linux

// Package dir reads directories and the facts about what is in them that
// io/fs hides: numbers of inodes and devices, extended attributes, holes.
package dir

import (
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel's limits for extended attributes (linux/limits.h).
const (
	xattrListMax = 65536
	xattrSizeMax = 65536
)

// Dir is an open directory.
type Dir struct {
	f    *os.File
	path string
}

// Open opens the directory at path. A symbolic link to one is followed.
func Open(path string) (*Dir, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Dir{f, path}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return d.f.Close() }

// Names returns the names in the directory, in no order, without "." and "..".
func (d *Dir) Names() ([]string, error) { return d.f.Readdirnames(-1) }

// Self returns what stat(2) says about the directory itself.
func (d *Dir) Self() (Stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(int(d.f.Fd()), &st) })
	if err != nil {
		return Stat{}, &os.PathError{Op: "stat", Path: d.path, Err: err}
	}
	return statOf(&st), nil
}

// Stat returns what lstat(2) says about the entry called name.
func (d *Dir) Stat(name string) (Stat, error) {
	var st unix.Stat_t
	err := retry(func() error {
		return unix.Fstatat(int(d.f.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	})
	if err != nil {
		return Stat{}, d.fail("lstat", name, err)
	}
	return statOf(&st), nil
}

func statOf(st *unix.Stat_t) Stat {
	return Stat{
		Mode:      st.Mode,
		UID:       st.Uid,
		GID:       st.Gid,
		Links:     uint64(st.Nlink),
		Dev:       uint64(st.Dev),
		Ino:       st.Ino,
		Major:     unix.Major(uint64(st.Rdev)),
		Minor:     unix.Minor(uint64(st.Rdev)),
		Size:      st.Size,
		Allocated: int64(st.Blocks) * 512, // st_blocks counts 512 bytes everywhere (inode(7))
		ModTime:   time.Unix(st.Mtim.Unix()),
	}
}

// Readlink returns the target of the symbolic link called name.
func (d *Dir) Readlink(name string) (string, error) {
	var buf [unix.PathMax]byte
	n := 0
	err := retry(func() (err error) {
		n, err = unix.Readlinkat(int(d.f.Fd()), name, buf[:])
		return err
	})
	if err != nil {
		return "", d.fail("readlink", name, err)
	}
	return string(buf[:n]), nil
}

// Readable returns an error unless this process may read the entry called
// name.
func (d *Dir) Readable(name string) error {
	if os.Geteuid() == 0 {
		return nil // root may, and what it may not only open(2) tells
	}
	err := unix.Faccessat(int(d.f.Fd()), name, unix.R_OK, unix.AT_EACCESS)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return nil // before Linux 5.8 there is no faccessat2(2)
	}
	if err != nil {
		return d.fail("open", name, err)
	}
	return nil
}

func (d *Dir) fail(op, name string, err error) error {
	return &os.PathError{Op: op, Path: d.path + "/" + name, Err: err}
}

// Xattrs returns the extended attributes of the file at path whose names keep
// accepts, in the file system's order. A symbolic link is not followed. A file
// system without extended attributes has none.
func Xattrs(path string, keep func(name string) bool) ([]Xattr, error) {
	names, err := listXattrs(path)
	if err != nil || names == "" {
		return nil, err
	}
	var list []Xattr
	for name := range strings.SplitSeq(strings.TrimSuffix(names, "\x00"), "\x00") {
		if !keep(name) {
			continue
		}
		value, err := readXattr(path, name)
		if err != nil {
			return nil, err
		}
		list = append(list, Xattr{name, value})
	}
	return list, nil
}

// listXattrs returns the names, a NUL after each. Most files have none or
// one, so the large buffer is rarely made.
func listXattrs(path string) (string, error) {
	var small [256]byte
	n, err := unix.Llistxattr(path, small[:])
	switch {
	case err == nil:
		return string(small[:n]), nil
	case errors.Is(err, unix.EOPNOTSUPP):
		return "", nil
	case !errors.Is(err, unix.ERANGE):
		return "", &os.PathError{Op: "listxattr", Path: path, Err: err}
	}
	large := make([]byte, xattrListMax)
	if n, err = unix.Llistxattr(path, large); err != nil {
		return "", &os.PathError{Op: "listxattr", Path: path, Err: err}
	}
	return string(large[:n]), nil
}

func readXattr(path, name string) ([]byte, error) {
	var small [256]byte
	n, err := unix.Lgetxattr(path, name, small[:])
	if err == nil {
		return append([]byte{}, small[:n]...), nil
	}
	if errors.Is(err, unix.ERANGE) {
		large := make([]byte, xattrSizeMax)
		if n, err = unix.Lgetxattr(path, name, large); err == nil {
			return append([]byte{}, large[:n]...), nil
		}
	}
	return nil, &os.PathError{Op: "getxattr " + name + " of", Path: path, Err: err}
}

// Data returns the ranges of the file at path, which has size bytes, that
// hold data, ascending and apart. Where the file system does not say, that is
// one range.
func Data(path string, size int64) ([]Range, error) {
	f, err := os.OpenFile(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []Range
	for end := int64(0); end < size; {
		start, err := f.Seek(end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break // a hole up to the end
		}
		if errors.Is(err, unix.EINVAL) {
			return []Range{{0, size}}, nil
		}
		if err != nil {
			return nil, err
		}
		if end, err = f.Seek(start, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		end = min(end, size)
		if start >= end {
			break // the file shrank; who opens it will see that
		}
		list = append(list, Range{start, end})
	}
	return list, nil
}

// retry calls f again while a signal interrupts it.
func retry(f func() error) error {
	for {
		if err := f(); err != unix.EINTR {
			return err
		}
	}
}
