//go:build linux

// Package sparse knows the holes of files, and the ways to copy a file without
// reading it.
package sparse

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Next returns the first range that holds data, at or behind from, of a file of
// size bytes; start is size if there is none. Where the file system does not
// know, all is data. It moves the file's position.
func Next(f *os.File, from, size int64) (start, end int64, err error) {
	start, err = f.Seek(from, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		return size, size, nil
	case errors.Is(err, unix.EINVAL):
		return from, size, nil
	case err != nil:
		return 0, 0, err
	}
	if end, err = f.Seek(start, unix.SEEK_HOLE); err != nil {
		return 0, 0, err
	}
	return min(start, size), min(end, size), nil
}

// Allocated returns the bytes that a file takes.
func Allocated(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return 0
}

// Clone makes dst share all bytes of src. Where the file system cannot, the
// error is errors.ErrUnsupported.
func Clone(dst, src *os.File) error {
	return refused("clone", dst, unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())))
}

// Copy makes length bytes of dst those of src where the machine need not move
// them: the files share them, or a file server copies them. Where that cannot
// be, the error is errors.ErrUnsupported. The kernel could copy in any case, but
// takes longer for that than a program that has the bytes in its cache.
func Copy(dst, src *os.File, to, from, length int64) error {
	err := unix.IoctlFileCloneRange(int(dst.Fd()), &unix.FileCloneRange{
		Src_fd: int64(src.Fd()), Src_offset: uint64(from), Src_length: uint64(length), Dest_offset: uint64(to),
	})
	if err = refused("clone to", dst, err); !errors.Is(err, errors.ErrUnsupported) || !remote(dst) {
		return err
	}
	for length > 0 {
		n, err := unix.CopyFileRange(int(src.Fd()), &from, int(dst.Fd()), &to, int(min(length, 1<<30)), 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return refused("copy to", dst, err)
		}
		if n == 0 {
			return refused("copy to", dst, unix.EOPNOTSUPP) // some file systems say nothing else
		}
		length -= int64(n)
	}
	return nil
}

// remote reports whether a file lies on a server that may be able to copy.
func remote(f *os.File) bool {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC:
		return true
	}
	return false
}

// Flush makes the system begin to bring bytes to stable storage, so that a
// later Sync finds less to do. It waits for nothing and has no error: Sync
// tells.
func Flush(f *os.File, offset, length int64) {
	unix.SyncFileRange(int(f.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}

func refused(op string, f *os.File, err error) error {
	switch err {
	case nil:
		return nil
	case unix.EOPNOTSUPP, unix.ENOTTY, unix.EXDEV, unix.EINVAL, unix.ENOSYS, unix.EPERM, unix.ETXTBSY:
		return errors.ErrUnsupported
	}
	return &os.PathError{Op: op, Path: f.Name(), Err: err}
}
