package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// configDir is where links are made and removed.
const configDir = "/etc/systemd/system"

// The releases of systemd that brought a rule.
const (
	upheldByRelease = 254
	oneUsrRelease   = 255 // support for units in /lib ended
)

// System is a root file system whose units are looked at. The zero values of
// Systemd and Architecture stand for a new release, and for one that %a asks
// for in vain.
type System struct {
	// Root is the file system; it must have Lstat and ReadLink
	// (fs.ReadLinkFS). Links in it are followed by this package alone.
	Root fs.FS

	// Systemd is the release of systemd in the root: 252 ...
	Systemd int

	// Architecture is systemd's name for that of the root: x86-64 ...
	Architecture string
}

// Changes is what an operation does to the root file system. Paths are
// absolute inside the root and have no links in them but at the end.
// Directories are made first, in order, with mode 0755; then links are removed
// and made in any order, then directories removed in order.
type Changes struct {
	MakeDirs    []string
	Make        []Link
	Remove      []string // links; one that is in Make too is replaced
	RemoveDirs  []string // empty by then
	Units       []string // whose links were made, or removed; for PresetFile
	Warnings    []Warning
	RulesMissed bool // no [Install] asked for anything, and nothing was done
}

// Link is a symbolic link.
type Link struct{ Path, Target string }

// Warning is something that the operation passed over.
type Warning struct {
	Unit string
	Text string
}

// String gives the warning in one line.
func (w Warning) String() string { return w.Unit + ": " + w.Text }

// Empty reports whether there is nothing to do.
func (c Changes) Empty() bool { return len(c.Make) == 0 && len(c.Remove) == 0 }

// operation is one enable or disable on its way.
type operation struct {
	system  System
	root    *root
	search  []string
	queue   []*unitFile // in the order in which they were asked for
	byName  map[string]*unitFile
	asked   bool // an [Install] asked for a link
	changes Changes
}

func (s System) operation() *operation {
	o := &operation{system: s, root: newRoot(s.Root), byName: map[string]*unitFile{}}
	o.search = o.searchPath()
	return o
}

// since reports whether the root's systemd is release or newer.
func (o *operation) since(release int) bool {
	return o.system.Systemd == 0 || o.system.Systemd >= release
}

// The directories whose units nobody enables.
const (
	transientDir = "/run/systemd/transient"
	generatorDir = "/run/systemd/generator"
)

// searchPath returns the directories of system units, first come first served
// (lookup_paths_init).
func (o *operation) searchPath() []string {
	lib := []string{"/usr/lib/systemd/system"}
	if !o.since(oneUsrRelease) && o.livesInLib() {
		lib = []string{"/lib/systemd/system", "/usr/lib/systemd/system"}
	}
	return slices.Concat([]string{
		"/etc/systemd/system.control", "/run/systemd/system.control",
		transientDir, generatorDir + ".early",
		configDir, "/etc/systemd/system.attached",
		"/run/systemd/system", "/run/systemd/system.attached",
		generatorDir, "/usr/local/lib/systemd/system",
	}, lib, []string{generatorDir + ".late"})
}

// livesInLib reports whether systemd was built for / and not for /usr, as
// Debian's was up to 252: then /sbin/init leads to /lib/systemd/systemd, links
// lead to /lib/systemd/system, and /lib may even be a directory of its own.
func (o *operation) livesInLib() bool {
	if mode, err := o.root.mode("/lib"); err == nil && mode.IsDir() {
		return true
	}
	p, mode, err := o.root.find("/sbin/init")
	if err != nil || mode&fs.ModeSymlink == 0 {
		return false
	}
	target, err := o.root.Target(p)
	return err == nil && strings.HasPrefix(target, "/lib/")
}

// inSearchPath reports whether p lies directly in a directory of units.
func (o *operation) inSearchPath(p string) bool { return slices.Contains(o.search, path.Dir(p)) }

// belowSearchPath reports whether p lies in a directory of units or below one.
func (o *operation) belowSearchPath(p string) bool {
	return slices.ContainsFunc(o.search, func(dir string) bool { return strings.HasPrefix(p, dir+"/") })
}

// mode is how a unit file was found (InstallMode).
type mode int

const (
	unknown mode = iota
	regular      // a file
	alias        // a link to another unit of the search path
	linked       // a link to a file elsewhere
	masked
)

// unitFile is a unit that is worked on (InstallInfo).
type unitFile struct {
	name      string
	path      string // where the file is; may be asked for
	target    string // of a link
	mode      mode
	auxiliary bool // only Also= asked for it

	aliases, wantedBy, requiredBy, upheldBy []string

	also            []string
	defaultInstance string
}

// hasRules reports whether enabling the unit makes links.
func (f *unitFile) hasRules() bool {
	return len(f.aliases)+len(f.wantedBy)+len(f.requiredBy)+len(f.upheldBy) > 0
}

// add puts a unit into the queue, or returns the one that is there
// (install_info_add).
func (o *operation) add(unit, p string, auxiliary bool) (*unitFile, error) {
	if !valid(unit) {
		return nil, fmt.Errorf("%q is no name of a unit", unit)
	}
	if f, ok := o.byName[unit]; ok {
		f.auxiliary = f.auxiliary && auxiliary
		return f, nil
	}
	f := &unitFile{name: unit, path: p, auxiliary: auxiliary}
	o.queue = append(o.queue, f)
	o.byName[unit] = f
	return f, nil
}

func (o *operation) warn(unit, format string, args ...any) {
	w := Warning{unit, fmt.Sprintf(format, args...)}
	if !slices.Contains(o.changes.Warnings, w) {
		o.changes.Warnings = append(o.changes.Warnings, w)
	}
}

// errDangling says that a unit is a link to one that does not exist.
var errDangling = errors.New("is an alias of a unit that does not exist")

// errConfigLink says that a link in /etc is not followed here.
var errConfigLink = errors.New("is a link, which systemctl does not follow here")
