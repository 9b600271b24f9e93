package merge

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sextant/internal/discover"
	"sextant/internal/dps"
	"sextant/internal/hierarchy"
	"sextant/internal/image"
	"sextant/internal/inroot"
	"sextant/internal/linux/mount"
)

const (
	// maxHidden is how many hidden files of one extension are named.
	maxHidden = 10

	// maxLooked is how many files of one extension are looked at for that.
	maxLooked = 10_000
)

// meetForeign decides who wins where mounts of others and extensions meet, and
// says so.
func (r *run) meetForeign() error {
	for _, s := range r.sites {
		err := r.chooseSubmounts(s)
		for i := range s.foreign {
			f := &s.foreign[i]
			f.Advice = advice(*f, r.opts.Submounts)
			r.sayForeign(*f)
		}
		r.report.Foreign = append(r.report.Foreign, s.foreign...)
		if err != nil {
			return err
		}
	}
	return nil
}

// findHidden finds out what the mounts of others hide and what hides them, and
// reports whether one that was carried over so far shall give way to extensions.
func (r *run) findHidden() (change bool) {
	for _, s := range r.sites {
		for i := range s.foreign {
			f := &s.foreign[i]
			for _, l := range r.layers {
				resolved, err := inroot.Resolve(l.dir, s.path+strings.TrimPrefix(f.Path, s.real))
				if err == nil { // else it has nothing there
					meet(f, s.path, s.real, l.Name, os.DirFS(inroot.Join(l.dir, resolved)))
				}
			}
			change = change || r.opts.Submounts == SubmountsExtension && len(f.Hides) > 0
		}
	}
	return change
}

// meet notes what a mount of others hides of an extension, or what of the mount
// the extension hides. The files are those of the extension where the mount is.
func meet(f *hierarchy.Foreign, path, real, name string, files fs.FS) {
	at := path + strings.TrimPrefix(f.Path, real)
	switch {
	case f.Place == hierarchy.Below && f.Dropped:
		f.HiddenBy = append(f.HiddenBy, listFiles(name, at, files)...)
	case f.Place == hierarchy.Below:
		f.Hides = append(f.Hides, listFiles(name, at, files)...)
	case f.Place == hierarchy.Beneath && filepath.IsAbs(f.Upper):
		f.HiddenBy = append(f.HiddenBy, listCommon(name, at, os.DirFS(f.Upper), files)...)
	}
}

// listFiles lists the files of one extension below a path, as far as they are few.
func listFiles(name, path string, files fs.FS) []string {
	l := examples{name: name, path: path}
	err := fs.WalkDir(files, ".", func(rel string, d fs.DirEntry, err error) error {
		if errors.Is(err, syscall.ENOTDIR) && rel == "." {
			l.list = append(l.list, name+": "+path) // it is a file itself
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		return l.add(rel)
	})
	return l.end(err)
}

// listCommon lists the files of an upper directory that an extension has too.
func listCommon(name, path string, upper, files fs.FS) []string {
	l := examples{name: name, path: path}
	err := fs.WalkDir(upper, ".", func(rel string, d fs.DirEntry, err error) error {
		if rel == "." && err != nil {
			return fs.SkipAll // not in this namespace
		}
		if err != nil {
			return err
		}
		found, err := fs.Lstat(files, rel)
		switch {
		case err != nil && d.IsDir():
			return fs.SkipDir
		case err != nil || d.IsDir() && found.IsDir():
			return l.look()
		}
		if err := l.add(rel); err != nil || !d.IsDir() {
			return err
		}
		return fs.SkipDir
	})
	return l.end(err)
}

// examples are a few of many files of an extension.
type examples struct {
	name, path string
	list       []string
	seen, more int
}

// look counts what was looked at, and ends the walk when it is too much.
func (e *examples) look() error {
	if e.seen++; e.seen > maxLooked {
		return fs.SkipAll
	}
	return nil
}

func (e *examples) add(rel string) error {
	if len(e.list) < maxHidden {
		e.list = append(e.list, e.name+": "+filepath.Join(e.path, rel))
	} else {
		e.more++
	}
	return e.look()
}

// end adds how many there are more.
func (e *examples) end(err error) []string {
	switch {
	case err != nil:
		e.list = append(e.list, fmt.Sprintf("%s: more below %s, not all can be read (%v)", e.name, e.path, err))
	case e.seen > maxLooked:
		e.list = append(e.list, fmt.Sprintf("%s: %d or more below %s", e.name, e.more, e.path))
	case e.more > 0:
		e.list = append(e.list, fmt.Sprintf("%s: %d more below %s", e.name, e.more, e.path))
	}
	return e.list
}

// chooseSubmounts leaves out the copies of mounts that extensions win against.
func (r *run) chooseSubmounts(s *site) error {
	for i := range s.foreign {
		f := &s.foreign[i]
		if f.Place != hierarchy.Below || len(f.Hides) == 0 {
			continue
		}
		switch r.opts.Submounts {
		case SubmountsRefuse:
			return fmt.Errorf("%s is mounted at %s, where extensions have files (%s)", f.Type, f.Path, f.Hides[0])
		case SubmountsExtension:
			f.Dropped, f.HiddenBy, f.Hides = true, f.Hides, nil
			s.submounts = slices.DeleteFunc(s.submounts, func(m submount) bool {
				if m.Point != f.Path {
					return false
				}
				m.tree.Close()
				s.dropped = append(s.dropped, m)
				return true
			})
		}
	}
	return nil
}

// advice tells what to do about a mount of others.
func advice(f hierarchy.Foreign, mode Submounts) string {
	switch {
	case f.Place == hierarchy.Covers:
		return "unmount it: the extensions below it can neither be seen nor unmerged"
	case f.Place == hierarchy.Beneath && f.Type != "overlay":
		return "it is the lowest layer of the merge, and nothing can be written to it until the extensions are unmerged"
	case f.Place == hierarchy.Beneath:
		return "it is the lowest layer of the merge; what is written to its upper directory meanwhile may not show"
	case f.Place == hierarchy.Above:
		return "an overlay on it counts as the second of two that the kernel allows"
	case f.Dropped:
		return "the extensions win; it is back when they are unmerged"
	case len(f.Hides) == 0:
		return ""
	case mode == SubmountsExtension:
		return "it wins so far; with the next refresh the extensions win"
	}
	return "it wins; --submounts=extension lets the extensions win"
}

func (r *run) sayForeign(f hierarchy.Foreign) {
	if f.Advice == "" {
		return
	}
	level := Notice
	switch {
	case f.Place == hierarchy.Above:
		level = Debug // it matters only where the kernel refuses, and is named then
	case f.Place == hierarchy.Beneath && f.Type != "overlay":
		level = Debug // it hides nothing, and nothing hides it
	}
	text := fmt.Sprintf("%s is mounted at %s (%s)", f.Type, f.Path, f.Place)
	if len(f.Hides) > 0 {
		text += ", where there is " + strings.Join(f.Hides, ", ")
	}
	if len(f.HiddenBy) > 0 {
		text += ", behind " + strings.Join(f.HiddenBy, ", ")
	}
	r.opts.log(level, text+": "+f.Advice+".")
}

// foreignNow is for Status: it has no layers to look into, so it looks into the
// candidates that have the names of what is merged.
func (r *run) foreignNow(s *hierarchy.Status, table []mount.Mount) error {
	list, err := hierarchy.Foreigners(s.Real, r.opts.Class, table)
	if err != nil {
		return err
	}
	for i := range list {
		f := &list[i]
		if (f.Place == hierarchy.Below || f.Upper != "") && s.Merged && r.opts.Images != nil {
			if err := r.meetCandidates(s, f); err != nil {
				return err
			}
		}
		f.Advice = advice(*f, r.opts.Submounts)
	}
	s.Foreign = list
	return nil
}

func (r *run) meetCandidates(s *hierarchy.Status, f *hierarchy.Foreign) error {
	if r.candidates == nil {
		if err := r.listCandidates(); err != nil {
			return err
		}
	}
	path := s.Path + strings.TrimPrefix(f.Path, s.Real)
	for _, c := range r.candidates {
		if c.Fault == nil && slices.Contains(s.Extensions, c.Name) {
			lookInto(c, path, func(files fs.FS) { meet(f, s.Path, s.Real, c.Name, files) })
		}
	}
	return nil
}

// lookInto shows what a candidate has at a path, without mounting it. What cannot
// be read that way is passed over.
func lookInto(c discover.Candidate, path string, show func(fs.FS)) {
	if !c.Kind.Image() {
		if resolved, err := inroot.Resolve(c.Path, path); err == nil {
			show(os.DirFS(inroot.Join(c.Path, resolved)))
		}
		return
	}
	m, err := image.Open(c.Path)
	if err != nil {
		return
	}
	defer m.Close()
	for _, v := range m.Volumes() {
		inside := strings.TrimPrefix(path, "/")
		if v.Role() == dps.Usr {
			inside = strings.TrimPrefix(strings.TrimPrefix(inside, "usr"), "/")
		}
		files, _, err := m.FileSystem(v.Data)
		if err != nil {
			continue
		}
		if below, err := fs.Sub(files, cmp.Or(inside, ".")); err == nil && exists(files, cmp.Or(inside, ".")) {
			show(below)
		}
	}
}

func exists(files fs.FS, path string) bool {
	_, err := fs.Stat(files, path)
	return !errors.Is(err, fs.ErrNotExist)
}
