package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sextant/internal/fault"
)

// how says what a search is for (SearchFlags).
type how int

const (
	load        how = 1 << iota // read [Install] too
	followLinks                 // also links in /etc
)

// loadMain reads the unit file at p, or notes where the link at p leads
// (unit_file_load_or_readlink).
func (o *operation) loadMain(f *unitFile, p string, h how) error {
	if classify(f.name) != plain && !mayTemplate(typeOf(f.name)) {
		return fmt.Errorf("%s: there are no templates of type %s", f.name, typeOf(f.name))
	}
	resolved, m, err := o.root.find(p)
	switch {
	case err != nil:
		return err
	case m&fs.ModeSymlink != 0:
		return o.loadLink(f, p, resolved)
	}
	mask, err := o.root.isMask(resolved, m)
	switch {
	case err != nil:
		return err
	case mask:
		f.mode = masked
		return nil
	case !m.IsRegular():
		return fmt.Errorf("%s is not a regular file", p)
	case h&load != 0:
		if err := o.loadFile(f, p, resolved); err != nil {
			return err
		}
	}
	f.mode = regular
	return nil
}

// loadFile takes over what the [Install] sections of a file say.
func (o *operation) loadFile(f *unitFile, p, resolved string) error {
	text, err := o.root.readFile(resolved)
	if err != nil {
		return err
	}
	list, err := parseInstall(text)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	for _, a := range list {
		if err := o.assign(f, a); err != nil {
			return fmt.Errorf("%s: %s=%s: %w", p, a.key, a.value, err)
		}
	}
	return nil
}

func (o *operation) assign(f *unitFile, a assignment) error {
	switch a.key {
	case "Alias":
		if !mayAlias(typeOf(f.name)) {
			o.warn(f.name, "Alias= is not for units of type %s", typeOf(f.name))
			return nil
		}
		o.words(f, &f.aliases, a)
	case "WantedBy":
		o.words(f, &f.wantedBy, a)
	case "RequiredBy":
		o.words(f, &f.requiredBy, a)
	case "UpheldBy":
		if !o.since(upheldByRelease) {
			o.warn(f.name, "UpheldBy= is unknown to systemd %d", o.system.Systemd)
			return nil
		}
		o.words(f, &f.upheldBy, a)
	case "Also":
		return o.assignAlso(f, a.value)
	case "DefaultInstance":
		return o.assignDefault(f, a.value)
	}
	return nil
}

// allWordsRelease is a release that takes all words of a value or none; 252
// takes those in front of the mistake.
const allWordsRelease = 257

// words adds the words of a value to a list; an empty value empties it.
func (o *operation) words(f *unitFile, list *[]string, a assignment) {
	if a.value == "" {
		*list = nil
		return
	}
	words, err := quotedWords(a.value)
	if err != nil {
		o.warn(f.name, "%s=%s: %v", a.key, a.value, err)
		if o.since(allWordsRelease) {
			return
		}
	}
	*list = append(*list, words...)
}

func (o *operation) assignAlso(f *unitFile, value string) error {
	words, err := escapedWords(value)
	for _, word := range words {
		other, err := o.expand(f, word)
		if err != nil {
			return err
		}
		if _, err := o.add(other, "", true); err != nil {
			return err
		}
		f.also = append(f.also, other)
	}
	return err
}

// assignDefault sets the default instance. An instance that is read from the
// file of its template has no use for it.
func (o *operation) assignDefault(f *unitFile, value string) error {
	switch classify(f.name) {
	case instance:
		return nil
	case template:
	default:
		o.warn(f.name, "DefaultInstance= is for templates")
		return nil
	}
	inst, err := o.expand(f, value)
	if err != nil {
		return err
	}
	if inst != "" && !only(inst, nameBytesAt) {
		return fmt.Errorf("%q is no instance", inst)
	}
	f.defaultInstance = inst
	return nil
}

// loadLink notes where the link at p leads. A link to another unit of the
// search path is an alias, and must be a valid one; any other is a linked
// unit file, or a mask (unit_file_resolve_symlink).
func (o *operation) loadLink(f *unitFile, p, resolved string) error {
	target, err := o.root.Target(resolved)
	if err != nil {
		return err
	}
	if !path.IsAbs(target) {
		target = path.Dir(p) + "/" + target
	}
	target, _, err = o.root.chase(target, false)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	inside := o.belowSearchPath(target)
	if inside {
		if err := checkAlias(path.Base(p), path.Base(target)); err != nil && !errors.Is(err, errSelf) {
			return err
		} else if err != nil {
			return fmt.Errorf("%s: %w", p, errLoop)
		}
	}
	f.target = target
	switch {
	case target == "/dev/null":
		f.mode = masked
	case inside:
		f.mode = alias
	default:
		f.mode = linked
	}
	return nil
}

// lookUp finds the file of a unit and reads it with its drop-ins
// (unit_file_search).
func (o *operation) lookUp(f *unitFile, h how) error {
	switch {
	case f.mode != unknown:
		return nil
	case f.path != "":
		return o.loadMain(f, f.path, h)
	}
	names := []string{f.name}
	if t, ok := templateOf(f.name); ok && t != f.name {
		names = append(names, t)
	}
	found, err := o.loadFirst(f, names, h)
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("unit %s: %w", f.name, fs.ErrNotExist)
	}
	if f.mode == masked || h&load == 0 {
		return nil
	}
	return o.loadDropIns(f, names)
}

// loadFirst reads the first file of one of the names in the search path.
func (o *operation) loadFirst(f *unitFile, names []string, h how) (bool, error) {
	for _, n := range names {
		for _, dir := range o.search {
			p := dir + "/" + n
			err := o.loadMain(f, p, h)
			if err == nil {
				f.path = p
				return true, nil
			}
			if ignoreMissing(err) != nil {
				return false, err
			}
		}
	}
	return false, nil
}

// loadDropIns reads NAME.d/*.conf in all search paths, and TEMPLATE.d/*.conf
// of an instance. Of files with one name the first counts; they are read in
// the order of their names.
func (o *operation) loadDropIns(f *unitFile, names []string) error {
	files := map[string]string{}
	for _, n := range names {
		for _, dir := range o.search {
			list, err := o.root.readDir(dir + "/" + n + ".d")
			if err != nil {
				continue // systemd passes such a directory over
			}
			for _, e := range list {
				if _, seen := files[e.name]; !seen && strings.HasSuffix(e.name, ".conf") {
					files[e.name] = e.path
				}
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(files)) {
		if err := o.loadDropIn(f, files[n]); err != nil {
			return err
		}
	}
	return nil
}

func (o *operation) loadDropIn(f *unitFile, p string) error {
	resolved, exists, err := o.root.chase(p, true)
	if err != nil {
		return err
	}
	// A running system has /dev/null, and a root file system may not.
	if resolved == "/dev/null" {
		return nil
	}
	if !exists {
		return fmt.Errorf("%s: %w", p, fs.ErrNotExist)
	}
	m, err := o.root.mode(resolved)
	if err != nil {
		return err
	}
	if mask, err := o.root.isMask(resolved, m); err != nil || mask {
		return err
	}
	if !m.IsRegular() {
		return fmt.Errorf("%s is not a regular file: %w", p, fault.ErrCorrupt)
	}
	return o.loadFile(f, p, resolved)
}

// traverse finds the file of a unit and follows links to the file that counts,
// which may belong to a unit of another name (install_info_traverse).
func (o *operation) traverse(f *unitFile, h how) (*unitFile, error) {
	if err := o.lookUp(f, h); err != nil {
		return nil, err
	}
	for steps := 0; f.mode == alias || f.mode == linked; steps++ {
		if steps == 64 {
			return nil, fmt.Errorf("%s: %w", f.name, errLoop)
		}
		dir := path.Dir(f.path)
		if h&followLinks == 0 && (dir == configDir || dir == "/run/systemd/system") {
			return nil, fmt.Errorf("%s %w", f.path, errConfigLink)
		}
		next, err := o.follow(f, h)
		if err != nil {
			return nil, err
		}
		f = next
	}
	return f, nil
}

// follow goes one link further. A linked file keeps the name of the link; an
// alias is another unit, but for an instance of a template.
func (o *operation) follow(f *unitFile, h how) (*unitFile, error) {
	next := path.Base(f.target)
	if f.mode == alias && classify(f.name) == instance && classify(next) == template {
		var err error
		if next, err = withInstance(next, instanceOf(f.name)); err != nil {
			return nil, err
		}
	}
	if f.mode == linked || next == f.name {
		f.path, f.target, f.mode = f.target, "", unknown
		return f, o.loadMain(f, f.path, h)
	}
	other, err := o.add(next, "", false)
	if err != nil {
		return nil, err
	}
	err = o.lookUp(other, h)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("unit %s %w: %s", f.name, errDangling, next)
	}
	return other, err
}
