package inroot

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"sextant/internal/symlink"
)

// Dir returns the files below root by their paths without links, as ResolveIn
// finds them. Unlike os.DirFS it has those whose names are not UTF-8.
func Dir(root string) fs.ReadLinkFS { return directory(root) }

// ResolveIn is ResolveNew for a system of which all that is needed is to tell
// links from the rest (fs.ReadLinkFS). It reports whether anything is there.
func ResolveIn(fsys fs.FS, name string) (at string, exists bool, err error) {
	at, rest, err := followIn(fsys, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path.Join(at, rest), false, nil
	case err != nil:
		return "", false, &fs.PathError{Op: "resolve", Path: name, Err: err}
	}
	return at, true, nil
}

func followIn(fsys fs.FS, name string) (at, rest string, err error) {
	return symlink.Follow(files{fsys}, "/", name, symlink.Rules{Links: maxLinks})
}

// files is a system as package symlink reads it.
type files struct{ fs.FS }

func (f files) Child(way []string, name string) (string, symlink.Kind, error) {
	at := path.Join(way[len(way)-1], name)
	found, err := fs.Lstat(f.FS, inside(at))
	if err != nil {
		return "", symlink.Other, plain(err)
	}
	return at, symlink.KindOf(found.IsDir(), found.Mode()&fs.ModeSymlink != 0), nil
}

func (f files) Target(link string) (string, error) {
	target, err := fs.ReadLink(f.FS, inside(link))
	return target, plain(err)
}

// inside returns an absolute path as io/fs has it.
func inside(at string) string {
	if at == "/" {
		return "."
	}
	return at[1:]
}

// plain returns the number of an error, without operation and path.
func plain(err error) error {
	if e, ok := err.(*fs.PathError); ok {
		return e.Err
	}
	return err
}

// directory is a root on this host.
type directory string

func (d directory) Open(name string) (fs.File, error) { return os.Open(Join(string(d), name)) }

func (d directory) Lstat(name string) (fs.FileInfo, error) { return os.Lstat(Join(string(d), name)) }

func (d directory) ReadLink(name string) (string, error) { return os.Readlink(Join(string(d), name)) }
