package discover

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"sextant/internal/extension"
	"sextant/internal/inroot"
	"sextant/internal/linux/subvolume"
)

// skipped is why an entry is no candidate.
type skipped struct{ reason string }

func (s *skipped) Error() string { return s.reason }

func skip(reason string) error { return &skipped{reason} }

// entry is a name in a directory of the search path.
type entry struct {
	search *search
	path   string // below the root; no link in it but the last name
	file   string // the last name
	strict Trust  // that the directory asks for
}

// candidate returns what the entry is. The error is a *skipped for what systemd
// passes over; the candidate then has its name, where there is one.
func (e *entry) candidate() (Candidate, error) {
	if strings.HasPrefix(e.file, ".sysupdate.") {
		return Candidate{}, skip("an update that is not complete")
	}
	path, found, err := look(e.search.root, e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Candidate{Name: e.name()}, skip("the link leads nowhere")
	}
	if err != nil {
		return Candidate{Name: e.name()}, err
	}
	if stem, ok := strings.CutSuffix(e.file, ".v"); ok && found.IsDir() {
		return e.pick(path, stem)
	}
	name, valid := e.split(found.Mode())
	if !valid {
		return Candidate{}, skip(e.reason(found.Mode()))
	}
	return e.fill(Candidate{Name: name}, path, found)
}

// look follows the link that the last name of path may be, and returns what is
// there and where. No other name of path is a link.
func look(root, path string) (real string, found fs.FileInfo, err error) {
	found, err = os.Lstat(inroot.Join(root, path))
	if err != nil || found.Mode()&fs.ModeSymlink == 0 {
		return path, found, err
	}
	if real, err = inroot.Resolve(root, path); err != nil {
		return "", nil, err
	}
	found, err = os.Lstat(inroot.Join(root, real))
	return real, found, err
}

// name guesses the name where nothing is behind it that could be looked at.
func (e *entry) name() string {
	name, _ := trim(e.file, e.search.class, ".raw", ".mstack", "")
	return name
}

// split returns the name that an inode of this mode has.
func (e *entry) split(mode fs.FileMode) (name string, valid bool) {
	switch class := e.search.class; {
	case mode.IsRegular():
		return trim(e.file, class, ".raw")
	case mode.IsDir():
		return trim(e.file, class, ".mstack", "")
	case block(mode):
		return e.file, nameIsValid(e.file)
	}
	return "", false
}

// reason tells why split found no name.
func (e *entry) reason(mode fs.FileMode) string {
	switch {
	case !mode.IsRegular() && !mode.IsDir() && !block(mode):
		return "neither file, directory nor block device"
	case mode.IsRegular() && !strings.HasSuffix(e.file, ".raw"):
		return "the name does not end in .raw"
	}
	return "not a name for an extension"
}

func block(mode fs.FileMode) bool {
	return mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
}

// trim takes the first suffix that file has off it, then that of the class. It
// reports whether there was one and a name is left.
func trim(file string, class extension.Class, suffixes ...string) (name string, valid bool) {
	for _, suffix := range suffixes {
		if name, ok := strings.CutSuffix(file, suffix); ok {
			name = strings.TrimSuffix(name, "."+class.String())
			return name, nameIsValid(name)
		}
	}
	return "", false
}

func nameIsValid(name string) bool { return extension.CheckImageName(name) == nil }

// fill sets what the inode at path, below the root, says.
func (e *entry) fill(c Candidate, path string, found fs.FileInfo) (Candidate, error) {
	c.Path = inroot.Join(e.search.root, path)
	c.Trust = max(e.strict, e.search.trust(path))
	switch {
	case found.Mode().IsRegular():
		c.Kind, c.Time = Raw, found.ModTime()
		if c.Time.UnixMicro() != 0 {
			return c, nil
		}
	case !found.IsDir():
		c.Kind = Block
		return c, nil
	}
	facts, err := subvolume.Look(c.Path)
	c.Time = facts.Birth
	switch {
	case c.Kind == Raw:
		return c, err
	case strings.HasSuffix(c.Path, ".mstack"):
		c.Kind = Mstack
	case facts.Subvolume:
		c.Kind, c.Time = Subvolume, later(facts.Changed, facts.Birth)
	default:
		c.Kind = Directory
	}
	return c, err
}

// later returns the first time, or the second where the first is not known.
func later(changed, birth time.Time) time.Time {
	if changed.IsZero() {
		return birth
	}
	return changed
}
