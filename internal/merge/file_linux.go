package merge

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"sextant/internal/discover"
	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/linux/dir"
	"sextant/internal/linux/mount"
)

// openRegular opens a regular file; anything else could keep the reader waiting.
func openRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	found, err := f.Stat()
	if err == nil && !found.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file: %w", path, fault.ErrUnsupported)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// lenient reports whether a release file says that its name does not matter.
func lenient(path string) bool {
	list, err := dir.Xattrs(path, func(name string) bool { return name == extension.StrictXattr })
	return err == nil && len(list) == 1 && extension.Lenient(string(list[0].Value))
}

func nativeArchitecture() string { return string(dps.Native()) }

// identify returns what tells the file or directory of a candidate from another.
// It must be asked before there is a namespace, where all mounts have other
// numbers. What counts is systemd's choice (discover-image.c, image_make).
func identify(c discover.Candidate) (identity, error) {
	id, err := mount.Identify(c.Path)
	if err != nil {
		return identity{}, err
	}
	i := identity{mountID: id.MountID, handleType: id.HandleType, handle: id.Handle, inode: id.Inode}
	switch c.Kind {
	case discover.Raw:
		i.created, i.modified = id.Created, id.Modified
	case discover.Directory:
		i.created = id.Created
	}
	return i, nil
}

// rdevOf returns the number, major:minor, of the device that a node stands for.
func rdevOf(found fs.FileInfo) string {
	major, minor := mount.Device(found.Sys().(*syscall.Stat_t).Rdev)
	return fmt.Sprintf("%d:%d", major, minor)
}
