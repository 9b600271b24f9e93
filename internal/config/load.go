package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sextant/internal/ini"
	"sextant/internal/spelling"
)

// Source is where a configuration is read from.
type Source struct {
	Dir     string            // the directory with mkosi.conf; empty means "."
	WorkDir string            // where relative paths of Flags start; empty means Dir
	Flags   []Flag            // the settings on the command line, in order
	Environ map[string]string // our own environment
	Host    Host
}

// Flag is one setting on the command line: "--image-id", "custom-tools".
type Flag struct {
	Name, Value string
}

// maxDepth is how deep files may include files.
const maxDepth = 32

// Load reads the configuration. A fault in what the user wrote is a *ini.Fault
// with its place; Config.Warnings holds what is merely odd.
func Load(src Source) (*Config, error) {
	l, err := newLoader(src)
	if err != nil {
		return nil, err
	}
	if err := l.flags(); err != nil {
		return nil, err
	}
	if err := l.includes(l.dir); err != nil {
		return nil, err
	}
	if l.matched, err = l.directory(l.top, ini.Position{File: l.name(l.top)}, true); err != nil {
		return nil, err
	}
	return l.finish()
}

// loader reads one configuration. There are two sets of assignments, so that
// the command line can win over files that are read after it.
type loader struct {
	src      Source
	dir      string // canonical Dir
	top      string // dir, or dir/mkosi
	workDir  string // canonical WorkDir
	settings []Setting
	byName   map[string]*Setting
	line     map[string]entry // by the command line and mkosi.local.conf
	files    map[string]entry
	pending  []item        // of Include=, not read yet
	included []os.FileInfo // of Include=, read
	open     []opened      // what is being read, outermost first
	warnings []*ini.Fault
	matched  bool // the [Match] of the top mkosi.conf holds
}

// opened is a file or directory that is being read.
type opened struct {
	path string
	info os.FileInfo
}

func newLoader(src Source) (*loader, error) {
	if src.Dir == "" {
		src.Dir = "."
	}
	if src.WorkDir == "" {
		src.WorkDir = src.Dir
	}
	l := &loader{src: src, settings: Settings(), byName: map[string]*Setting{}, line: map[string]entry{}, files: map[string]entry{}}
	var err error
	if l.dir, err = canonical(src.Dir); err != nil {
		return nil, fmt.Errorf("%s: %w", src.Dir, cause(err))
	}
	if !isDir(l.dir) {
		return nil, fmt.Errorf("%s: not a directory", src.Dir)
	}
	if l.workDir, err = canonical(src.WorkDir); err != nil {
		return nil, fmt.Errorf("%s: %w", src.WorkDir, cause(err))
	}
	l.top = topDirectory(l.dir)
	for i := range l.settings {
		s := &l.settings[i]
		l.byName[s.Name] = s
		for _, old := range s.Old {
			l.byName[old] = s
		}
	}
	return l, nil
}

// topDirectory returns dir, or its subdirectory mkosi if only that one holds a
// mkosi.conf.
func topDirectory(dir string) string {
	sub := filepath.Join(dir, "mkosi")
	if !exists(filepath.Join(dir, "mkosi.conf")) && isFile(filepath.Join(sub, "mkosi.conf")) {
		return sub
	}
	return dir
}

// flags takes the settings of the command line. Specifiers are not expanded
// there.
func (l *loader) flags() error {
	byFlag := map[string]*Setting{}
	for i := range l.settings {
		s := &l.settings[i]
		for _, name := range append([]string{s.Flag}, s.Flags...) {
			byFlag[name] = s
		}
	}
	for _, f := range l.src.Flags {
		s := byFlag[f.Name]
		if s == nil {
			return &ini.Fault{Text: f.Name + " is not a setting"}
		}
		from := Origin{Kind: FromFlag, Name: f.Name}
		if err := l.assign(l.line, s, l.place(l.workDir, from), f.Value); err != nil {
			return err
		}
	}
	return nil
}

// place returns the place for a value that is read with the working directory
// dir.
func (l *loader) place(dir string, from Origin) *place {
	return &place{dir: dir, environ: l.src.Environ, from: from, warn: func(help, format string, args ...any) {
		l.warn(from.At, help, format, args...)
	}}
}

// maxWarnings is how many warnings are kept: nobody reads more.
const maxWarnings = 100

func (l *loader) warn(at ini.Position, help, format string, args ...any) {
	switch {
	case len(l.warnings) < maxWarnings:
		l.warnings = append(l.warnings, ini.Faultf(at, help, format, args...))
	case len(l.warnings) == maxWarnings:
		l.warnings = append(l.warnings, ini.Faultf(ini.Position{}, "", "there are more warnings than these"))
	}
}

// assign makes one assignment.
func (l *loader) assign(to map[string]entry, s *Setting, p *place, text string) error {
	switch {
	case s.Effect == Refused && s.accepts(text), s.Effect == NoEffect && text == "":
		return nil
	case s.Effect == Refused:
		return s.refuse(p.from.At, s.written(p.from, text))
	case s.Effect == NoEffect:
		p.warn(s.Instead, "%s has no effect: %s", s.written(p.from, text), s.Why)
		return nil
	}
	before := len(to[s.Name].items)
	e, err := s.assign(to[s.Name], p, text)
	to[s.Name] = e
	if err == nil && s.Name == "Include" {
		l.pending = append(l.pending, e.items[before:]...)
	}
	return err
}

// name returns how messages call a path: relative to the working directory if
// it is below it.
func (l *loader) name(path string) string {
	rel, err := filepath.Rel(l.workDir, path)
	if err != nil || rel == "." || rel == ".." || strings.HasPrefix(rel, "../") {
		return path
	}
	return rel
}

// enter notes that path is being read, as asked for at the position, and
// returns the way back.
func (l *loader) enter(path string, at ini.Position) (leave func(), err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.name(path), cause(err))
	}
	first := slices.IndexFunc(l.open, func(o opened) bool { return os.SameFile(o.info, info) })
	if first >= 0 {
		return nil, l.circle(first, path, at)
	}
	if len(l.open) >= maxDepth {
		return nil, ini.Faultf(at, "", "more than %d files are read inside each other", maxDepth)
	}
	l.open = append(l.open, opened{path, info})
	return func() { l.open = l.open[:len(l.open)-1] }, nil
}

// circle is the error for a path that is read while it is being read.
func (l *loader) circle(first int, path string, at ini.Position) error {
	var way []string
	for _, o := range l.open[first:] {
		way = append(way, l.name(o.path))
	}
	return ini.Faultf(at, "", "a circle of includes: %s -> %s", strings.Join(way, " -> "), l.name(path))
}

// directory reads a directory with a mkosi.conf. It reports whether the
// [Match] of the mkosi.conf holds.
func (l *loader) directory(dir string, at ini.Position, top bool) (bool, error) {
	leave, err := l.enter(dir, at)
	if err != nil {
		return false, err
	}
	defer leave()
	path := filepath.Join(dir, "mkosi.conf")
	var sections []ini.Section
	if exists(path) {
		if sections, err = l.parse(path); err != nil {
			return false, err
		}
	}
	if ok, err := l.matches(sections, path, dir); err != nil || !ok {
		return false, err
	}
	steps := []func() error{
		func() error { return l.companions(dir) },
		func() error { return l.assignments(sections, path, dir) },
		func() error { return l.dropins(dir) },
	}
	if top {
		steps = slices.Insert(steps, 0, func() error { return l.leftOut(dir) }, func() error { return l.local(dir) })
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// file reads one configuration file, with relative paths starting at dir.
func (l *loader) file(path, dir string, at ini.Position) error {
	leave, err := l.enter(path, at)
	if err != nil {
		return err
	}
	defer leave()
	sections, err := l.parse(path)
	if err != nil {
		return err
	}
	if ok, err := l.matches(sections, path, dir); err != nil || !ok {
		return err
	}
	return l.assignments(sections, path, dir)
}

// read reads a file or a directory, whichever path is. Relative paths in a
// file start at dir, those in a directory at itself.
func (l *loader) read(path, dir string, at ini.Position) error {
	if isDir(path) {
		real, err := canonical(path)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name(path), cause(err))
		}
		_, err = l.directory(real, at, false)
		return err
	}
	return l.file(path, dir, at)
}

// local reads mkosi.local/ and mkosi.local.conf. What they assign wins over
// all other files, so it joins the command line.
func (l *loader) local(dir string) error {
	for _, name := range []string{"mkosi.local", "mkosi.local.conf"} {
		path := filepath.Join(dir, name)
		if name == "mkosi.local" && !isDir(path) || name == "mkosi.local.conf" && !isFile(path) {
			continue
		}
		if err := l.read(path, dir, ini.Position{File: l.name(path)}); err != nil {
			return err
		}
		if err := l.promote(); err != nil {
			return err
		}
	}
	return nil
}

// promote makes the assignments of files so far part of the command line.
func (l *loader) promote() error {
	for name, e := range l.files {
		items, err := l.values(l.byName[name])
		if err != nil {
			return err
		}
		s := l.byName[name]
		reset := l.line[name].reset
		l.line[name] = entry{assigned: true, some: len(items) > 0 || s.List, reset: reset, items: items, last: e.last}
	}
	clear(l.files)
	return nil
}

// dropins reads mkosi.conf.d/.
func (l *loader) dropins(dir string) error {
	list, err := os.ReadDir(filepath.Join(dir, "mkosi.conf.d"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", l.name(filepath.Join(dir, "mkosi.conf.d")), cause(err))
	}
	for _, d := range list { // os.ReadDir sorts by name
		path := filepath.Join(dir, "mkosi.conf.d", d.Name())
		if !isDir(path) && filepath.Ext(d.Name()) != ".conf" {
			continue
		}
		if err := l.read(path, dir, ini.Position{File: l.name(path)}); err != nil {
			return err
		}
	}
	return nil
}

// assignments makes those of one file.
func (l *loader) assignments(sections []ini.Section, path, dir string) error {
	for _, section := range sections {
		if !l.takes(section) {
			continue
		}
		for _, key := range section.Keys {
			if err := l.key(section, key, path, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// takes reports whether a section holds settings, and warns of unknown ones.
func (l *loader) takes(section ini.Section) bool {
	switch {
	case section.Name == "Match":
		return false
	case slices.Contains(sectionNames(), section.Name) || section.Name == "Host":
		return true
	case !strings.HasPrefix(section.Name, "X-"):
		help := ""
		if near := spelling.Nearest(section.Name, append(sectionNames(), "Match")); near != "" {
			help = "did you mean [" + near + "]?"
		}
		l.warn(section.At, help, "unknown section [%s], nothing in it counts", clip(section.Name))
	}
	return false
}

// key makes one assignment of a file.
func (l *loader) key(section ini.Section, key ini.Key, path, dir string) error {
	name := strings.TrimPrefix(key.Name, "@")
	s := l.byName[name]
	if s == nil || s.Section == "" || (s.Section == ours) != (section.Name == ours) {
		l.unknown(section, key)
		return nil
	}
	if name != key.Name || name != s.Name {
		l.warn(key.At, "", "%s= is an old spelling, write %s=", key.Name, s.Name)
	}
	if section.Name != s.Section {
		l.warn(key.At, "", "%s= belongs into [%s], not into [%s]", s.Name, s.Section, section.Name)
	}
	value, err := l.specifiers(key, path, dir)
	if err != nil {
		return err
	}
	if err := l.assign(l.files, s, l.place(dir, Origin{Kind: FromFile, At: key.At}), value); err != nil {
		return err
	}
	return l.includes(dir)
}

func (l *loader) unknown(section ini.Section, key ini.Key) {
	if len(l.warnings) > maxWarnings {
		return
	}
	var names []string
	for _, s := range l.settings {
		if (s.Section == ours) == (section.Name == ours) && s.Section != "" {
			names = append(names, s.Name)
		}
	}
	help := ""
	if near := spelling.Nearest(key.Name, names); near != "" {
		help = "did you mean " + near + "=?"
	}
	l.warn(key.At, help, "unknown setting %s=, it does not count", clip(key.Name))
}

// includes reads what Include= names and has not been read before. As in mkosi
// this happens after every assignment, so of several that one Include= names
// the second is read after the first assignment in the first.
func (l *loader) includes(dir string) error {
	for len(l.pending) > 0 {
		i := l.pending[0]
		l.pending = l.pending[1:]
		info, err := os.Stat(i.text)
		if err != nil {
			return ini.Faultf(i.from.At, "", "Include=%s: %v", i.text, cause(err))
		}
		if slices.ContainsFunc(l.included, func(o os.FileInfo) bool { return os.SameFile(o, info) }) {
			continue
		}
		l.included = append(l.included, info)
		if err := l.read(i.text, dir, i.from.At); err != nil {
			return err
		}
	}
	return nil
}
