//go:build !linux

// Package dir reads directories and the facts about what is in them. Outside
// Linux that is what io/fs says: no owners, no extended attributes, no holes,
// and hard links look like separate files.
package dir

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is a directory that is being read.
type Dir struct {
	path string
}

// Open opens the directory at path. A symbolic link to one is followed.
func Open(path string) (*Dir, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	return &Dir{path}, nil
}

// Close closes the directory.
func (d *Dir) Close() error { return nil }

// Names returns the names in the directory, in no order.
func (d *Dir) Names() ([]string, error) {
	f, err := os.Open(d.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// Self returns the facts about the directory itself.
func (d *Dir) Self() (Stat, error) { return statOf(os.Stat(d.path)) }

// Stat returns the facts about the entry called name; a symbolic link is not
// followed.
func (d *Dir) Stat(name string) (Stat, error) { return statOf(os.Lstat(d.join(name))) }

func statOf(fi fs.FileInfo, err error) (Stat, error) {
	if err != nil {
		return Stat{}, err
	}
	return Stat{
		Mode:      mode(fi.Mode()),
		Links:     1,
		Size:      fi.Size(),
		Allocated: fi.Size(),
		ModTime:   fi.ModTime(),
	}, nil
}

// mode returns fm as Linux has it in st_mode (inode(7)).
func mode(fm fs.FileMode) uint32 {
	m := uint32(fm.Perm())
	for bit, value := range map[fs.FileMode]uint32{
		fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000,
	} {
		if fm&bit != 0 {
			m |= value
		}
	}
	switch fm.Type() {
	case 0:
		return m | 0o100000
	case fs.ModeDir:
		return m | 0o040000
	case fs.ModeSymlink:
		return m | 0o120000
	case fs.ModeDevice:
		return m | 0o060000
	case fs.ModeDevice | fs.ModeCharDevice:
		return m | 0o020000
	case fs.ModeNamedPipe:
		return m | 0o010000
	case fs.ModeSocket:
		return m | 0o140000
	}
	return m
}

// Readlink returns the target of the symbolic link called name, with slashes.
func (d *Dir) Readlink(name string) (string, error) {
	target, err := os.Readlink(d.join(name))
	return filepath.ToSlash(target), err
}

// Readable returns an error unless this process may read the entry called
// name.
func (d *Dir) Readable(name string) error {
	f, err := os.Open(d.join(name))
	if err != nil {
		return err
	}
	return f.Close()
}

func (d *Dir) join(name string) string { return filepath.Join(d.path, name) }

// Xattrs returns nothing.
func Xattrs(string, func(string) bool) ([]Xattr, error) { return nil, nil }

// Data returns one range, as nothing is known of holes.
func Data(_ string, size int64) ([]Range, error) { return []Range{{0, size}}, nil }

// File is an open file.
type File struct {
	f *os.File
}

// OpenFile opens the file at path for reading.
func OpenFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &File{f}, nil
}

// Stat returns the facts about the file.
func (f *File) Stat() (Stat, error) { return statOf(f.f.Stat()) }

// ReadAt is io.ReaderAt's.
func (f *File) ReadAt(p []byte, offset int64) (int, error) { return f.f.ReadAt(p, offset) }

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }
