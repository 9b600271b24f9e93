package discover

import (
	"cmp"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/inroot"
	"sextant/internal/linux/smallfile"
	"sextant/internal/version"
)

// choice is one file or directory of a .v directory:
//
//	NAME_VERSION[_ARCHITECTURE][+LEFT[-DONE]].raw
//
// LEFT and DONE count the attempts to boot with it.
type choice struct {
	version      string
	architecture dps.Architecture // empty where none or an unknown one is named
	left, done   uint32           // uncounted where not named
}

const uncounted = math.MaxUint32

// parseChoice splits the name of a file of which prefix and suffix are known.
func parseChoice(file, prefix, suffix string) (c choice, ok bool) {
	rest, ok := strings.CutPrefix(file, prefix+"_")
	if !ok {
		return c, false
	}
	if rest, ok = strings.CutSuffix(rest, suffix); !ok {
		return c, false
	}
	c = choice{left: uncounted, done: uncounted}
	if at := strings.LastIndexByte(rest, '+'); at >= 0 {
		if left, done, counted := parseTries(rest[at+1:]); counted {
			c.left, c.done, rest = left, done, rest[:at]
		}
	}
	if at := strings.LastIndexByte(rest, '_'); at >= 0 {
		c.architecture, rest = architecture(rest[at+1:]), rest[:at]
	}
	c.version = rest
	return c, versionIsValid(rest) && c.runsHere()
}

// architecture returns the one that systemd calls name. Any other word counts
// for none, and fits everywhere.
func architecture(name string) dps.Architecture {
	for _, a := range dps.Architectures() {
		if string(a) == name {
			return a
		}
	}
	return ""
}

// runsHere reports whether the choice is for this machine, as far as it says.
func (c choice) runsHere() bool {
	secondary, has := dps.Native().Secondary()
	return c.architecture == "" || c.architecture == dps.Native() || has && c.architecture == secondary
}

// parseTries reads LEFT or LEFT-DONE.
func parseTries(text string) (left, done uint32, ok bool) {
	before, after, both := strings.Cut(text, "-")
	if !both {
		after = "0"
	}
	left, ok = count(before)
	if !ok {
		return 0, 0, false
	}
	done, ok = count(after)
	return left, done, ok
}

func count(text string) (uint32, bool) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}

// versionIsValid takes what UAPI.10 allows in a version.
func versionIsValid(text string) bool {
	const marks = "-.~^"
	for _, c := range []byte(text) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune(marks, rune(c)) {
			return false
		}
	}
	return text != ""
}

// compare orders choices, the best last.
func (c choice) compare(d choice) int {
	secondary, _ := dps.Native().Secondary()
	return cmp.Or(
		compareBool(c.left != 0, d.left != 0),
		version.Compare(c.version, d.version),
		compareBool(c.architecture == dps.Native(), d.architecture == dps.Native()),
		compareBool(secondary != "" && c.architecture == secondary, secondary != "" && d.architecture == secondary),
		cmp.Compare(c.left, d.left),
		cmp.Compare(d.done, c.done),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// pick returns the candidate that the .v directory dir stands for; stem is
// its name without .v.
func (e *entry) pick(dir, stem string) (Candidate, error) {
	class := e.search.class
	suffix := ""
	for _, s := range []string{".raw", ".mstack"} {
		if strings.HasSuffix(stem, s) {
			suffix = s
			break
		}
	}
	name, valid := trim(stem, class, suffix)
	if !valid {
		return Candidate{}, skip("not a name for a directory of versions")
	}
	c := Candidate{Name: name}
	names, err := smallfile.Names(inroot.Join(e.search.root, dir))
	if err != nil {
		return c, skip(err.Error())
	}
	// What is left of the stem is the suffix that every choice must have.
	choices, err := e.choices(dir, names, name, strings.TrimPrefix(stem, name), suffix == ".raw")
	if err != nil {
		return c, err
	}
	picked, err := best(choices)
	if err != nil {
		return c, err
	}
	c.Version = picked.version
	return e.fill(c, picked.path, picked.found)
}

// pinned is a choice with what is behind its name.
type pinned struct {
	choice
	path  string // below the root, without links
	found fs.FileInfo
}

// choices returns what may be picked of the directory dir. As in systemd,
// one that cannot be looked at spoils the directory: it may be the newest.
func (e *entry) choices(dir string, names []string, prefix, suffix string, image bool) ([]pinned, error) {
	var list []pinned
	for _, name := range names {
		c, ok := parseChoice(name, prefix, suffix)
		if !ok {
			continue
		}
		real, found, err := look(e.search.root, dir+"/"+name)
		if err != nil {
			return nil, skip(err.Error())
		}
		mode := found.Mode()
		if image && (mode.IsRegular() || block(mode)) || !image && mode.IsDir() {
			list = append(list, pinned{c, real, found})
		}
	}
	return list, nil
}

// best returns the choice that is picked. Of equals it is the last by name,
// that of the file behind a link.
func best(list []pinned) (pinned, error) {
	if len(list) == 0 {
		return pinned{}, skip("none of the versions in it fits")
	}
	return slices.MaxFunc(list, func(a, b pinned) int {
		return cmp.Or(a.compare(b.choice), strings.Compare(path.Base(a.path), path.Base(b.path)), strings.Compare(a.path, b.path))
	}), nil
}
