package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Enable returns what enables the units: names, with or without the suffix of
// a type, or absolute paths of unit files inside the root. With an error
// nothing is enabled; an error that wraps fs.ErrNotExist says that a unit does
// not exist.
func (s System) Enable(names ...string) (Changes, error) {
	o := s.operation()
	for _, n := range names {
		if err := o.discover(n); err != nil {
			return Changes{}, fmt.Errorf("enable %s: %w", n, err)
		}
	}
	if err := o.apply(); err != nil {
		return Changes{}, fmt.Errorf("enable %s: %w", strings.Join(names, ", "), err)
	}
	o.changes.RulesMissed = !o.asked
	return o.changes, nil
}

// discover finds the unit that a user named, and refuses one that cannot be
// enabled.
func (o *operation) discover(typed string) error {
	f, err := o.named(typed)
	if err != nil {
		return err
	}
	script := o.script(typed)
	found, err := o.traverse(f, load|followLinks)
	switch {
	case errors.Is(err, fs.ErrNotExist) && script != "":
		return fmt.Errorf("%s is a script of SysV init, which is not handled", script)
	case err != nil:
		return err
	case script != "":
		o.warn(f.name, "the links of %s are left as they are; systemd does not look at them", script)
	}
	return found.mayChange()
}

// named puts what a user named into the queue.
func (o *operation) named(typed string) (*unitFile, error) {
	if path.IsAbs(typed) {
		p := path.Clean(typed)
		return o.add(path.Base(p), p, false)
	}
	if strings.Contains(typed, "/") {
		return nil, errors.New("the path of a unit file must be absolute")
	}
	n, err := mangle(typed)
	if err != nil {
		return nil, err
	}
	return o.add(n, "", false)
}

// script returns the script of SysV init that has the name, empty if there is
// none.
func (o *operation) script(typed string) string {
	n := strings.TrimSuffix(typed, ".service")
	p := "/etc/init.d/" + n
	if n == "" || strings.Contains(n, "/") {
		return ""
	}
	if _, exists, err := o.root.chase(p, true); err != nil || !exists {
		return ""
	}
	return p
}

// mayChange returns why a unit can be neither enabled nor disabled
// (install_info_may_process).
func (f *unitFile) mayChange() error {
	switch dir := path.Dir(f.path); {
	case f.mode == masked:
		return fmt.Errorf("unit %s is masked by %s", f.name, f.path)
	case dir == transientDir || strings.HasPrefix(dir, generatorDir) && !strings.Contains(strings.TrimPrefix(dir, generatorDir), "/"):
		return fmt.Errorf("unit %s is transient or generated, as %s", f.name, f.path)
	}
	return nil
}

// apply makes the links of the units of the queue, which grows by what Also=
// names (install_context_apply).
func (o *operation) apply() error {
	var all []error
	for i := 0; i < len(o.queue); i++ {
		f := o.queue[i]
		if _, err := o.traverse(f, load); err != nil && f.auxiliary {
			o.warn(f.name, "named by Also= and not enabled: %v", err)
			continue
		} else if err != nil {
			return err
		}
		switch f.mode {
		case masked:
			o.warn(f.name, "masked by %s", f.path)
			o.asked = true // something could have been enabled
		case regular:
			all = append(all, o.install(f))
			if f.hasRules() {
				o.changes.Units = append(o.changes.Units, f.name)
			}
		}
	}
	return errors.Join(all...)
}

// install makes the links of one unit (install_info_apply).
func (o *operation) install(f *unitFile) error {
	if !o.inSearchPath(f.path) {
		if err := o.makeLink(configDir+"/"+f.name, f.path, false); err != nil {
			return err
		}
	}
	return errors.Join(
		o.installAliases(f),
		o.installWants(f, f.wantedBy, ".wants"),
		o.installWants(f, f.requiredBy, ".requires"),
		o.installWants(f, f.upheldBy, ".upholds"),
	)
}

func (o *operation) installAliases(f *unitFile) error {
	var all []error
	for _, text := range f.aliases {
		all = append(all, o.installAlias(f, text))
	}
	return errors.Join(all...)
}

// relinkRelease is the first release in which an alias of a linked unit leads
// to the link in /etc, and a broken alias is replaced.
const relinkRelease = 256

func (o *operation) installAlias(f *unitFile, text string) error {
	n, err := o.expand(f, text)
	if err != nil {
		return fmt.Errorf("alias %w", err)
	}
	if n, err = aliasName(f.name, n); errors.Is(err, errSelf) {
		return nil
	} else if err != nil {
		return err
	}
	p, target, force := path.Join(configDir, n), f.path, false
	if path.IsAbs(n) {
		p = path.Clean(n)
	}
	if o.since(relinkRelease) {
		if !o.inSearchPath(f.path) {
			target = configDir + "/" + f.name
		}
		_, exists, err := o.root.chase(p, true)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		force = err == nil && !exists
	}
	o.asked = true
	return o.makeLink(p, target, force)
}

// installWants makes links in the directories of the units in list
// (install_info_symlink_wants).
func (o *operation) installWants(f *unitFile, list []string, suffix string) error {
	if len(list) == 0 {
		return nil
	}
	n, owners, err := o.wanted(f)
	if err != nil {
		return err
	}
	var all []error
	for _, text := range list {
		owner, err := o.expand(f, text)
		switch {
		case err != nil:
			all = append(all, err)
		case !valid(owner):
			all = append(all, fmt.Errorf("%s: %q is no name of a unit", f.name, owner))
		case classify(owner)&owners == 0:
			all = append(all, fmt.Errorf("%s is a template without an instance, and %s is none: name an instance, such as %s",
				f.name, owner, strings.Replace(f.name, "@.", "@NAME.", 1)))
		default:
			o.asked = true
			all = append(all, o.makeLink(configDir+"/"+owner+suffix+"/"+n, f.path, true))
			o.checkOwner(f, owner)
		}
	}
	return errors.Join(all...)
}

// wanted returns the name of the links of f, and the kinds of units in whose
// directories they can be. A template is linked as its default instance, or
// waits for the instance of its owner.
func (o *operation) wanted(f *unitFile) (n string, owners kind, err error) {
	switch {
	case classify(f.name) != template:
		return f.name, plain | template | instance, nil
	case f.defaultInstance == "":
		return f.name, template | instance, nil
	}
	n, err = withInstance(f.name, f.defaultInstance)
	if err != nil {
		return "", 0, err
	}
	inst := &unitFile{name: n}
	if err := o.lookUp(inst, followLinks); err != nil {
		return "", 0, err
	}
	if inst.mode == masked {
		return "", 0, fmt.Errorf("unit %s is masked by %s", n, inst.path)
	}
	return n, plain | template | instance, nil
}

func (o *operation) checkOwner(f *unitFile, owner string) {
	probe := &operation{system: o.system, root: o.root, search: o.search, byName: map[string]*unitFile{}}
	g, err := probe.add(owner, "", false)
	if err == nil {
		_, err = probe.traverse(g, 0)
	}
	if errors.Is(err, fs.ErrNotExist) {
		o.warn(f.name, "wanted by %s, which does not exist", owner)
	}
}

// makeLink makes a link, unless one that does as well is there
// (create_symlink). Another one is replaced by force only.
func (o *operation) makeLink(p, target string, force bool) error {
	dir, _, err := o.root.chase(path.Dir(p), true)
	if err != nil {
		return err
	}
	p = path.Join(dir, path.Base(p))
	m, err := o.root.mode(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("%s: %w", p, err)
	case m&fs.ModeSymlink == 0:
		return fmt.Errorf("%s exists: %w", p, fs.ErrExist)
	default:
		old, err := o.root.Target(p)
		if err != nil {
			return err
		}
		if o.sameTarget(p, old, target) {
			return nil
		}
		if !force {
			return fmt.Errorf("%s exists, and leads to %s: %w", p, old, fs.ErrExist)
		}
		o.drop(p)
	}
	o.changes.MakeDirs = append(o.changes.MakeDirs, o.root.link(p, target)...)
	o.changes.Make = append(o.changes.Make, Link{p, target})
	return nil
}

// drop removes a link, which may be one that this operation made.
func (o *operation) drop(p string) {
	made := len(o.changes.Make)
	o.changes.Make = slices.DeleteFunc(o.changes.Make, func(l Link) bool { return l.Path == p })
	if made == len(o.changes.Make) {
		o.changes.Remove = append(o.changes.Remove, p)
	}
	o.root.remove(p)
}

// sameTarget reports whether two targets of the link at p are the same file,
// or files of the same name in directories of units
// (chroot_unit_symlinks_equivalent).
func (o *operation) sameTarget(p, a, b string) bool {
	a, b = absolute(p, a), absolute(p, b)
	if path.Clean(a) == path.Clean(b) {
		return true
	}
	realA, okA, errA := o.root.chase(a, true)
	realB, okB, errB := o.root.chase(b, true)
	if errA == nil && errB == nil && okA && okB && realA == realB {
		return true
	}
	return path.Base(a) == path.Base(b) && o.belowSearchPath(path.Clean(a)) && o.belowSearchPath(path.Clean(b))
}

func absolute(p, target string) string {
	if path.IsAbs(target) {
		return target
	}
	return path.Dir(p) + "/" + target
}
