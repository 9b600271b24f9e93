// Package roottree changes a root file system that is no disk: a directory, or a
// tar archive, plain or compressed.
//
//	path ── Open ──> Base ─┬─ Scratch ─────> Editor    changes that nobody keeps
//	                       ├─ Into(path) ──> Editor ── Commit ──> a changed copy
//	                       └─ InPlace ─────> Editor ── Commit ──> the base itself
//
// An Editor changes a tree in memory and reads contents from where they are. A
// copy appears under its name when it is complete. In a directory that is
// changed in place all new files are made beside the old ones, and a journal is
// written, before the first one is moved: after a kill, Recover leaves the old
// tree or the new one.
//
// Nothing is written outside the directory, and no symbolic link in it is
// followed: all writing goes through os.Root.
//
// Left out: archives compressed with bzip2 are read and not written, as there is
// no writer; sockets in archives, which have no place for them.
package roottree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"sextant/internal/fault"
	"sextant/internal/source"
	"sextant/internal/tree"
)

// ErrNoTree says that a file is neither a directory nor a tar archive.
var ErrNoTree = errors.New("neither a directory nor a tar archive")

// Base is a directory or a tar archive with a root file system in it.
type Base struct {
	// Tree is what is in it. It stays as it is.
	Tree *tree.Tree

	// Archive says that it is a tar archive.
	Archive bool

	// Compression is the archive's: "gzip", "zstd", "xz", "bzip2", or "".
	Compression string

	path  string
	perm  os.FileMode // of the archive
	spool *source.Spool
}

// Is reports whether Open opens what is at path.
func Is(path string) (bool, error) {
	state, err := os.Stat(path)
	switch {
	case err != nil:
		return false, err
	case state.IsDir():
		return true, nil
	case !state.Mode().IsRegular():
		return false, nil
	}
	return source.IsTar(path)
}

// Open reads the tree at path, all but the contents of files. A compressed
// archive is unpacked into a file without a name in the directory temporary, the
// system's if that is empty; Close gives it back. A directory in which a change
// was interrupted is an error: Recover ends it.
func Open(ctx context.Context, path, temporary string) (*Base, error) {
	state, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	b := &Base{path: path, perm: state.Mode().Perm(), spool: source.NewSpool(temporary)}
	opts := source.Options{Xattrs: source.XattrsAll, Spool: b.spool}
	if state.IsDir() {
		if Interrupted(path) {
			return nil, errInterrupted
		}
		b.Tree, err = source.Directory(ctx, path, opts)
		return b, err
	}
	if archive, err := Is(path); err != nil || !archive {
		return nil, errors.Join(err, fmt.Errorf("%w: %w", ErrNoTree, fault.ErrUnsupported))
	}
	b.Archive = true
	if b.Compression, err = source.Compression(path); err != nil {
		return nil, err
	}
	if b.Tree, err = source.Tar(ctx, path, opts); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// Close gives back what Open took. The base and its editors cannot be used any
// more.
func (b *Base) Close() error { return b.spool.Close() }

// Options say how a base is changed.
type Options struct {
	// Time is the modification time of directories whose entries change. If it
	// is zero they keep theirs.
	Time time.Time
}

// Scratch returns an editor for changes that nobody keeps: its Commit is an
// error.
func (b *Base) Scratch(opts Options) *Editor {
	return b.editor(opts, func(*Editor) error { return errors.New("a scratch copy cannot be kept") })
}

// Into returns an editor whose Commit writes the changed tree to path, in the
// form that the base has: a directory, which must not exist or be empty, or an
// archive with the same compression, which replaces what is there.
func (b *Base) Into(ctx context.Context, path string, opts Options) (*Editor, error) {
	if !b.Archive {
		return b.editor(opts, func(e *Editor) error { return e.writeDirectory(ctx, path) }), nil
	}
	if err := writable(b.Compression); err != nil {
		return nil, err
	}
	return b.editor(opts, func(e *Editor) error { return e.writeArchive(ctx, path) }), nil
}

// InPlace returns an editor whose Commit changes the base itself.
func (b *Base) InPlace(ctx context.Context, opts Options) (*Editor, error) {
	if b.Archive {
		return b.Into(ctx, b.path, opts)
	}
	return b.editor(opts, func(e *Editor) error { return e.changeDirectory(ctx) }), nil
}
