package image

import (
	"fmt"
	"path"

	"sextant/internal/dps"
	"sextant/internal/tree"
)

// Names calls see for every name in Tree but the root's, in the order of
// tree.Walk, with its file type; dir ends in a slash. Where the file system
// allows it, that is much faster than Tree.
func (m *Image) Names(see func(dir, name string, kind tree.Mode) error) error {
	if volumes := m.Volumes(); len(volumes) == 1 && volumes[0].Data.Type.Designator != dps.Usr {
		fsys, _, err := m.FileSystem(volumes[0].Data)
		if err != nil {
			return fmt.Errorf("%s: %w", volumes[0].Data.Name(), err)
		}
		if named, ok := fsys.(namer); ok {
			return named.Names(see)
		}
	}
	t, err := m.Tree()
	if err != nil {
		return err
	}
	return t.Walk(func(p string, node *tree.Inode) error {
		if p == "/" {
			return nil
		}
		dir, name := path.Split(p)
		return see(dir, name, node.Mode.Type())
	})
}

// namer is a file system that can list its names without reading its inodes.
type namer interface {
	Names(see func(dir, name string, kind tree.Mode) error) error
}
