package mounted

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"

	"sextant/internal/extract"
	"sextant/internal/fault"
	"sextant/internal/linux/inode"
	"sextant/internal/linux/loop"
	"sextant/internal/linux/mount"
	"sextant/internal/linux/volume"
	"sextant/internal/tree"
)

// Editor changes a mounted file system. It is not for several goroutines.
type Editor struct {
	opts    Options
	device  *loop.Device
	top     *os.File // the mount
	root    *os.Root
	touched []string // directories whose entries changed
	closed  bool
}

// Edit mounts the file system of a kind, one of Kinds, for changes. Close must
// be called in any case.
func Edit(disk Storage, kind string, opts Options) (*Editor, error) {
	if !slices.Contains(Kinds(), kind) {
		return nil, fmt.Errorf("file system %s is not changed through the kernel: %w", kind, fault.ErrUnsupported)
	}
	if os.Geteuid() != 0 {
		return nil, needsRoot(kind)
	}
	if kind == "btrfs" {
		if _, err := os.Stat("/sys/fs/btrfs/features/temp_fsid"); err != nil {
			return nil, fmt.Errorf("this kernel cannot mount a copy of a btrfs beside the original, Linux 6.7 can: %w", fault.ErrUnsupported)
		}
	}
	e := &Editor{opts: opts}
	if err := e.mount(disk, kind); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Editor) mount(disk Storage, kind string) (err error) {
	e.device, err = loop.Open(disk.File, loop.Options{
		Offset: disk.Span.Offset, Size: disk.Span.Length, Sector: e.opts.SectorSize, Writable: !e.opts.ReadOnly,
	})
	if err != nil {
		return err
	}
	attributes := mount.NoSuid | mount.NoDev | mount.NoExec | mount.NoAtime
	if e.opts.ReadOnly {
		attributes |= mount.ReadOnly
	}
	if e.top, err = mount.New(kind, e.device.Name(), e.mountOptions(kind), attributes); err != nil {
		return err
	}
	e.root, err = os.OpenRoot(pathOf(e.top))
	return err
}

// mountOptions let a copy be mounted beside its original, and write nothing
// where nothing may be written: a log that is not empty is then left as it is.
func (e *Editor) mountOptions(kind string) (list []mount.Option) {
	if kind == "xfs" {
		list = append(list, mount.Option{Key: "nouuid", Flag: true})
	}
	if e.opts.Subvolume != "" && kind == "btrfs" {
		list = append(list, mount.Option{Key: "subvol", Value: e.opts.Subvolume})
	}
	if !e.opts.ReadOnly {
		return list
	}
	list = append(list, mount.Option{Key: "ro", Flag: true})
	if kind == "xfs" {
		return append(list, mount.Option{Key: "norecovery", Flag: true})
	}
	return append(list, mount.Option{Key: "rescue", Value: "nologreplay"})
}

// pathOf is a path to an open directory, also one that no other path leads to.
func pathOf(dir *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) }

// FS returns the file system as it is, until Close. The Sys of its states is a
// *tree.Inode. Symbolic links are not followed.
func (e *Editor) FS() fs.FS { return view{e.root} }

// Free returns the bytes that are left for files.
func (e *Editor) Free() int64 {
	free, err := volume.Free(e.top)
	if err != nil {
		return 0
	}
	return free
}

// do runs one change of what is at a path.
func (e *Editor) do(what, at string, change func(name string) error) error {
	name := path.Join(tree.Split(at)...)
	err := error(nil)
	switch {
	case slices.Contains(tree.Split(at), ".."):
		err = fs.ErrInvalid
	case e.closed:
		err = fs.ErrClosed
	case e.opts.ReadOnly:
		err = readOnly()
	case name == "":
		err = change(".")
	default:
		if err = plainDir(e.root, path.Dir(name)); err == nil {
			err = change(name)
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, at, err)
	}
	return nil
}

// plainDir returns an error unless dir and all above it are directories, no
// links to one.
func plainDir(root *os.Root, dir string) error {
	at := ""
	for _, name := range tree.Split(dir) {
		at = path.Join(at, name)
		state, err := root.Lstat(at)
		if err != nil {
			return err
		}
		if !state.IsDir() {
			return fmt.Errorf("%s is a %s, not a directory: %w", at, tree.ModeOf(state.Mode()).Kind(), fs.ErrNotExist)
		}
	}
	return nil
}

// touch notes that the entries of the directory that has name change.
func (e *Editor) touch(name string) {
	if dir := path.Dir(name); !slices.Contains(e.touched, dir) {
		e.touched = append(e.touched, dir)
	}
}

// Put makes node what is at path. The parent must exist. A directory that is
// there keeps what is in it and gets the attributes; nothing becomes a directory
// that was none, or the other way round. A file is replaced at once.
func (e *Editor) Put(at string, node *tree.Inode) error {
	return e.do("put", at, func(name string) error {
		there, err := e.root.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case there.IsDir() != node.Mode.IsDir():
			return fmt.Errorf("is a %s: %w", tree.ModeOf(there.Mode()).Kind(), fs.ErrExist)
		case there.IsDir():
			return e.attributes(name, node)
		}
		old, err := e.modTime(path.Dir(name))
		if err != nil {
			return err
		}
		if err := e.make(name, node); err != nil {
			return err
		}
		e.touch(name)
		return old.restore(e)
	})
}

// make makes a file beside its place and then puts it there.
func (e *Editor) make(name string, node *tree.Inode) error {
	dir, err := e.root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	t := tree.New()
	if err := t.Root.Put(path.Base(name), node.CopyDir()); err != nil {
		return err
	}
	made, err := extract.Extract(context.Background(), pathOf(dir), t, extract.Options{Force: true, Owners: true})
	if err == nil && len(made.LeftOut) > 0 {
		err = fmt.Errorf("the file system keeps no %s: %w", made.LeftOut[0].What, fault.ErrUnsupported)
	}
	return err
}

// Set gives what is at path the attributes of node, and nothing else.
func (e *Editor) Set(at string, node *tree.Inode) error {
	return e.do("set attributes of", at, func(name string) error {
		state, err := e.root.Lstat(name)
		if err != nil {
			return err
		}
		with := node.CopyDir()
		with.Mode = tree.ModeOf(state.Mode()).Type() | node.Mode.Perm()
		return e.attributes(name, with)
	})
}

func (e *Editor) attributes(name string, node *tree.Inode) error {
	left, err := extract.SetAttributes(e.root, name, node, extract.Options{Owners: true})
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("the file system keeps no %s: %w", left[0].What, fault.ErrUnsupported)
	}
	if i := slices.Index(e.touched, name); err == nil && i >= 0 {
		e.touched = slices.Delete(e.touched, i, i+1) // its time was asked for
	}
	return err
}

// Remove removes a file or an empty directory.
func (e *Editor) Remove(at string) error { return e.remove(at, e.root.Remove) }

// RemoveAll removes what is at path, with all below it. A path where nothing is
// is no error.
func (e *Editor) RemoveAll(at string) error {
	err := e.remove(at, func(name string) error {
		if _, err := e.root.Lstat(name); err != nil {
			return err
		}
		return e.root.RemoveAll(name)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (e *Editor) remove(at string, how func(string) error) error {
	return e.do("remove", at, func(name string) error {
		if name == "." {
			return fmt.Errorf("is the root directory: %w", fs.ErrInvalid)
		}
		old, err := e.modTime(path.Dir(name))
		if err != nil {
			return err
		}
		if err := how(name); err != nil {
			return err
		}
		e.touch(name)
		return old.restore(e)
	})
}

// Commit writes all changes and unmounts the file system.
func (e *Editor) Commit() error {
	if e.opts.ReadOnly {
		return readOnly()
	}
	if e.closed {
		return fs.ErrClosed
	}
	if !e.opts.Time.IsZero() {
		for _, dir := range e.touched {
			// A directory may have been removed since.
			if err := (oldTime{dir, e.opts.Time}).restore(e); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("/%s: %w", dir, err)
			}
		}
	}
	return errors.Join(e.sync(), e.Close())
}

// sync needs the root opened anew: the mount itself is open as a place only
// (O_PATH).
func (e *Editor) sync() error {
	top, err := e.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(volume.Sync(top), top.Close())
}

// Close unmounts the file system. After Commit it does nothing.
func (e *Editor) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	var err error
	if e.root != nil {
		err = e.root.Close()
	}
	if e.top != nil {
		err = errors.Join(err, e.top.Close())
	}
	if e.device != nil {
		err = errors.Join(err, volume.Released(e.device.Name()), e.device.Close())
	}
	return err
}

// modTime reads the time of a directory.
func (e *Editor) modTime(dir string) (oldTime, error) {
	state, err := e.root.Lstat(dir)
	if err != nil {
		return oldTime{}, err
	}
	return oldTime{dir, state.ModTime()}, nil
}

// restore gives a directory a time.
func (o oldTime) restore(e *Editor) error {
	dir, err := e.root.Open(o.dir)
	if err != nil {
		return err
	}
	return errors.Join(inode.SetTime(dir, ".", o.time), dir.Close())
}
