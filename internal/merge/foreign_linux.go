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

	"sextant/internal/discover"
	"sextant/internal/dps"
	"sextant/internal/hierarchy"
	"sextant/internal/image"
	"sextant/internal/inroot"
	"sextant/internal/linux/mount"
)

// maxHidden is how many hidden files of one extension are named.
const maxHidden = 10

// findForeign looks for mounts of others that meet the hierarchies, in the
// namespace before our own overlays are taken off there.
func (r *run) findForeign(table []mount.Mount) error {
	for _, s := range r.sites {
		list, err := hierarchy.Foreigners(s.real, r.opts.Class, table)
		if err != nil {
			return err
		}
		s.foreign = list
	}
	return nil
}

// meetForeign finds out which files of which extension the mounts of others hide,
// and decides who wins.
func (r *run) meetForeign() error {
	for _, s := range r.sites {
		err := r.chooseSubmounts(s)
		for i := range s.foreign {
			f := &s.foreign[i]
			f.Advice = advice(*f, r.opts.Submounts)
			switch {
			case f.Place == hierarchy.Beneath:
				for _, p := range s.parts {
					f.HiddenBy = append(f.HiddenBy, hidden(p.Name, s.path, os.DirFS(p.dir), inUpper(*f))...)
				}
			case f.Place == hierarchy.Below && r.opts.Submounts == SubmountsExtension:
				f.Hides, f.HiddenBy = nil, f.Hides
			}
			r.sayForeign(*f)
		}
		r.report.Foreign = append(r.report.Foreign, s.foreign...)
		if err != nil {
			return err
		}
	}
	return nil
}

// everything is for hidden.
func everything(string) bool { return true }

// inUpper returns what tells whether the upper directory of a mount has a file.
// Where it cannot be seen it has none.
func inUpper(f hierarchy.Foreign) func(rel string) bool {
	return func(rel string) bool {
		if f.Upper == "" {
			return false
		}
		found, err := os.Lstat(filepath.Join(f.Upper, rel))
		return err == nil && !found.IsDir()
	}
}

// findHidden finds out what the mounts of others hide, and reports whether one
// that was carried over so far shall give way to extensions.
func (r *run) findHidden() (change bool) {
	for _, s := range r.sites {
		for i := range s.foreign {
			if f := &s.foreign[i]; f.Place == hierarchy.Below {
				r.hide(s, f)
				change = change || r.opts.Submounts == SubmountsExtension && len(f.Hides) > 0
			}
		}
	}
	return change
}

// hide lists what a mount below a hierarchy hides.
func (r *run) hide(s *site, f *hierarchy.Foreign) {
	rel := strings.TrimPrefix(f.Path, s.real)
	for _, l := range r.layers {
		resolved, err := inroot.Resolve(l.dir, s.path+rel)
		if err != nil {
			continue // it has nothing there
		}
		f.Hides = append(f.Hides, hidden(l.Name, s.path+rel, os.DirFS(inroot.Join(l.dir, resolved)), everything)...)
	}
}

// hidden lists the files of one extension below a path that count, as far as they
// are few.
func hidden(name, path string, files fs.FS, counts func(rel string) bool) (list []string) {
	more := 0
	err := fs.WalkDir(files, ".", func(rel string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir() || !counts(rel):
		case len(list) < maxHidden:
			list = append(list, name+": "+filepath.Join(path, rel))
		default:
			more++
		}
		return nil
	})
	if err != nil || more > 0 {
		list = append(list, fmt.Sprintf("%s: %d more below %s", name, more, path))
	}
	return list
}

// chooseSubmounts leaves out the copies of mounts that extensions win against.
func (r *run) chooseSubmounts(s *site) error {
	for _, f := range s.foreign {
		if f.Place != hierarchy.Below || len(f.Hides) == 0 {
			continue
		}
		switch r.opts.Submounts {
		case SubmountsRefuse:
			return fmt.Errorf("%s is mounted at %s, where extensions have files (%s)", f.Type, f.Path, f.Hides[0])
		case SubmountsExtension:
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
	case f.Place == hierarchy.Beneath:
		return "it is the lowest layer of the merge; what is written to its upper directory meanwhile may not show"
	case f.Place == hierarchy.Above:
		return "an overlay on it counts as the second of two that the kernel allows"
	case len(f.Hides) == 0:
		return ""
	case mode == SubmountsExtension:
		return "the extensions win; it is back when they are unmerged"
	}
	return "it wins; --submounts=extension lets the extensions win"
}

func (r *run) sayForeign(f hierarchy.Foreign) {
	if f.Advice == "" {
		return
	}
	level := Notice
	if f.Place == hierarchy.Above {
		level = Debug // it matters only where the kernel refuses, and is named then
	}
	text := fmt.Sprintf("%s is mounted at %s (%s)", f.Type, f.Path, f.Place)
	if names := append(slices.Clone(f.Hides), f.HiddenBy...); len(names) > 0 {
		text += ", where there is " + strings.Join(names, ", ")
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
		if !s.Merged || r.opts.Images == nil {
			continue
		}
		switch f.Place {
		case hierarchy.Below:
			f.Hides, err = r.inCandidates(s, f.Path, everything)
		case hierarchy.Beneath:
			f.HiddenBy, err = r.inCandidates(s, s.Real, inUpper(*f))
		}
		if err != nil {
			return err
		}
	}
	for i := range list {
		list[i].Advice = advice(list[i], r.opts.Submounts)
	}
	s.Foreign = list
	return nil
}

// inCandidates lists the files of what is merged that lie below a path of the
// host and count.
func (r *run) inCandidates(s *hierarchy.Status, below string, counts func(rel string) bool) (list []string, err error) {
	if r.candidates == nil {
		if r.candidates, err = r.opts.Images(); err != nil {
			return nil, err
		}
	}
	path := s.Path + strings.TrimPrefix(below, s.Real)
	for _, c := range r.candidates {
		if c.Fault == nil && slices.Contains(s.Extensions, c.Name) {
			list = append(list, hiddenIn(c, path, counts)...)
		}
	}
	return list, nil
}

// hiddenIn is hidden for a candidate, without mounting it. What cannot be read
// that way is passed over.
func hiddenIn(c discover.Candidate, path string, counts func(rel string) bool) (list []string) {
	if !c.Kind.Image() {
		resolved, err := inroot.Resolve(c.Path, path)
		if err != nil {
			return nil
		}
		return hidden(c.Name, path, os.DirFS(inroot.Join(c.Path, resolved)), counts)
	}
	m, err := image.Open(c.Path)
	if err != nil {
		return nil
	}
	defer m.Close()
	for _, v := range m.Volumes() {
		inside := strings.TrimPrefix(path, "/")
		if v.Role() == dps.Usr {
			inside = cmp.Or(strings.TrimPrefix(strings.TrimPrefix(inside, "usr"), "/"), ".")
		}
		files, _, err := m.FileSystem(v.Data)
		if err != nil {
			continue
		}
		if below, err := fs.Sub(files, inside); err == nil && exists(files, inside) {
			list = append(list, hidden(c.Name, path, below, counts)...)
		}
	}
	return list
}

func exists(files fs.FS, path string) bool {
	_, err := fs.Stat(files, path)
	return !errors.Is(err, fs.ErrNotExist)
}
