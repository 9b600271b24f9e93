package customize

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"sextant/internal/fstab"
	"sextant/internal/preflight"
	"sextant/internal/report"
	"sextant/internal/tree"
)

// Check checks what the plan puts together, as the system will find it when it
// boots. The clock is what the dates of certificates are compared with. What is
// wrong is in the report; the error says that it could not look.
func (p *Plan) Check(ctx context.Context, clock time.Time) (*report.Report, error) {
	overlays, err := p.overlays()
	if err != nil {
		return nil, err
	}
	images, closeAll, err := p.images()
	defer closeAll()
	if err != nil {
		return nil, err
	}
	return preflight.Check(ctx, preflight.Base{
		Root: p.Root, OS: p.system.os, Architecture: string(p.system.architecture), Systemd: p.system.systemd,
		Overlays: overlays, Now: clock,
	}, images)
}

// overlays returns those that will be mounted by fstab.
func (p *Plan) overlays() (list []preflight.Overlay, err error) {
	text, err := p.Root.ReadFile("etc/fstab")
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range fstab.Parse(string(text)) {
		if e.Type != "overlay" {
			continue
		}
		origin := fmt.Sprintf("/etc/fstab:%d", e.Line)
		for _, o := range p.configured {
			if o.MountPoint.Value == e.Target {
				origin = o.Pos.String()
			}
		}
		list = append(list, preflight.OverlayOf(e.Target, e.Options, origin))
	}
	return list, nil
}

// images returns the files that the plan puts where extensions are looked for,
// as they are in the end. What is open is closed by the function that comes
// back, which is never nil.
func (p *Plan) images() (list []preflight.Image, closeAll func(), err error) {
	var readers []tree.Reader
	closeAll = func() {
		for _, r := range readers {
			r.Close()
		}
	}
	last := map[string]*tree.Inode{}
	for _, e := range p.Edits {
		last[e.Path] = e.Node
	}
	for _, at := range slices.Sorted(maps.Keys(last)) {
		node := last[at]
		if _, ok := preflight.ClassOf(at); !ok || node == nil || !node.Mode.IsRegular() || node.Content == nil {
			continue
		}
		r, err := node.Content.Open()
		if err != nil {
			return nil, closeAll, err
		}
		readers = append(readers, r)
		list = append(list, preflight.Image{Path: at, File: io.ReaderAt(r), Size: node.Size()})
	}
	return list, closeAll, nil
}
