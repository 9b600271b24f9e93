package imagetest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"sextant/internal/tree"
)

// Materialize writes t to the empty directory dir with all that the kernel
// lets root set, for programs that take a directory.
func Materialize(t *tree.Tree, dir string) error {
	first := make(map[*tree.Inode]string)
	err := t.Walk(func(path string, node *tree.Inode) error {
		path = filepath.Join(dir, path)
		if other, ok := first[node]; ok {
			return os.Link(other, path)
		}
		first[node] = path
		if err := create(path, node); err != nil {
			return fmt.Errorf("create %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for node, path := range first {
		if err := setAttributes(path, node); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return setTimes(first)
}

func create(path string, node *tree.Inode) error {
	switch {
	case node.Mode.IsDir():
		return os.MkdirAll(path, 0o700)
	case node.Mode.IsRegular():
		return createFile(path, node.Content)
	case node.Mode.Type() == tree.TypeSymlink:
		return os.Symlink(node.Target, path)
	}
	d := node.Device
	return syscall.Mknod(path, uint32(node.Mode), int(d.Minor&0xff|d.Major<<8|d.Minor&^0xff<<12))
}

func createFile(path string, content tree.Content) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	if content == nil {
		return nil
	}
	if err := f.Truncate(content.Size()); err != nil {
		return err
	}
	r, err := content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	for _, e := range content.Extents() {
		if _, err := io.Copy(io.NewOffsetWriter(f, e.Offset), io.NewSectionReader(r, e.Offset, e.Length)); err != nil {
			return err
		}
	}
	return nil
}

func setAttributes(path string, node *tree.Inode) error {
	if err := os.Lchown(path, int(node.UID), int(node.GID)); err != nil {
		return err
	}
	if node.Mode.Type() != tree.TypeSymlink {
		if err := syscall.Chmod(path, uint32(node.Mode.Perm())); err != nil {
			return err
		}
	}
	for _, x := range node.Xattrs {
		if err := setXattr(path, x); err != nil {
			return fmt.Errorf("set %s: %w", x.Name, err)
		}
	}
	return nil
}

func setXattr(path string, x tree.Xattr) error {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	name, err := syscall.BytePtrFromString(x.Name)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_LSETXATTR, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(unsafe.SliceData(x.Value))), uintptr(len(x.Value)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// setTimes comes last, as all else changes the times of directories.
func setTimes(paths map[*tree.Inode]string) error {
	const atCWD, noFollow = -100, 0x100
	for node, path := range paths {
		p, err := syscall.BytePtrFromString(path)
		if err != nil {
			return err
		}
		ts := syscall.Timespec{Sec: node.ModTime.Unix(), Nsec: int64(node.ModTime.Nanosecond())}
		times := [2]syscall.Timespec{ts, ts}
		at := atCWD
		_, _, errno := syscall.Syscall6(syscall.SYS_UTIMENSAT, uintptr(at), uintptr(unsafe.Pointer(p)),
			uintptr(unsafe.Pointer(&times)), noFollow, 0, 0)
		if errno != 0 {
			return fmt.Errorf("set time of %s: %w", path, errno)
		}
	}
	return nil
}
