package source

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"sextant/internal/linux/dir"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// File returns the file at path, of any type but a directory. A symbolic link
// to a file stands for it.
func File(path string, opts Options) (*tree.Inode, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	d, err := dir.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	st, err := d.Stat(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	if tree.Mode(st.Mode).IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	return inode(d, path, filepath.Base(path), st, opts.Xattrs)
}

// inode returns the file called name in d, whose full name is path.
func inode(d *dir.Dir, path, name string, st dir.Stat, xattrs Xattrs) (*tree.Inode, error) {
	node := &tree.Inode{
		Mode:    tree.Mode(st.Mode),
		UID:     st.UID,
		GID:     st.GID,
		ModTime: st.ModTime,
		Origin:  path,
	}
	var err error
	switch node.Mode.Type() {
	case tree.TypeRegular:
		node.Content, err = content(d, path, name, st)
	case tree.TypeSymlink:
		node.Target, err = d.Readlink(name)
	case tree.TypeBlock, tree.TypeChar:
		node.Device = tree.Device{Major: st.Major, Minor: st.Minor}
	case tree.TypeDir, tree.TypeFIFO, tree.TypeSocket:
	default:
		err = fmt.Errorf("%s: file type %#o is none that an image can hold", path, st.Mode)
	}
	if err != nil {
		return nil, err
	}
	if node.Xattrs, err = xattrs.of(path); err != nil {
		return nil, err
	}
	return node, nil
}

// content returns the content of a regular file, which stays on disk. That it
// cannot be read is better known now than when half the image is written.
func content(d *dir.Dir, path, name string, st dir.Stat) (tree.Content, error) {
	if err := d.Readable(name); err != nil {
		return nil, err
	}
	f := diskFile{path, st.Size, st.ModTime}
	if st.Allocated >= st.Size {
		return f, nil
	}
	ranges, err := dir.Data(path, st.Size)
	if err != nil {
		return nil, err
	}
	var data []span.Span
	for _, r := range ranges {
		data = append(data, span.Between(r.Start, r.End))
	}
	return sparseFile{f, data}, nil
}

// diskFile is the content of a file on disk as it was when it was looked at.
type diskFile struct {
	path    string
	size    int64
	modTime time.Time
}

// Size returns the length in bytes.
func (c diskFile) Size() int64 { return c.size }

// Extents returns the whole file as one span.
func (c diskFile) Extents() []span.Span { return span.Whole(c.size) }

// Open opens the file, and is an error if it is another one by now.
func (c diskFile) Open() (tree.Reader, error) {
	f, err := dir.OpenFile(c.path)
	if err != nil {
		return nil, err
	}
	if err := c.check(f); err != nil {
		f.Close()
		return nil, err
	}
	return &diskReader{f, c}, nil
}

func (c diskFile) check(f *dir.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !tree.Mode(st.Mode).IsRegular() || st.Size != c.size || !st.ModTime.Equal(c.modTime) {
		return c.changed()
	}
	return nil
}

func (c diskFile) changed() error {
	return fmt.Errorf("%s changed while it was being read", c.path)
}

// sparseFile is a diskFile with holes.
type sparseFile struct {
	diskFile
	data []span.Span
}

// Extents returns what is between the holes.
func (c sparseFile) Extents() []span.Span { return c.data }

// diskReader reads a diskFile.
type diskReader struct {
	f    *dir.File
	file diskFile
}

// ReadAt is io.ReaderAt's. A file that became shorter is an error.
func (r *diskReader) ReadAt(p []byte, offset int64) (int, error) {
	n, err := r.f.ReadAt(p, offset)
	if err == io.EOF && offset+int64(n) < r.file.size {
		err = r.file.changed()
	}
	return n, err
}

// Close closes the file, and is an error if it changed since Open.
func (r *diskReader) Close() error {
	err := r.file.check(r.f)
	if closeErr := r.f.Close(); err == nil {
		err = closeErr
	}
	return err
}
