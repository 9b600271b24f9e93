package unit

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// State is what `systemctl is-enabled` says of a unit.
type State int

// The states. Runtime states are those of links in /run.
const (
	Missing State = iota // there is no such unit
	Enabled
	EnabledRuntime
	Linked
	LinkedRuntime
	Alias
	Masked
	MaskedRuntime
	Static // no [Install], or an instance that the system links itself
	Indirect
	Disabled
	Generated
	Transient
)

// String returns systemctl's word, "not-found" for a missing unit.
func (s State) String() string {
	return [...]string{
		"not-found", "enabled", "enabled-runtime", "linked", "linked-runtime", "alias", "masked", "masked-runtime",
		"static", "indirect", "disabled", "generated", "transient",
	}[s]
}

// State returns the state of a unit. A unit that does not exist is Missing,
// and no error; a link that is none that systemd takes, is one
// (unit_file_lookup_state).
func (s System) State(typed string) (State, error) {
	o := s.operation()
	f, err := o.named(typed)
	if err != nil {
		return Missing, err
	}
	asked := f.name
	f, err = o.traverse(f, load|followLinks)
	if errors.Is(err, fs.ErrNotExist) {
		return Missing, nil
	}
	if err != nil {
		return Missing, err
	}
	dir := path.Dir(f.path)
	switch {
	case f.mode == masked && runtime(dir):
		return MaskedRuntime, nil
	case f.mode == masked:
		return Masked, nil
	case asked != path.Base(f.path) && classify(f.name) != instance:
		return Alias, nil
	case dir == transientDir:
		return Transient, nil
	case f.mayChange() != nil:
		return Generated, nil
	}
	return o.linkState(f)
}

// runtime reports whether a directory of units is gone after a reboot.
func runtime(dir string) bool { return strings.HasPrefix(dir, "/run/") }

// linkState tells the state of a unit from the links to it.
func (o *operation) linkState(f *unitFile) (State, error) {
	state, err := o.findLinks(f, true)
	if err != nil || state != Missing {
		return state, err
	}
	state, err = o.findLinks(f, false)
	switch {
	case err != nil:
		return Missing, err
	case state != Missing:
		return Indirect, nil
	case f.hasRules():
		return Disabled, nil
	case len(f.also) > 0:
		return Indirect, nil
	}
	return Static, nil
}

// findLinks looks for links to the unit in all directories of units
// (find_symlinks_in_scope). With own only those names count that its [Install]
// gives it.
func (o *operation) findLinks(f *unitFile, own bool) (State, error) {
	inRun, anywhere, link, below := false, false, Missing, false
	for _, dir := range o.search {
		hit, same, err := o.linksIn(f, dir, own, below)
		switch {
		case err != nil:
			return Missing, err
		case hit && dir == configDir:
			return Enabled, nil
		case hit:
			inRun, anywhere = inRun || runtime(dir), anywhere || !runtime(dir)
		case same && dir == configDir:
			link = Linked
		case same && runtime(dir) && link == Missing:
			link = LinkedRuntime
		}
		// What is in the directories behind that of the unit does not count.
		below = below || strings.HasPrefix(f.path, dir+"/")
	}
	switch {
	case inRun:
		return EnabledRuntime, nil
	case anywhere && classify(f.name) == instance:
		return Static, nil
	}
	return link, nil
}

// linksIn looks into one directory of units, and its .wants, .requires and
// .upholds (find_symlinks). It reports a link that enables the unit, and one
// that is the unit's own name.
func (o *operation) linksIn(f *unitFile, dir string, own, below bool) (hit, same bool, err error) {
	list, err := o.root.readDir(dir)
	if err != nil {
		return false, false, ignoreMissing(err)
	}
	for _, e := range list {
		suffix := path.Ext(e.name)
		if !e.mode.IsDir() || suffix != ".wants" && suffix != ".requires" && (suffix != ".upholds" || !o.since(upheldByRelease)) {
			continue
		}
		inner, err := o.root.readDir(e.path)
		if err != nil {
			return false, false, err
		}
		for _, l := range inner {
			t, _ := templateOf(l.name)
			if l.mode&fs.ModeSymlink != 0 && (l.name == f.name || t == f.name) && (!own || f.knows(l.name)) {
				return true, false, nil
			}
		}
	}
	return o.linksAt(f, list, own, below)
}

// linksAt looks at the links that lie directly in a directory of units.
func (o *operation) linksAt(f *unitFile, list []entry, own, below bool) (hit, same bool, err error) {
	for _, e := range list {
		if e.mode&fs.ModeSymlink == 0 {
			continue
		}
		target, err := o.root.Target(e.path)
		if err != nil {
			return false, false, err
		}
		toIt, itsName := path.Base(target) == f.name, !below && e.name == f.name
		switch {
		case toIt && itsName:
			same = true
		case (toIt || itsName) && (!own || f.knows(e.name)):
			return true, same, nil
		}
	}
	return false, same, nil
}

// knows reports whether a link of that name is one that enabling the unit
// makes (is_symlink_with_known_name).
func (f *unitFile) knows(link string) bool {
	if link == f.name {
		return true
	}
	for _, a := range f.aliases {
		if a == link {
			return true
		}
	}
	if f.defaultInstance != "" && classify(f.name) == template {
		n, err := withInstance(f.name, f.defaultInstance)
		return err == nil && n == link
	}
	return false
}
