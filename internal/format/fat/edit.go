package fat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"sextant/internal/tree"
)

// Storage is what a file system is edited on.
type Storage interface {
	io.ReaderAt
	io.WriterAt
}

// EditOptions say how a file system is edited.
type EditOptions struct {
	// Time is when new files were created and last read. If it is zero, that is
	// when they were last written.
	Time time.Time
}

// ErrFull says that a file system has no room for what is to be put into it.
var ErrFull = errors.New("file system is full")

// Editor changes a file system. Contents of files go to clusters that were free
// before the editor began, or after its last Commit: what Remove frees has to
// wait for that. All else is kept in memory till then.
//
// A method that returns an error has changed nothing, unless reading or writing
// the storage failed: then every later one returns that error too.
//
// FAT has no owners and no permissions but one bit: a file that nobody may write
// is read-only. Dropped tells what else is lost. Times are UTC, rounded down to
// two seconds, within 1980 to 2107. A directory's time does not change with what
// is in it, as in Windows.
type Editor struct {
	disk     Storage
	over     *overlay
	fs       *FS    // over the overlay
	original *table // of the disk
	opts     EditOptions

	free    uint32 // clusters that may be written to
	held    uint32 // clusters that will be free after Commit
	next    uint32 // where to look for a free cluster
	changed bool
	broken  error
}

// Edit opens the file system in the first size bytes of disk for changes. It
// checks all of it first and refuses one that is not sound: free counts that are
// wrong, clusters that no file has, remains of long names and a dirty bit do not
// matter, as they mislead nobody. Commit corrects the counts and clears the bit,
// as the check has just been made; a flag that the disk had errors stays. Without
// mirroring of the FATs it is taken if they are equal, and all are written.
func Edit(disk Storage, size int64, opts EditOptions) (*Editor, error) {
	first, err := open(disk, size)
	if err != nil {
		return nil, fmt.Errorf("edit FAT: %w", err)
	}
	e := &Editor{disk: disk, over: newOverlay(disk, first.geo.SectorSize), opts: opts, next: firstCluster}
	if e.fs, err = open(e.over, size); err != nil {
		return nil, fmt.Errorf("edit FAT: %w", err)
	}
	e.original = newTable(disk, e.fs.geo)
	found, err := e.fs.check(context.Background())
	if err != nil {
		return nil, fmt.Errorf("edit FAT: %w", err)
	}
	for _, p := range found.Problems {
		if !p.Bookkeeping {
			return nil, fmt.Errorf("edit FAT: file system is not sound: %w", p)
		}
	}
	e.free = found.free
	if info, at, err := e.fs.fsInfo(); err == nil && at != 0 && e.fs.geo.valid(info.NextFree) {
		e.next = info.NextFree
	}
	return e, nil
}

// FS returns the file system with all changes so far, as an *FS. It may not be
// used while a method of the editor runs, nor the content of a file after that
// was removed or replaced.
func (e *Editor) FS() fs.FS { return e.fs }

// Free returns how many bytes new contents may have now. Each file takes whole
// clusters, and directories may grow too.
func (e *Editor) Free() int64 { return int64(e.free) * e.fs.geo.ClusterSize }

// Dropped lists what of a file's attributes FAT cannot hold.
func Dropped(node *tree.Inode) (list []string) {
	if node.UID != 0 || node.GID != 0 {
		list = append(list, fmt.Sprintf("owner %d:%d", node.UID, node.GID))
	}
	kept := tree.Mode(0o755)
	if node.Mode&0o222 == 0 {
		kept = 0o555
	}
	if perm := node.Mode.Perm(); perm != kept && !(node.Mode.IsRegular() && perm|0o111 == kept) {
		list = append(list, fmt.Sprintf("mode %04o", uint16(perm)))
	}
	for _, x := range node.Xattrs {
		list = append(list, "extended attribute "+x.Name)
	}
	return list
}

// do runs one change and says of an error what it was about.
func (e *Editor) do(what, path string, change func() error) error {
	err := e.broken
	if err == nil {
		err = change()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", what, path, err)
	}
	return nil
}

// fail makes an error that leaves the change half done one that stays.
func (e *Editor) fail(err error) error {
	if err != nil && e.broken == nil {
		e.broken = err
	}
	return err
}

// Put makes the file or directory at path, or replaces the file that is there. A
// directory that is there keeps what is in it and gets the attributes. The
// parent must exist. Nothing becomes a directory that was a file, or the other
// way round; files of other types are fault.ErrUnsupported.
//
// A new name is kept as it is written, and found in whatever case; where a file
// of that name exists in another case, or has it as its alias, that is replaced
// and keeps its own.
func (e *Editor) Put(path string, node *tree.Inode) error {
	return e.do("put", path, func() error {
		if !node.Mode.IsDir() && !node.Mode.IsRegular() {
			return unsupported("FAT holds no %s", node.Mode.Kind())
		}
		dir, name, err := e.parent(path)
		if err != nil || dir == nil {
			return e.rootOnly(node, err)
		}
		old, err := e.fs.lookup(dir, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return e.create(dir, name, node)
		case err != nil:
			return err
		case old.isDir() != node.Mode.IsDir():
			return fmt.Errorf("is a %s: %w", old.mode().Kind(), fs.ErrExist)
		case old.isDir():
			return e.setAttributes(old, node)
		}
		return e.replace(old, node)
	})
}

// rootOnly is Put of the root: it has no attributes, and is a directory.
func (e *Editor) rootOnly(node *tree.Inode, err error) error {
	if err == nil && !node.Mode.IsDir() {
		err = fmt.Errorf("is the root directory: %w", fs.ErrExist)
	}
	return err
}

// Set changes read-only bit and time of what is at path, and nothing else.
func (e *Editor) Set(path string, node *tree.Inode) error {
	return e.do("set attributes of", path, func() error {
		n, err := e.fs.resolve(path)
		if err != nil || n.root {
			return err
		}
		return e.setAttributes(n, node)
	})
}

// Remove deletes a file or an empty directory.
func (e *Editor) Remove(path string) error {
	return e.do("remove", path, func() error {
		n, err := e.fs.resolve(path)
		if err != nil {
			return err
		}
		if n.isDir() {
			list, err := e.fs.children(n)
			if err != nil {
				return err
			}
			if len(list) > 0 {
				return fmt.Errorf("directory is not empty: %w", fs.ErrExist)
			}
		}
		return e.remove(n)
	})
}

// RemoveAll deletes what is at path and, of a directory, all that is below. A
// path where nothing is is no error.
func (e *Editor) RemoveAll(path string) error {
	return e.do("remove", path, func() error {
		n, err := e.fs.resolve(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return e.remove(n)
	})
}

// parent finds the directory that has or will have path, and the last name. It
// is nil for the root.
func (e *Editor) parent(path string) (dir *node, name string, err error) {
	names := tree.Split(path)
	if len(names) == 0 {
		return nil, "", nil
	}
	dir = e.fs.rootNode()
	for _, name := range names[:len(names)-1] {
		if dir, err = e.fs.lookup(dir, name); err != nil {
			return nil, "", fmt.Errorf("directory %s: %w", name, err)
		}
		if !dir.isDir() {
			return nil, "", fmt.Errorf("%s is a file, not a directory: %w", name, fs.ErrNotExist)
		}
	}
	return dir, names[len(names)-1], nil
}
