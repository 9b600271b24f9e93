package customize

import (
	"context"
	"errors"
	"fmt"

	"sextant/internal/fault"
	"sextant/internal/probe"
	"sextant/internal/roottree"
)

// The kinds of a base that is no disk, beside those of package probe.
const (
	kindDirectory probe.Kind = "directory"
	kindArchive   probe.Kind = "tar"
)

// openTree looks at a directory or a tar archive with a root file system.
func openTree(ctx context.Context, path string, opts Options) (*Base, error) {
	t, err := roottree.Open(ctx, path, "")
	if err != nil {
		return nil, err
	}
	kind := kindDirectory
	if t.Archive {
		kind = kindArchive
	}
	part := &Part{Content: probe.Content{Kind: kind}}
	editor := t.Scratch(roottree.Options{Time: opts.Now})
	b := &Base{SectorSize: 512, Parts: []*Part{part}, path: path, tree: t, now: opts.Now}
	b.Mounts = []Mount{{Dir: "/", Part: part, FS: editor.FS(), Free: editor.Free()}}
	if !b.Mounts[0].isRoot() {
		b.Close()
		return nil, fmt.Errorf("the %s has no root file system, one with /etc and /usr: %w", kind, fault.ErrUnsupported)
	}
	if err := errors.Join(b.readFstab(), b.readMountUnits()); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// writeTree makes a changed copy of a directory or an archive, or changes it in
// place.
func (p *Plan) writeTree(ctx context.Context, path string, inPlace bool) error {
	opts := roottree.Options{Time: p.Base.now}
	var e *roottree.Editor
	var err error
	if inPlace {
		e, err = p.Base.tree.InPlace(ctx, opts)
	} else {
		e, err = p.Base.tree.Into(ctx, path, opts)
	}
	if err != nil {
		return err
	}
	if err := p.carryOut(ctx, e, p.Base.Mounts[0], p.Edits); err != nil {
		return err
	}
	p.Notes = append(p.Notes, e.Notices()...)
	return nil
}
