// Package atomic makes files that appear whole or not at all.
//
// A File is written under no name (or, where the file system cannot do that,
// under a hidden one), brought to stable storage, and only then renamed over
// its final name. Until Commit returns, whatever was there before is intact.
// A File that is never committed leaves no trace; one whose program is killed
// leaves none either where the system has nameless files, as Linux does.
package atomic

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sextant/internal/linux/tmpfile"
)

// File is a file that is being written.
type File struct {
	*os.File
	path     string
	nameless bool
	done     bool
}

// Create starts a file that will have the given name and permission bits,
// whatever the umask is. The directory must exist.
func Create(path string, perm fs.FileMode) (*File, error) {
	f, nameless, err := open(path)
	if err != nil {
		return nil, err
	}
	a := &File{File: f, path: path, nameless: nameless}
	if err := f.Chmod(perm); err != nil {
		a.Discard()
		return nil, err
	}
	return a, nil
}

func open(path string) (f *os.File, nameless bool, err error) {
	f, err = tmpfile.Create(path)
	if err == nil {
		return f, true, nil
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return nil, false, err
	}
	f, err = os.CreateTemp(filepath.Dir(path), pattern(filepath.Base(path)))
	return f, false, err
}

// pattern returns the hidden temporary name for base, cut so that what
// CreateTemp puts in fits in the 255 bytes of a name.
func pattern(base string) string {
	if len(base) > 200 {
		base = base[:200]
	}
	return "." + base + ".*.tmp"
}

// Path returns the final name.
func (a *File) Path() string { return a.path }

// Sync brings what was written to stable storage, so that a later Commit is
// nothing but a rename.
func (a *File) Sync() error { return a.File.Sync() }

// Commit brings the file to stable storage and gives it its name, replacing
// what had it. After an error the old file is still there.
func (a *File) Commit() error {
	if a.done {
		return nil
	}
	err := a.publish()
	if err != nil {
		a.Discard()
		return fmt.Errorf("write %s: %w", a.path, err)
	}
	a.done = true
	return nil
}

func (a *File) publish() error {
	if err := a.File.Sync(); err != nil {
		return err
	}
	temporary := a.File.Name()
	if a.nameless {
		var err error
		if temporary, err = link(a.File, a.path); err != nil {
			return err
		}
	}
	if err := a.File.Close(); err != nil {
		os.Remove(temporary)
		return err
	}
	if err := os.Rename(temporary, a.path); err != nil {
		os.Remove(temporary)
		return err
	}
	return syncDir(filepath.Dir(a.path))
}

// link gives a nameless file a hidden name beside path. Linux cannot link over
// an existing name, so the final step is a rename in any case.
func link(f *os.File, path string) (string, error) {
	return tempName(path, func(name string) error { return tmpfile.Link(f, name) })
}

// Discard drops what was written. It does nothing after Commit.
func (a *File) Discard() {
	if a.done {
		return
	}
	a.done = true
	name := a.File.Name()
	a.File.Close()
	if !a.nameless {
		os.Remove(name)
	}
}

// WriteFile writes a whole file at once.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	f, err := Create(path, perm)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer f.Discard()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}

// Symlink makes path a symbolic link to target, replacing what is there unless
// it is a directory.
func Symlink(target, path string) error {
	if have, err := os.Readlink(path); err == nil && have == target {
		return nil
	}
	temporary, err := tempName(path, func(name string) error { return os.Symlink(target, name) })
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		os.Remove(temporary)
		return err
	}
	return syncDir(filepath.Dir(path))
}

// tempName calls create with hidden names beside path until one is free.
func tempName(path string, create func(name string) error) (string, error) {
	prefix := strings.TrimSuffix(pattern(filepath.Base(path)), "*.tmp")
	for n := 0; ; n++ {
		name := filepath.Join(filepath.Dir(path), fmt.Sprintf("%s%d-%d.tmp", prefix, os.Getpid(), n))
		err := create(name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrExist) || n >= 1000 {
			return "", err
		}
	}
}

// syncDir makes a rename in dir survive a crash. Not every file system can
// sync a directory; those that cannot need no help or have none to give.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer d.Close()
	d.Sync()
	return nil
}
