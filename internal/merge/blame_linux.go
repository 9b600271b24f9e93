package merge

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"

	"sextant/internal/hierarchy"
	"sextant/internal/linux/mount"
)

// errBlamed says that the kernel did not take the layers of some extensions, and
// that they are left out now.
var errBlamed = errors.New("the kernel does not take a layer")

// blame finds out whose fault it is that the kernel does not take an overlay, by
// trying each layer alone: two overlays may lie on one another and not three, and
// no layer may lie inside another one. Which it was the kernel tells its log only.
func (r *run) blame(s *site, cause error) error {
	if !errors.Is(cause, syscall.EINVAL) && !errors.Is(cause, syscall.ELOOP) {
		return cause
	}
	a, b, c := filepath.Join(workspace, "a"), filepath.Join(workspace, "b"), filepath.Join(workspace, "c")
	if err := errors.Join(r.k.mkdir(a, 0o700), r.k.mkdir(b, 0o700), r.k.mkdir(c, 0o700)); err != nil {
		return errors.Join(cause, err)
	}
	if tryLayers(a, c) != nil {
		return cause
	}
	host := []string{a}
	if s.status.Real != "" {
		if err := tryLayers(a, s.real); err != nil {
			return fmt.Errorf("the host's own %s cannot be a layer, probably as it is an overlay on an overlay already: %w", s.real, bare(err))
		}
		host = append(host, s.real)
	}
	blamed := false
	for _, p := range slices.Clone(s.parts) {
		err := tryLayers(append([]string{p.dir}, host...)...)
		if err == nil {
			continue
		}
		why := "is on an overlay on an overlay already"
		if errors.Is(err, syscall.ELOOP) {
			why = "lies inside " + s.path
		}
		r.drop(p.layer, RuleMount, fmt.Errorf("cannot be a layer at %s, probably as it %s: %w", s.path, why, bare(err)))
		blamed = true
	}
	if !blamed || len(r.layers) == 0 {
		return cause
	}
	return errBlamed
}

// bare returns what the kernel said, without where that was tried.
func bare(err error) error {
	if errno := syscall.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return err
}

// tryLayers mounts an overlay of some directories where nobody sees it.
func tryLayers(dirs ...string) error {
	target := filepath.Join(workspace, "b")
	o := overlayMount{lower: dirs}
	if err := mount.Classic("probe", target, "overlay", mount.ReadOnly, o.data(dirs, nil)); err != nil {
		return err
	}
	return mount.Detach(target)
}

// startAgain clears away what was built, and copies the mounts of others anew:
// those that are on an overlay go with it.
func (r *run) startAgain() error {
	err := r.space.do(func() error {
		for _, s := range r.sites {
			if err := r.clear(s); err != nil {
				return err
			}
		}
		dirs, err := r.mutableDirs()
		r.origin = r.opts.origin(r.layers, dirs)
		return err
	})
	if err != nil {
		return err
	}
	table, err := r.hostTable()
	if err != nil {
		return err
	}
	for _, s := range r.sites {
		if s.submounts, err = r.copyAgain(s, table); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) clear(s *site) error {
	if s.tree != nil {
		s.tree.Close()
		s.tree = nil
	}
	s.upper = upper{}
	if mounted, err := mount.IsPoint(s.in("overlay")); err == nil && mounted {
		if err := r.k.detach(s.in("overlay")); err != nil {
			return err
		}
	}
	return r.k.removeAll(s.in("meta"))
}

// copyAgain copies those mounts of others that were copied before.
func (r *run) copyAgain(s *site, table []mount.Mount) ([]submount, error) {
	list, err := below(s.real, hierarchy.DotDir(r.opts.Class), table)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(m submount) bool {
		return !slices.ContainsFunc(s.submounts, func(old submount) bool { return old.rel == m.rel })
	})
	return list, r.copySubmounts(list)
}
