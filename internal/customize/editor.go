package customize

import (
	"fmt"
	"io"
	"io/fs"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/erofs"
	"sextant/internal/format/ext4"
	"sextant/internal/format/fat"
	"sextant/internal/format/squashfs"
	"sextant/internal/probe"
	"sextant/internal/tree"
)

// Storage is a disk, or a part of one, that can be written to.
type Storage interface {
	io.ReaderAt
	io.WriterAt
}

// Editor changes one file system. Names are those of FS: "usr/lib", without a
// slash in front, and go through no symbolic links. Nothing counts before
// Commit.
type Editor interface {
	// FS reads the file system as it is with the changes so far. What its
	// Lstat returns has a *tree.Inode as Sys.
	FS() fs.FS

	// Put makes node what is at name. The parent is there; a directory keeps
	// what is in it.
	Put(name string, node *tree.Inode) error

	// RemoveAll removes what is at name, with all below it.
	RemoveAll(name string) error

	// Free returns the bytes that are left for files.
	Free() int64

	// Commit writes the changes.
	Commit() error
}

// edit opens a file system for changing. A kind that can only be read, or not
// even that, is fault.ErrUnsupported.
func edit(kind probe.Kind, disk Storage, size int64, now time.Time) (Editor, error) {
	switch kind {
	case probe.Ext2, probe.Ext3, probe.Ext4:
		e, err := ext4.Edit(disk, size, ext4.EditOptions{Time: now})
		return ext4Editor{e}, err
	case probe.VFAT:
		e, err := fat.Edit(disk, size, fat.EditOptions{Time: now})
		return fatEditor{e}, err
	case "":
		return nil, fmt.Errorf("no file system that is known: %w", fault.ErrUnsupported)
	case probe.EROFS, probe.SquashFS:
		return nil, fmt.Errorf("file system %s is read-only by its nature: %w", kind, fault.ErrUnsupported)
	}
	return nil, fmt.Errorf("file system %s is none that sextant can change: %w", kind, fault.ErrUnsupported)
}

// read opens a file system for reading only.
func read(kind probe.Kind, r io.ReaderAt, size int64) (fs.FS, error) {
	switch kind {
	case probe.Ext2, probe.Ext3, probe.Ext4:
		fsys, err := ext4.Open(r, size)
		return ext4FS{fsys}, err
	case probe.EROFS:
		return erofs.Open(r, size)
	case probe.SquashFS:
		return squashfs.Open(r, size)
	}
	return nil, fmt.Errorf("file system %s is none that sextant can read: %w", kind, fault.ErrUnsupported)
}

// ext4Editor is an ext4.Editor whose FS tells inodes.
type ext4Editor struct{ *ext4.Editor }

// FS implements Editor.
func (e ext4Editor) FS() fs.FS { return ext4FS{e.Editor.FS()} }

// ext4FS tells an inode with its extended attributes where ext4.FS has the
// attributes apart.
type ext4FS struct{ *ext4.FS }

// Lstat returns a state whose Sys is a *tree.Inode.
func (f ext4FS) Lstat(name string) (fs.FileInfo, error) {
	state, err := f.FS.Lstat(name)
	if err != nil {
		return nil, err
	}
	st, ok := state.Sys().(*ext4.Stat)
	if !ok {
		return state, nil
	}
	node := &tree.Inode{Mode: st.Mode, UID: st.UID, GID: st.GID, ModTime: st.ModTime, Device: st.Device}
	if node.Xattrs, err = f.FS.Xattrs(name); err != nil {
		return nil, err
	}
	if st.Mode.Type() == tree.TypeSymlink {
		if node.Target, err = f.FS.ReadLink(name); err != nil {
			return nil, err
		}
	}
	return ext4Info{state, node}, nil
}

type ext4Info struct {
	fs.FileInfo
	node *tree.Inode
}

func (i ext4Info) Sys() any { return i.node }

// fatEditor leaves out what a FAT cannot hold.
type fatEditor struct{ *fat.Editor }

// Put puts a file without its label: systemd mounts a FAT with one label for
// all of it.
func (e fatEditor) Put(name string, node *tree.Inode) error {
	bare := *node
	bare.Xattrs = nil
	return e.Editor.Put(name, &bare)
}
