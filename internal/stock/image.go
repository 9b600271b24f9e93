package stock

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"sextant/internal/discover"
	"sextant/internal/linux/subvolume"
	"sextant/internal/varlink"
)

// block is the unit of st_blocks, in bytes.
const block = 512

// newImage returns what List says about a candidate. What cannot be found out is
// left out.
func newImage(c discover.Candidate) image {
	i := image{Class: c.Class.String(), Type: c.Kind.String(), Name: c.Name, Path: c.Path}
	if facts, err := subvolume.Look(c.Path); err == nil && !facts.Birth.IsZero() && c.Kind != discover.Block {
		i.Created = facts.Birth.UnixMicro()
	}
	found, err := os.Stat(c.Path)
	if err != nil || c.Kind != discover.Raw {
		return i
	}
	i.ReadOnly = found.Mode().Perm()&0o222 == 0
	i.Modified = max(0, found.ModTime().UnixMicro())
	used := found.Size()
	if blocks, ok := allocated(found); ok {
		used = blocks * block
	}
	i.usage = &usage{used, used, found.Size(), found.Size()}
	return i
}

// number returns an error as Varlink callers of systemd get it: by its number.
func number(err error) error {
	no := syscall.Errno(badMessage)
	if !errors.As(err, &no) && errors.Is(err, fs.ErrPermission) {
		no = syscall.EPERM
	}
	return varlink.System(int(no), errnoName(no))
}

// errnoName returns the name of the numbers that may come, EIO for others.
func errnoName(no syscall.Errno) string {
	names := map[syscall.Errno]string{
		syscall.EPERM: "EPERM", syscall.ENOENT: "ENOENT", syscall.EIO: "EIO", syscall.ENOMEM: "ENOMEM", syscall.EACCES: "EACCES",
		syscall.EBUSY: "EBUSY", syscall.EEXIST: "EEXIST", syscall.EXDEV: "EXDEV", syscall.ENODEV: "ENODEV", syscall.ENOTDIR: "ENOTDIR",
		syscall.EINVAL: "EINVAL", syscall.ENOSPC: "ENOSPC", syscall.EROFS: "EROFS", syscall.ELOOP: "ELOOP", badMessage: "EBADMSG",
		syscall.ENAMETOOLONG: "ENAMETOOLONG",
	}
	if name, ok := names[no]; ok {
		return name
	}
	return "EIO"
}
