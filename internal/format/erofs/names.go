package erofs

import (
	"fmt"
	"io"
	"strings"

	"sextant/internal/tree"
)

// Names calls see for every name in the image but the root's, in the order of
// tree.Walk, with the type that its directory gives it; dir ends in a slash.
// It reads directories and nothing else, which for a large image is a small
// part of what Tree reads.
func (f *FS) Names(see func(dir, name string, kind tree.Mode) error) error {
	ahead, err := Open(&readAhead{r: f.r, size: f.size}, f.size)
	if err != nil {
		return err
	}
	w := newWalker(ahead)
	root := w.visit(visit{path: "/", entry: DirEntry{NID: f.rootNID, Type: DirType}})
	return w.names(root, see)
}

// readAhead is a reader that reads more than it is asked for and keeps that: the
// entries of a small directory stand behind its inode.
type readAhead struct {
	r    io.ReaderAt
	size int64
	at   int64
	held []byte
	buf  [8 << 10]byte
}

// ReadAt is io.ReaderAt's, but for one goroutine.
func (w *readAhead) ReadAt(p []byte, offset int64) (int, error) {
	if len(p) > len(w.buf)/2 {
		return w.r.ReadAt(p, offset)
	}
	if from := offset - w.at; from >= 0 && from+int64(len(p)) <= int64(len(w.held)) {
		return copy(p, w.held[from:]), nil
	}
	n := min(int64(len(w.buf)), w.size-offset)
	if n < int64(len(p)) {
		return w.r.ReadAt(p, offset)
	}
	read, err := w.r.ReadAt(w.buf[:n], offset)
	w.at, w.held = offset, w.buf[:read]
	if read >= len(p) {
		return copy(p, w.held), nil
	}
	return copy(p, w.held), err
}

func (w *walker) names(dir visit, see func(dir, name string, kind tree.Mode) error) error {
	if dir.err == nil {
		if w.dirs += dir.inode.Size; w.dirs > w.f.size {
			dir.err = corrupt("directories take more bytes than the image has")
		}
	}
	if dir.err != nil {
		return fmt.Errorf("%s: %w", dir.path, dir.err)
	}
	blocks, err := dir.inode.dir()
	if err != nil {
		return fmt.Errorf("%s: %w", dir.path, err)
	}
	dir.path = strings.TrimSuffix(dir.path, "/") + "/"
	last := ""
	for b := range blocks.blocks() {
		entries, err := blocks.block(b)
		if err == nil && entries[0].Name <= last {
			err = corrupt("directory block %d: name %q is out of order", b, entries[0].Name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", dir.path, err)
		}
		last = entries[len(entries)-1].Name
		for _, e := range entries {
			if err := w.name(dir, e, see); err != nil {
				return err
			}
		}
	}
	return nil
}

// name calls see for an entry, and for what is in it.
func (w *walker) name(dir visit, e DirEntry, see func(dir, name string, kind tree.Mode) error) error {
	if e.Name == "." || e.Name == ".." {
		return nil
	}
	if e.Type != DirType && e.Type != UnknownType {
		return see(dir.path, e.Name, e.Type.mode())
	}
	v := w.visit(visit{path: dir.path + e.Name, entry: e, parent: dir.inode})
	if v.err != nil {
		return fmt.Errorf("%s: %w", v.path, v.err)
	}
	if err := see(dir.path, e.Name, v.inode.Mode.Type()); err != nil || !v.inode.Mode.IsDir() {
		return err
	}
	return w.names(v, see)
}
