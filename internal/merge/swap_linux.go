package merge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sextant/internal/hierarchy"
	"sextant/internal/linux/mount"
)

// swapAll puts the new overlays where the old ones are. If one step fails, those
// before it are taken back.
func (r *run) swapAll() (err error) {
	r.table = nil
	defer func() {
		if err != nil {
			err = r.undoAll(err)
		}
	}()
	for _, s := range r.sites {
		if err := r.swap(s); err != nil {
			return fmt.Errorf("%s: %w", s.real, err)
		}
	}
	for _, f := range r.done {
		if err := f(); err != nil {
			r.notice(Warning, err.Error())
		}
	}
	r.saySwapped()
	return nil
}

func (r *run) buildEach() error {
	for _, s := range r.sites {
		s.classic = r.sharesUpper(s)
	}
	for _, s := range r.sites {
		if s.classic || !r.wanted(s) {
			continue
		}
		if err := r.buildOverlay(s); err != nil {
			return fmt.Errorf("overlay for %s: %w", s.path, err)
		}
	}
	return nil
}

// undoAll takes back what was done, the last first.
func (r *run) undoAll(err error) error {
	for i := len(r.undo) - 1; i >= 0; i-- {
		if undoErr := r.undo[i](); undoErr != nil {
			err = fmt.Errorf("%w; and to put things back: %w", err, undoErr)
		}
	}
	r.report.Merged, r.report.Unmerged = nil, nil
	return err
}

func (r *run) later(undo func() error) { r.undo = append(r.undo, undo) }

// sharesUpper reports whether the new overlay may have the upper directory of
// the old one, so that the old one must go before the new one is made: what two
// overlays on one upper directory do is undefined.
func (r *run) sharesUpper(s *site) bool {
	return s.status.WorkDir != "" && r.opts.mutable() != MutableNo && !r.dry
}

// build makes the new overlay of a hierarchy, if it is to have one.
func (r *run) build(s *site) error {
	if !r.wanted(s) {
		return nil
	}
	return r.space.do(func() error { return r.buildOverlay(s) })
}

// swap puts the new overlay of a hierarchy in place.
func (r *run) swap(s *site) error {
	switch {
	case s.classic:
		return r.swapClassic(s)
	case s.tree == nil && !s.status.Merged:
		return nil
	case s.tree == nil:
		return r.swapOut(s)
	case !s.status.Merged:
		return r.swapIn(s)
	case len(s.dropped) > 0:
		return r.swapHome(s)
	}
	return r.swapOver(s)
}

// swapIn mounts where nothing of ours is. The mounts of others below are on the
// new overlay too, so what it covers of them goes.
func (r *run) swapIn(s *site) error {
	if err := r.k.mkdirAll(s.real, 0o755); err != nil {
		return err
	}
	originals, err := holdMounts(s.submounts)
	if err != nil {
		return err
	}
	defer closeAll(originals)
	if err := r.k.attach(s.tree, s.real); err != nil {
		return err
	}
	r.later(func() error { return r.peel(s.real) })
	for _, f := range originals {
		if err := r.k.detachHeld(f); err != nil {
			return err
		}
	}
	r.merged(s)
	return nil
}

// holdMounts opens the mounts of others that an overlay has copies of, as far as
// they are there.
func holdMounts(mounts []submount) (list []*os.File, err error) {
	for _, m := range mounts {
		point, err := mount.IsPoint(m.Point)
		if missing(err) || err == nil && !point {
			continue
		}
		var f *os.File
		if err == nil {
			f, err = mount.Hold(m.Point)
		}
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

// keepOld copies the old overlay of a hierarchy, in case it is wanted back before
// the run ends.
func (r *run) keepOld(s *site) (*os.File, error) {
	old, err := r.clonePrivate(s.real)
	if err == nil {
		r.kept = append(r.kept, old)
	}
	return old, err
}

// drain is how long those who are on their way through the old overlay have to
// get where they go. The kernel takes an overlay and the mounts on it apart, and
// who has crossed into the one but not yet into the other then misses the other.
// A way takes microseconds; but any mount in the system makes all who are on a way
// start again and go slowly, and on a busy machine they wait for a processor.
const drain = 10 * time.Millisecond

// swapOver puts the new overlay beneath the old one and takes that away: who
// looks for a file always finds one of the two.
func (r *run) swapOver(s *site) error {
	old, err := r.keepOld(s)
	if err != nil {
		return err
	}
	if err := r.k.attachBeneath(s.tree, s.real); err != nil {
		r.opts.log(Debug, fmt.Sprintf("%v: the old overlay goes first", err))
		return r.swapClassic(s)
	}
	if len(s.submounts) > 0 {
		time.Sleep(drain)
	}
	if err := must(func() error { return r.k.detach(s.real) }); err != nil {
		return err
	}
	r.later(func() error {
		if err := r.k.attachBeneath(old, s.real); err != nil {
			return err
		}
		return r.k.detach(s.real)
	})
	r.merged(s)
	return nil
}

// swapHome is for mounts of others that were carried over so far and now give way
// to extensions: they go back to where the host has them, as if all were unmerged
// and merged again.
func (r *run) swapHome(s *site) error {
	old, err := r.keepOld(s)
	if err != nil {
		return err
	}
	r.later(func() error { return r.putBack(s, old) })
	start := time.Now()
	if err := r.peel(s.real); err != nil {
		return err
	}
	if err := r.swapIn(s); err != nil {
		return err
	}
	r.report.Gap = max(r.report.Gap, time.Since(start))
	return nil
}

// swapClassic takes the old overlay away before it puts the new one there. What
// others have mounted on it is parked meanwhile.
func (r *run) swapClassic(s *site) error {
	old, err := r.keepOld(s)
	if err != nil {
		return err
	}
	// Whatever happens now, what is parked has its place on the old overlay or
	// the new one.
	r.later(r.unpark)
	if err := r.park(s.submounts); err != nil {
		return err
	}
	start := time.Now()
	if err := r.k.detach(s.real); err != nil {
		return err
	}
	r.later(func() error { return must(func() error { return r.k.attach(old, s.real) }) })
	if s.classic {
		if err := r.build(s); err != nil {
			return err
		}
	}
	if err := r.k.attach(s.tree, s.real); err != nil {
		return err
	}
	r.report.Gap = max(r.report.Gap, time.Since(start))
	r.later(func() error { return r.k.detach(s.real) })
	if err := r.unpark(); err != nil {
		return err
	}
	r.merged(s)
	return nil
}

// swapOut takes an overlay away that no extension needs any more.
func (r *run) swapOut(s *site) error {
	old, err := r.keepOld(s)
	if err != nil {
		return err
	}
	r.later(func() error { return r.putBack(s, old) })
	if err := r.peel(s.real); err != nil {
		return err
	}
	r.done = append(r.done, func() error { return r.removeWork(s.status) })
	r.unmerged(s)
	return nil
}

// putBack puts an old overlay back if it is gone, with the copies of the mounts
// of others that are on it.
func (r *run) putBack(s *site, old *os.File) error {
	ours, err := hierarchy.Ours(s.real, r.opts.Class)
	if err != nil {
		return err
	}
	if ours {
		return r.unpark()
	}
	originals, err := holdMounts(append(s.submounts, s.dropped...))
	if err != nil {
		return err
	}
	defer closeAll(originals)
	if err := must(func() error { return r.k.attach(old, s.real) }); err != nil {
		return err
	}
	for _, f := range originals {
		if err := r.k.detachHeld(f); err != nil {
			return err
		}
	}
	return r.unpark()
}

// merged notes that the new overlay is in place. What the old one leaves behind
// goes only when all is done.
func (r *run) merged(s *site) {
	if s.status.Merged {
		if old := filepath.Join("/", r.opts.Root, s.status.WorkDir); s.status.WorkDir != "" && old != s.upper.work {
			r.done = append(r.done, func() error { return r.removeWork(s.status) })
		}
		r.unmerged(s)
	}
	r.report.Merged = append(r.report.Merged, s.real)
}

func (r *run) unmerged(s *site) { r.report.Unmerged = append(r.report.Unmerged, s.real) }

// saySwapped is what systemd says, in its order.
func (r *run) saySwapped() {
	for _, path := range r.report.Unmerged {
		r.opts.log(Info, fmt.Sprintf("Unmerged '%s'.", path))
	}
	for _, path := range r.report.Merged {
		r.opts.log(Info, fmt.Sprintf("Merged extensions into '%s'.", path))
	}
}

// unmergeAll takes away all overlays.
func (r *run) unmergeAll() error {
	r.readWants()
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
	for status := s.status; status.Merged; {
		if err := r.peel(s.real); err != nil {
			return err
		}
		if err := r.removeWork(status); err != nil {
			return err
		}
		r.unmerged(s)
		r.opts.log(Info, fmt.Sprintf("Unmerged '%s'.", s.real))
		var err error
		if status, err = hierarchy.Look(r.opts.Root, r.opts.Class, s.path); err != nil {
			return err
		}
	}
	return nil
}
