package merge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sextant/internal/hierarchy"
	"sextant/internal/inroot"
	"sextant/internal/linux/mount"
)

// peel takes the topmost overlay off a directory and puts the mounts of others
// that lie on it where they belong then. Between the two they are parked where
// the next run finds them, should this one be killed.
func (r *run) peel(real string) error {
	table, err := r.hostTable()
	if err != nil {
		return err
	}
	r.table = nil
	list, err := below(real, hierarchy.DotDir(r.opts.Class), table)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(s submount) bool { return hasTwin(s, table) })
	if err := r.park(list); err != nil {
		return errors.Join(err, r.unpark())
	}
	if err := r.k.detach(real); err != nil {
		return errors.Join(err, r.unpark())
	}
	return r.unpark()
}

// hasTwin reports whether the same mount is there once more, covered: so it is
// after a merge that ended before it took the covered one away.
func hasTwin(s submount, table []mount.Mount) bool {
	return slices.ContainsFunc(table, func(m mount.Mount) bool {
		return m.ID != s.ID && m.Point == s.Point && m.Dev == s.Dev && m.Root == s.Root
	})
}

// The places in the workspace for parked mounts: one with a number for each,
// and beside it a link to where it belongs.
const (
	parking    = workspace + "/parked"
	linkSuffix = ".to"
)

// park copies mounts into the parking place.
func (r *run) park(list []submount) error {
	if len(list) == 0 {
		return nil
	}
	if err := r.k.mkdir(parking, 0o700); err != nil {
		return err
	}
	for i, s := range list {
		place := filepath.Join(parking, strconv.Itoa(i))
		tree, err := r.clonePrivate(s.Point)
		if err != nil {
			return err
		}
		err = r.parkOne(tree, place, s.Point)
		tree.Close()
		if err != nil {
			return fmt.Errorf("mount of others at %s: %w", s.Point, err)
		}
	}
	return nil
}

// parkOne writes the link first: a parked mount without one would be lost.
func (r *run) parkOne(tree *os.File, place, target string) error {
	if err := r.k.symlink(target, place+linkSuffix); err != nil {
		return err
	}
	if err := r.makePoint(tree, place); err != nil {
		return err
	}
	return r.k.attach(tree, place)
}

// unpark puts parked mounts where they belong, unless they are there.
func (r *run) unpark() error {
	entries, err := os.ReadDir(parking)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	r.table = nil
	var failed []error
	for _, e := range entries {
		if place, ok := strings.CutSuffix(e.Name(), linkSuffix); ok {
			failed = append(failed, r.unparkOne(filepath.Join(parking, place)))
		}
	}
	return errors.Join(append(failed, r.k.rmdir(parking))...)
}

func (r *run) unparkOne(place string) error {
	target, err := os.Readlink(place + linkSuffix)
	if err != nil {
		return err
	}
	parked, err := mount.IsPoint(place)
	if err != nil && !missing(err) {
		return err
	}
	if parked {
		if err := r.restore(place, target); err != nil {
			return fmt.Errorf("mount of others at %s, which is at %s now: %w", target, place, err)
		}
	}
	if err := ignoreMissing(r.k.rmdir(place)); err != nil {
		return err
	}
	return r.k.rmdir(place + linkSuffix) // last, as it is what the next run looks for
}

// restore puts one parked mount back.
func (r *run) restore(place, target string) error {
	there, err := r.sameMount(place, target)
	if err != nil {
		return err
	}
	if !there {
		err := must(func() error {
			tree, err := r.clonePrivate(place)
			if err != nil {
				return err
			}
			defer tree.Close()
			return r.attachAt(tree, "/", target)
		})
		if err != nil {
			return err
		}
	}
	return must(func() error { return r.k.detach(place) })
}

// sameMount reports whether the same is mounted on two paths.
func (r *run) sameMount(a, b string) (bool, error) {
	table, err := mount.Table()
	if err != nil {
		return false, err
	}
	find := func(path string) (found mount.Mount) {
		for _, m := range table {
			if m.Point == path {
				found = m // the last one is on top
			}
		}
		return found
	}
	x, y := find(a), find(b)
	return y.Point != "" && x.Dev == y.Dev && x.Root == y.Root, nil
}

// recover puts right what a run left that was killed: devices, mounts that are
// parked, a new overlay beneath the old one, an overlay with copies of mounts that are
// still beneath it.
func (r *run) recover() error {
	if err := r.removeDevices(); err != nil {
		return err
	}
	if err := r.unpark(); err != nil {
		return err
	}
	if err := r.look(); err != nil {
		return err
	}
	recovered := false
	for _, s := range r.sites {
		if err := r.removeStaleWork(s); err != nil {
			return err
		}
		if !s.status.Merged {
			continue
		}
		table, err := r.hostTable()
		if err != nil {
			return err
		}
		if !r.interrupted(s, table) {
			continue
		}
		r.opts.log(Notice, "An earlier run was interrupted, taking the topmost overlay off "+s.real+".")
		if err := r.peel(s.real); err != nil {
			return err
		}
		recovered = true
	}
	if recovered {
		return r.look()
	}
	return nil
}

// hostTable is the table of mounts, read once until something changes.
func (r *run) hostTable() (_ []mount.Mount, err error) {
	if r.table == nil {
		r.table, err = mount.Table()
	}
	return r.table, err
}

// interrupted reports whether the overlay on a hierarchy is what a killed run
// left there.
func (r *run) interrupted(s *site, table []mount.Mount) bool {
	// Where the hierarchy was bound to itself, each mount on it comes twice, by
	// propagation: the same device, and twins of all that is below.
	overlays, devices := 0, make(map[string]bool)
	for _, m := range table {
		if class, ok := classOfSource(m); ok && class == r.opts.Class && m.Point == s.real {
			overlays++
			devices[m.Dev] = true
		}
	}
	if overlays > 1 {
		return len(devices) > 1
	}
	list, err := below(s.real, hierarchy.DotDir(r.opts.Class), table)
	return err == nil && slices.ContainsFunc(list, func(m submount) bool { return hasTwin(m, table) })
}

// removeWork removes the work directory of an overlay that is gone.
func (r *run) removeWork(status hierarchy.Status) error {
	if status.WorkDir == "" {
		return nil
	}
	return r.k.removeAll(filepath.Join("/", r.opts.Root, status.WorkDir))
}

// removeStaleWork removes the work directory that a killed run made for an
// overlay which never came to be.
func (r *run) removeStaleWork(s *site) error {
	resolved, err := inroot.Resolve(r.opts.Root, filepath.Join(mutableBase, component(s.path)))
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	work := workDir(inroot.Join(r.opts.Root, resolved), s.path)
	if _, err := os.Lstat(work); missing(err) {
		return nil
	}
	table, err := r.hostTable()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(table, func(m mount.Mount) bool { return m.Work() == work }) {
		return nil
	}
	return r.k.removeAll(work)
}
