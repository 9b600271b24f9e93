//go:build !linux

package mounted

import (
	"io/fs"

	"sextant/internal/tree"
)

// Editor changes a mounted file system. Here there is none.
type Editor struct{}

// Edit returns fault.ErrUnsupported.
func Edit(_ Storage, kind string, _ Options) (*Editor, error) { return nil, needsRoot(kind) }

// FS returns nil.
func (*Editor) FS() fs.FS { return nil }

// Put returns an error.
func (*Editor) Put(string, *tree.Inode) error { return readOnly() }

// Set returns an error.
func (*Editor) Set(string, *tree.Inode) error { return readOnly() }

// Remove returns an error.
func (*Editor) Remove(string) error { return readOnly() }

// RemoveAll returns an error.
func (*Editor) RemoveAll(string) error { return readOnly() }

// Free returns 0.
func (*Editor) Free() int64 { return 0 }

// Commit returns an error.
func (*Editor) Commit() error { return readOnly() }

// Close does nothing.
func (*Editor) Close() error { return nil }
