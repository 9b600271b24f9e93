package merge

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"sextant/internal/linux/dir"
	"sextant/internal/linux/mount"
)

// labelXattr holds the SELinux label of a file.
const labelXattr = "security.selinux"

// label gives path the SELinux label of the host's own directory, which the
// merged one shall have too. Where SELinux is off, or the directory is new, there
// is none to give.
func (r *run) label(path, like string) error {
	if !r.selinux {
		return nil
	}
	list, err := dir.Xattrs(like, func(name string) bool { return name == labelXattr })
	if err != nil || len(list) == 0 {
		return ignoreMissing(err)
	}
	return r.k.call("setxattr", path, func() error {
		err := syscall.Setxattr(path, labelXattr, list[0].Value, 0)
		if errors.Is(err, syscall.EOPNOTSUPP) {
			return nil
		}
		if err != nil {
			return &os.PathError{Op: "label", Path: path, Err: err}
		}
		return nil
	})
}

// labelAll labels a directory and the files in it.
func (r *run) labelAll(path, like string) error {
	if !r.selinux {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.label(filepath.Join(path, e.Name()), like); err != nil {
			return err
		}
	}
	return r.label(path, like)
}

// selinuxOn reports whether the kernel enforces or records SELinux labels.
func selinuxOn() bool {
	on, err := mount.IsPoint("/sys/fs/selinux")
	return err == nil && on
}
