package merge

import (
	"errors"
	"fmt"
	"os"
	"time"

	"sextant/internal/hierarchy"
	"sextant/internal/linux/mount"
)

// swapAll builds the new overlays and puts them where the old ones are. If one
// step fails, those before it are taken back.
func (r *run) swapAll() (err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			if undoErr := undo[i](); undoErr != nil {
				err = fmt.Errorf("%w; and to put things back: %w", err, undoErr)
			}
		}
	}()
	defer r.closeTrees()
	for _, s := range r.sites {
		if err := r.build(s); err != nil {
			return fmt.Errorf("overlay for %s: %w", s.path, err)
		}
	}
	for _, s := range r.sites {
		back, err := r.swap(s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.real, err)
		}
		undo = append(undo, back)
	}
	return nil
}

func (r *run) closeTrees() {
	for _, s := range r.sites {
		if s.tree != nil {
			s.tree.Close()
		}
		for _, m := range s.submounts {
			m.tree.Close()
		}
	}
}

// build makes the new overlay of a hierarchy, if it is to have one.
func (r *run) build(s *site) error {
	if !r.wanted(s) {
		return nil
	}
	return r.space.do(func() error { return r.buildOverlay(s) })
}

// swap puts the new overlay of a hierarchy in place, and returns the way back.
func (r *run) swap(s *site) (undo func() error, err error) {
	switch {
	case s.tree == nil && !s.status.Merged:
		return func() error { return nil }, nil
	case s.tree == nil:
		return r.swapOut(s)
	case !s.status.Merged:
		return r.swapIn(s)
	}
	return r.swapOver(s)
}

// swapIn mounts where nothing of ours is. The mounts of others below are on the
// new overlay too, so what it covers of them goes.
func (r *run) swapIn(s *site) (undo func() error, err error) {
	if err := r.k.mkdirAll(s.real, 0o755); err != nil {
		return nil, err
	}
	originals, err := r.holdSubmounts(s)
	if err != nil {
		return nil, err
	}
	defer closeAll(originals)
	if err := r.k.attach(s.tree, s.real); err != nil {
		return nil, err
	}
	undo = func() error { return r.peel(s.real) }
	for _, f := range originals {
		if err := r.k.detachHeld(f); err != nil {
			return nil, errors.Join(err, undo())
		}
	}
	r.merged(s)
	return undo, nil
}

// holdSubmounts opens the mounts of others that the new overlay has copies of.
func (r *run) holdSubmounts(s *site) (list []*os.File, err error) {
	for _, m := range s.submounts {
		f, err := mount.Hold(m.Point)
		if err != nil {
			closeAll(list)
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// drain is how long those who are on their way through the old overlay have to
// get where they go. The kernel takes an overlay and the mounts on it apart, and
// who has crossed into the one but not yet into the other then misses the other.
// A way takes microseconds; but any mount in the system makes all who are on a way
// start again and go slowly, and on a busy machine they wait for a processor.
const drain = 10 * time.Millisecond

// swapOver puts the new overlay beneath the old one and takes that away: who
// looks for a file always finds one of the two.
func (r *run) swapOver(s *site) (undo func() error, err error) {
	old, err := r.clonePrivate(s.real)
	if err != nil {
		return nil, err
	}
	if !s.classic {
		err = r.k.attachBeneath(s.tree, s.real)
	}
	if s.classic || err != nil {
		return r.swapClassic(s, old)
	}
	if len(s.submounts) > 0 {
		time.Sleep(drain)
	}
	if err := must(func() error { return r.k.detach(s.real) }); err != nil {
		return nil, err
	}
	r.merged(s)
	return func() error {
		defer old.Close()
		if err := r.k.attachBeneath(old, s.real); err != nil {
			return err
		}
		return r.k.detach(s.real)
	}, nil
}

// swapClassic takes the old overlay away before it puts the new one there.
func (r *run) swapClassic(s *site, old *os.File) (undo func() error, err error) {
	if err := r.k.detach(s.real); err != nil {
		old.Close()
		return nil, err
	}
	if err := r.k.attach(s.tree, s.real); err != nil {
		defer old.Close()
		return nil, errors.Join(err, must(func() error { return r.k.attach(old, s.real) }))
	}
	r.merged(s)
	return func() error {
		defer old.Close()
		return errors.Join(r.k.detach(s.real), must(func() error { return r.k.attach(old, s.real) }))
	}, nil
}

// swapOut takes an overlay away that no extension needs any more.
func (r *run) swapOut(s *site) (undo func() error, err error) {
	old, err := r.clonePrivate(s.real)
	if err != nil {
		return nil, err
	}
	if err := r.unmerge(s); err != nil {
		old.Close()
		return nil, err
	}
	return func() error {
		defer old.Close()
		return r.k.attach(old, s.real)
	}, nil
}

func (r *run) merged(s *site) {
	r.report.Merged = append(r.report.Merged, s.real)
	if s.status.Merged {
		r.report.Unmerged = append(r.report.Unmerged, s.real)
		r.opts.log(Info, fmt.Sprintf("Unmerged '%s'.", s.real))
	}
	r.opts.log(Info, fmt.Sprintf("Merged extensions into '%s'.", s.real))
}

// unmergeAll takes away all overlays.
func (r *run) unmergeAll() error {
	var failed []error
	for _, s := range r.sites {
		if !s.status.Merged {
			continue
		}
		if err := r.unmerge(s); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", s.real, err))
		}
	}
	return errors.Join(failed...)
}

// unmerge takes away all overlays of the class on one hierarchy.
func (r *run) unmerge(s *site) error {
	for {
		ours, err := hierarchy.Ours(s.real, r.opts.Class)
		if err != nil || !ours {
			return err
		}
		status, err := hierarchy.Look(r.opts.Root, r.opts.Class, s.path)
		if err != nil {
			return err
		}
		if err := r.peel(s.real); err != nil {
			return err
		}
		if err := r.removeWork(status); err != nil {
			return err
		}
		r.report.Unmerged = append(r.report.Unmerged, s.real)
		r.opts.log(Info, fmt.Sprintf("Unmerged '%s'.", s.real))
	}
}
