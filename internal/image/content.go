package image

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/fault"
)

// Extension is what an image says about itself.
type Extension struct {
	Class   extension.Class
	Name    string // suffix of the release file
	Release extension.Release
}

// String gives what the extension is in one line.
func (e Extension) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", e.Class, e.Name)
	if version := e.Release.Value(e.Class.Prefix() + "_VERSION_ID"); version != "" {
		b.WriteString(" " + version)
	}
	if arch := e.Release.Value("ARCHITECTURE"); arch != "" {
		b.WriteString(" for " + arch)
	}
	if id := e.Release.Value("ID"); id != "" {
		b.WriteString(", hosts with ID=" + id)
	}
	return b.String()
}

// Extensions returns what the release files of the image say, of both classes.
func (m *Image) Extensions() ([]Extension, error) {
	var list []Extension
	for _, vol := range m.Volumes() {
		var fsys fs.FS
		fsys, _, err := m.FileSystem(vol.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", vol.Data.Name(), err)
		}
		if vol.Role() == dps.Usr {
			fsys = usrFS{fsys}
		}
		found, err := Extensions(fsys)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", vol.Data.Name(), err)
		}
		list = append(list, found...)
	}
	return list, nil
}

// usrFS shows a file system as it is when it is mounted at /usr.
type usrFS struct{ fs.FS }

// Open opens what is below usr.
func (u usrFS) Open(name string) (fs.File, error) {
	if name == "usr" {
		return u.FS.Open(".")
	}
	inside, ok := strings.CutPrefix(name, "usr/")
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return u.FS.Open(inside)
}

// classes lists both classes.
func classes() []extension.Class { return []extension.Class{extension.Sysext, extension.Confext} }

// Extensions returns what the release files in a file system say, of both
// classes.
func Extensions(fsys fs.FS) ([]Extension, error) {
	var list []Extension
	for _, class := range classes() {
		dir := strings.TrimPrefix(class.ReleaseDir(), "/")
		entries, err := fs.ReadDir(fsys, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), extension.ReleasePrefix)
			if !ok || !e.Type().IsRegular() {
				continue
			}
			release, err := readRelease(fsys, path.Join(dir, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.Name(), err)
			}
			list = append(list, Extension{class, name, release})
		}
	}
	return list, nil
}

func readRelease(fsys fs.FS, name string) (extension.Release, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRelease {
		return nil, fmt.Errorf("%d bytes, at most %d are read: %w", info.Size(), maxRelease, fault.ErrUnsupported)
	}
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return extension.ParseRelease(text)
}

// maxRelease is more than any release file has.
const maxRelease = 1 << 20
