package image

import (
	"context"
	"fmt"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/source"
	"sextant/internal/tree"
)

// Tree returns the files of the image as systemd mounts them: those of the root
// partition, with the usr partition at /usr; or those of the directory. Contents
// are read from the image, which must stay open.
func (m *Image) Tree() (*tree.Tree, error) {
	if m.Dir {
		return source.Directory(context.Background(), m.Path, source.Options{Xattrs: source.XattrsAll})
	}
	var whole *tree.Tree
	for _, vol := range m.Volumes() {
		part, err := m.partTree(vol.Data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", vol.Data.Name(), err)
		}
		if vol.Data.Type.Designator != dps.Usr {
			whole = part
			continue
		}
		if whole == nil {
			whole = tree.New()
		}
		if err := whole.Root.Put("usr", part.Root); err != nil {
			return nil, err
		}
	}
	if whole == nil {
		return nil, errNoVolume
	}
	return whole, nil
}

// errNoVolume says that a partition table has nothing that systemd mounts.
const errNoVolume = fault.Unsupported("no root and no usr partition")

func (m *Image) partTree(p *Part) (*tree.Tree, error) {
	fsys, _, err := m.FileSystem(p)
	if err != nil {
		return nil, err
	}
	t, err := fsys.Tree()
	if err != nil {
		return nil, err
	}
	if !t.Root.Mode.IsDir() {
		return nil, fmt.Errorf("root is a %s: %w", t.Root.Mode.Kind(), fault.ErrCorrupt)
	}
	return t, nil
}
