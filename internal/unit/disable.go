package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// Disable returns what disables the units: every link below
// /etc/systemd/system that leads to one of them, or has its name, goes,
// whatever [Install] says, and with them the links of what Also= names. Of a
// path only the name counts. The error wraps fs.ErrNotExist where a unit does
// not exist and no link has its name.
func (s System) Disable(names ...string) (Changes, error) {
	o := s.operation()
	rules := false
	for _, n := range names {
		has, err := o.condemn(n)
		if err != nil {
			return Changes{}, fmt.Errorf("disable %s: %w", n, err)
		}
		rules = rules || has
	}
	doomed, missing, err := o.doomed()
	if err == nil {
		err = o.removeLinks(doomed)
	}
	if err == nil && o.changes.Empty() {
		err = missing
	}
	if err != nil {
		return Changes{}, fmt.Errorf("disable %s: %w", strings.Join(names, ", "), err)
	}
	o.changes.RulesMissed = !rules && o.changes.Empty()
	return o.changes, nil
}

// danglingRelease is a release that refuses to disable an alias of a unit that
// does not exist; 252 removes the links of its name.
const danglingRelease = 257

// condemn puts a unit that a user named into the queue, and reports whether
// its [Install] asks for something.
func (o *operation) condemn(typed string) (rules bool, err error) {
	if strings.Contains(typed, "/") {
		o.warn(path.Base(typed), "only the name counts, not the path %s", typed)
		typed = path.Base(typed)
	}
	f, err := o.named(typed)
	if err != nil {
		return false, err
	}
	_, err = o.traverse(f, load|followLinks)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDangling) && !o.since(danglingRelease) {
		return false, nil // links of its name may be left, see doomed
	}
	return f.hasRules() || len(f.also) > 0, err
}

// doomed returns the names whose links go (install_context_mark_for_removal),
// and the error of the units that do not exist: links of their names may be
// left.
func (o *operation) doomed() (names map[string]bool, missing, err error) {
	names = map[string]bool{}
	for i := 0; i < len(o.queue); i++ {
		f := o.queue[i]
		_, err := o.traverse(f, load|followLinks)
		switch {
		case errors.Is(err, errDangling):
			o.warn(f.name, "an alias of a unit that does not exist")
		case errors.Is(err, fs.ErrNotExist):
			if !f.auxiliary {
				missing = err
				o.warn(f.name, "there is no such unit")
			}
		case err != nil && f.auxiliary:
			o.warn(f.name, "named by Also=: %v", err)
		case err != nil:
			return nil, nil, err
		case f.mode == masked:
			o.warn(f.name, "masked by %s", f.path)
			continue
		case f.mode != regular:
			continue
		}
		names[f.name] = true
		if err == nil {
			o.changes.Units = append(o.changes.Units, f.name)
		}
	}
	return names, missing, nil
}

// removeLinks removes the links of the doomed names, the links to them, and
// links to such links, until there are none.
func (o *operation) removeLinks(doomed map[string]bool) error {
	top, exists, err := o.root.chase(configDir, true)
	if err != nil || !exists || len(doomed) == 0 {
		return err
	}
	for more := true; more; {
		if more, err = o.sweep(top, top, doomed); err != nil {
			return err
		}
	}
	return nil
}

// sweep goes once through a directory and those below it, and reports whether
// it removed anything.
func (o *operation) sweep(top, dir string, doomed map[string]bool) (bool, error) {
	list, err := o.root.readDir(dir)
	if err != nil {
		return false, err
	}
	removed := false
	for _, e := range list {
		hit := false
		switch {
		case e.mode.IsDir():
			hit, err = o.sweep(top, e.path, doomed)
		case e.mode&fs.ModeSymlink != 0 && valid(e.name):
			hit, err = o.isDoomed(e, doomed)
			if hit {
				o.removeLink(top, e.path)
				doomed[e.path] = true
			}
		}
		if err != nil {
			return false, err
		}
		removed = removed || hit
	}
	return removed, nil
}

// isDoomed reports whether a link has one of the names, also as an instance of
// it, or leads to a file of one of the names or to a link that went.
func (o *operation) isDoomed(e entry, doomed map[string]bool) (bool, error) {
	t, _ := templateOf(e.name)
	if doomed[e.name] || doomed[t] {
		return true, nil
	}
	target, _, err := o.root.chase(e.path, true)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return doomed[target] || doomed[path.Base(target)], err
}

// removeLink removes a link, and the directories that are empty then.
func (o *operation) removeLink(top, p string) {
	o.drop(p)
	for d := path.Dir(p); d != top; d = path.Dir(d) {
		if list, err := o.root.readDir(d); err != nil || len(list) > 0 {
			return
		}
		o.root.remove(d)
		o.changes.RemoveDirs = append(o.changes.RemoveDirs, d)
	}
}
