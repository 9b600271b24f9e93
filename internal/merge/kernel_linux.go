package merge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sextant/internal/linux/loop"
	"sextant/internal/linux/mount"
	"sextant/internal/linux/smallfile"
)

// kernel makes the calls that change something, so that tests can have each of
// them fail, or the program end before it.
type kernel struct {
	before func(call string) error // nil outside of tests
}

func (k kernel) call(what, object string, f func() error) error {
	if k.before != nil {
		if err := k.before(what + " " + object); err != nil {
			return &os.PathError{Op: what, Path: object, Err: err}
		}
	}
	return f()
}

// open is call for what returns a handle.
func (k kernel) open(what, object string, f func() (*os.File, error)) (file *os.File, err error) {
	err = k.call(what, object, func() error {
		file, err = f()
		return err
	})
	return file, err
}

// mkdir makes a directory, which may be there already.
func (k kernel) mkdir(path string, mode fs.FileMode) error {
	return k.call("mkdir", path, func() error {
		if err := os.Mkdir(path, mode); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}

// mkdirAll makes a directory and those above it.
func (k kernel) mkdirAll(path string, mode fs.FileMode) error {
	return k.call("mkdir", path, func() error { return makeAll(path, mode) })
}

// makeAll is os.MkdirAll for what is not there yet, as most is not in a new
// workspace: it makes first and asks then.
func makeAll(path string, mode fs.FileMode) error {
	err := os.Mkdir(path, mode)
	if missing(err) {
		if err = makeAll(filepath.Dir(path), mode); err == nil {
			err = os.Mkdir(path, mode)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return os.MkdirAll(path, mode) // which tells a directory from the rest
	}
	return err
}

// rmdir is the way back from mkdir.
func (k kernel) rmdir(path string) error {
	return k.call("rmdir", path, func() error { return os.Remove(path) })
}

func (k kernel) removeAll(path string) error {
	return k.call("remove", path, func() error { return os.RemoveAll(path) })
}

func (k kernel) chmod(path string, mode fs.FileMode) error {
	return k.call("chmod", path, func() error { return os.Chmod(path, mode) })
}

func (k kernel) write(path, text string) error {
	return k.call("write", path, func() error { return smallfile.Write(path, text, 0o644) })
}

func (k kernel) symlink(target, path string) error {
	return k.call("symlink", path, func() error { return os.Symlink(target, path) })
}

// create makes an empty file to mount on.
func (k kernel) create(path string) error {
	return k.call("create", path, func() error {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return err
		}
		return f.Close()
	})
}

func (k kernel) newNamespace() error { return k.call("unshare", "mount namespace", mount.NewNamespace) }

func (k kernel) newMount(fstype, source string, options []mount.Option, attributes mount.Attributes) (*os.File, error) {
	return k.open("fsmount", fstype+" "+source, func() (*os.File, error) {
		return mount.New(fstype, source, options, attributes)
	})
}

func (k kernel) classicMount(source, target, fstype string, attributes mount.Attributes, data string) error {
	return k.call("mount", target, func() error { return mount.Classic(source, target, fstype, attributes, data) })
}

func (k kernel) clone(path string, recursive bool) (*os.File, error) {
	return k.open("open_tree", path, func() (*os.File, error) { return mount.Clone(path, recursive) })
}

func (k kernel) attach(tree *os.File, target string) error {
	return k.call("move_mount", target, func() error { return mount.Attach(tree, target) })
}

func (k kernel) attachBeneath(tree *os.File, target string) error {
	return k.call("move_mount_beneath", target, func() error { return mount.AttachBeneath(tree, target) })
}

func (k kernel) readOnly(tree *os.File) error {
	return k.call("mount_setattr", tree.Name(), func() error { return mount.Set(tree, false, mount.ReadOnly, 0) })
}

func (k kernel) makePrivate(tree *os.File) error {
	return k.call("mount_setattr", tree.Name(), func() error { return mount.MakePrivate(tree) })
}

func (k kernel) detach(path string) error {
	return k.call("umount", path, func() error { return mount.Detach(path) })
}

func (k kernel) detachHeld(tree *os.File) error {
	return k.call("umount", tree.Name(), func() error { return mount.DetachHeld(tree) })
}

func (k kernel) loop(file *os.File, opts loop.Options) (*loop.Device, error) {
	var device *loop.Device
	err := k.call("loop", file.Name(), func() (err error) {
		device, err = loop.Open(file, opts)
		return err
	})
	return device, err
}

// must does what has to be done to put things right, once more if it fails the
// first time: nothing is left to fall back on.
func must(what func() error) error {
	first := what()
	if first == nil {
		return nil
	}
	if second := what(); second != nil {
		return fmt.Errorf("%w, and once more: %w", first, second)
	}
	return nil
}
