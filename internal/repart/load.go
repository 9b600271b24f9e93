package repart

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/ini"
)

// Directory is a directory with definitions.
type Directory struct {
	Name string // for messages
	FS   fs.FS
}

// OpenDirectory returns the directory at path, which messages call name.
func OpenDirectory(path, name string) Directory { return Directory{name, os.DirFS(path)} }

//go:embed builtin
var builtin embed.FS

// Builtin returns the built-in definitions for a format, "sysext" or
// "confext": root file system, hash tree and signature, or without verity the
// file system alone.
func Builtin(format string, verity bool) Directory {
	name := format
	if !verity {
		name += "-unsigned"
	}
	sub, err := fs.Sub(builtin, "builtin/"+name+".repart.d")
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return Directory{"built-in " + name + ".repart.d", sub}
}

// Load reads the definitions of the directories, of which the first wins, for
// an image of the given architecture. They come in the order of their file
// names, which is the order of the partitions. A fault in what the user wrote
// is a *ini.Fault with its place.
func Load(dirs []Directory, native dps.Architecture) ([]Definition, error) {
	files, err := find(dirs, "")
	if err != nil {
		return nil, err
	}
	var list []Definition
	for _, f := range files {
		d, err := load(dirs, f, native)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	if len(list) == 0 {
		return nil, ini.Faultf(ini.Position{File: names(dirs)}, "remove the directory to get the built-in definitions", "no *.conf file with a partition")
	}
	if err := checkSets(list); err != nil {
		return nil, err
	}
	return list, nil
}

func names(dirs []Directory) string {
	var list []string
	for _, d := range dirs {
		list = append(list, d.Name)
	}
	return strings.Join(list, ", ")
}

// file is one file of a directory.
type file struct {
	dir  Directory
	path string
}

func (f file) name() string { return f.dir.Name + "/" + f.path }

// find lists the files with the extension ".conf" below sub in all directories
// by name (src/basic/conf-files.c, conf_files_list_strv).
func find(dirs []Directory, sub string) ([]file, error) {
	found := map[string]file{}
	taken := map[string]bool{}
	for _, dir := range dirs {
		entries, err := fs.ReadDir(dir.FS, path.Join(".", sub))
		if errors.Is(err, fs.ErrNotExist) && sub != "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path.Join(dir.Name, sub), bare(err))
		}
		for _, e := range entries {
			name := e.Name()
			if !strings.HasSuffix(name, ".conf") || strings.HasPrefix(name, ".") || taken[name] {
				continue
			}
			f := file{dir, path.Join(sub, name)}
			info, err := fs.Stat(dir.FS, f.path)
			switch {
			case err != nil:
				return nil, fmt.Errorf("%s: %w", f.name(), bare(err))
			case masks(info):
				taken[name] = true
			case info.Mode().IsRegular():
				taken[name], found[name] = true, f
			}
		}
	}
	list := make([]file, 0, len(found))
	for _, f := range found {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b file) int { return strings.Compare(a.path, b.path) })
	return list, nil
}

// masks reports whether a file only takes its name away: it is empty or a
// device like /dev/null.
func masks(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Size() == 0 || info.Mode()&fs.ModeDevice != 0
}

// load reads one definition and its drop-ins.
func load(dirs []Directory, f file, native dps.Architecture) (Definition, error) {
	dropins, err := find(dirs, f.path+".d")
	if err != nil {
		return Definition{}, err
	}
	r := newReader(f, native)
	for _, part := range append([]file{f}, dropins...) {
		if err := r.file(part); err != nil {
			return Definition{}, err
		}
	}
	return r.finish()
}

// bare returns a file error without operation and path.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
