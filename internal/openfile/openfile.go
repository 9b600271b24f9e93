// Package openfile makes open files as io/fs has them, for file systems that are
// read out of an image or a tree.
package openfile

import (
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

// Regular returns an open regular file, which is an io.ReaderAt and an io.Seeker
// too. It reads as many bytes of content as state says, and closes it.
func Regular(state fs.FileInfo, content tree.Reader) fs.File {
	return &regular{state, io.NewSectionReader(content, 0, state.Size()), content}
}

type regular struct {
	state fs.FileInfo
	*io.SectionReader
	content io.Closer
}

func (f *regular) Stat() (fs.FileInfo, error) { return f.state, nil }
func (f *regular) Close() error               { return f.content.Close() }

// Special returns an open device, pipe or socket, of which an image has no
// bytes: reading it wraps fault.ErrUnsupported.
func Special(state fs.FileInfo) fs.File { return special{state} }

type special struct{ state fs.FileInfo }

func (f special) Stat() (fs.FileInfo, error) { return f.state, nil }
func (f special) Close() error               { return nil }

func (f special) Read([]byte) (int, error) {
	kind := tree.ModeOf(f.state.Mode()).Kind()
	return 0, &fs.PathError{Op: "read", Path: f.state.Name(), Err: fmt.Errorf("a %s has no content: %w", kind, fault.ErrUnsupported)}
}

// Dir returns an open directory, an fs.ReadDirFile. Its entries are listed when
// they are asked for, once.
func Dir(state fs.FileInfo, list func() ([]fs.DirEntry, error)) fs.File {
	return &dir{state: state, list: list}
}

type dir struct {
	state  fs.FileInfo
	list   func() ([]fs.DirEntry, error) // nil when unread has the entries
	unread []fs.DirEntry
}

func (d *dir) Stat() (fs.FileInfo, error) { return d.state, nil }
func (d *dir) Close() error               { return nil }

func (d *dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.state.Name(), Err: syscall.EISDIR}
}

// ReadDir returns the next count entries, or all that are left.
func (d *dir) ReadDir(count int) ([]fs.DirEntry, error) {
	if d.list != nil {
		all, err := d.list()
		if err != nil {
			return nil, &fs.PathError{Op: "readdir", Path: d.state.Name(), Err: err}
		}
		d.list, d.unread = nil, all
	}
	if count <= 0 {
		count = len(d.unread)
	} else if len(d.unread) == 0 {
		return nil, io.EOF
	}
	count = min(count, len(d.unread))
	entries := d.unread[:count:count]
	d.unread = d.unread[count:]
	return entries, nil
}
