package config

import (
	"os"
	"slices"
	"strings"

	"sextant/internal/ini"
	"sextant/internal/version"
)

// ours is the section of settings that mkosi does not have. mkosi passes over
// sections that it does not know.
const ours = "X-Sextant"

// sectionNames are the sections that hold settings.
func sectionNames() []string {
	return []string{"Include", "Config", "Distribution", "Output", "Content", "Validation", "Build", "Runtime", ours}
}

// conditions are the keys of [Match] that can be decided here.
func conditions() []string {
	return []string{"Format", "ImageId", "ImageVersion", "Distribution", "Release", "Architecture", "Environment", "PathExists"}
}

// parse reads a file and refuses what is never taken, whether [Match] holds or
// not: a condition that is not understood must not count as one that holds.
func (l *loader) parse(path string) ([]ini.Section, error) {
	name := l.name(path)
	text, err := ini.ReadFile(path, name)
	if err != nil {
		return nil, err
	}
	sections, err := ini.Parse(ini.Mkosi, name, text)
	if err != nil {
		return nil, err
	}
	for _, s := range sections {
		switch s.Name {
		case "TriggerMatch", "Assert", "TriggerAssert":
			return nil, ini.Faultf(s.At, "use [Match], or a directory for each case", "sextant does not evaluate [%s]", s.Name)
		case "Match":
			for _, k := range s.Keys {
				if !slices.Contains(conditions(), k.Name) {
					return nil, ini.Faultf(k.At, "[Match] takes "+strings.Join(conditions(), ", "),
						"sextant does not evaluate %s= in [Match]", clip(k.Name))
				}
			}
		}
	}
	return sections, nil
}

// matches reports whether all [Match] sections of a file hold.
func (l *loader) matches(sections []ini.Section, path, dir string) (bool, error) {
	holds := true
	for _, s := range sections {
		if s.Name != "Match" {
			continue
		}
		ok, err := l.match(s, path, dir)
		if err != nil {
			return false, err
		}
		holds = holds && ok
	}
	return holds, nil
}

// match evaluates one section: all conditions must hold, and of those that
// start with a pipe one.
func (l *loader) match(s ini.Section, path, dir string) (bool, error) {
	all, one, piped := true, false, false
	for _, k := range s.Keys {
		value, trigger := strings.CutPrefix(k.Value, "|")
		value, negate := strings.CutPrefix(value, "!")
		k.Value = value
		value, err := l.specifiers(k, path, dir)
		if err != nil {
			return false, err
		}
		ok, err := l.condition(k, value, dir)
		if err != nil {
			return false, err
		}
		ok = ok != negate
		if trigger {
			piped, one = true, one || ok
		} else {
			all = all && ok
		}
	}
	return all && (one || !piped), nil
}

// condition evaluates one condition against the values so far.
func (l *loader) condition(k ini.Key, value, dir string) (bool, error) {
	if k.Name == "PathExists" {
		return pathExists(value, dir), nil
	}
	s := l.byName[k.Name]
	items, err := l.values(s)
	if err != nil {
		return false, err
	}
	switch k.Name {
	case "Environment":
		return matchVariable(value, items), nil
	case "Format", "Distribution", "Architecture":
		return l.matchChoice(s, k, value, items)
	}
	if len(items) == 0 {
		return false, nil
	}
	has := items[len(items)-1].text
	switch k.Name {
	case "ImageId":
		return glob(value, has), nil
	case "ImageVersion":
		return matchVersion(value, has), nil
	}
	return value == has, nil
}

// pathExists reports whether a path exists. A relative one starts at dir;
// neither ~ nor variables are replaced.
func pathExists(path, dir string) bool {
	if path == "" {
		return false
	}
	if !strings.HasPrefix(path, "/") {
		path = dir + "/" + path
	}
	_, err := os.Stat(path)
	return err == nil
}

// matchVariable looks for "NAME" or "NAME=value" in Environment=.
func matchVariable(want string, items []item) bool {
	name, value, given := strings.Cut(want, "=")
	found := false
	for _, i := range items {
		if v := i.value.(variable); v.name == name {
			found = !given || v.value == value // a later assignment replaces it
		}
	}
	return found
}

// matchChoice compares a setting that takes one of a list of names.
func (l *loader) matchChoice(s *Setting, k ini.Key, value string, items []item) (bool, error) {
	from := Origin{Kind: FromFile, At: k.At}
	if s.Name == "Architecture" && value == "uefi" {
		has := items[len(items)-1].text
		return slices.Contains([]string{"x86", "x86-64", "arm", "arm64", "riscv32", "riscv64", "loongarch64"}, has), nil
	}
	want, err := s.parse(l.place("/", from), value)
	if err != nil {
		return false, s.fault(from, value, err)
	}
	return len(items) > 0 && items[len(items)-1].text == want.text, nil
}

// matchVersion evaluates a version with an operator before it; none means
// equality.
func matchVersion(want, has string) bool {
	for _, operator := range []string{"==", "!=", "<=", ">=", ">", "<"} {
		wanted, found := strings.CutPrefix(want, operator)
		if !found {
			continue
		}
		order := version.Compare(has, wanted)
		switch operator {
		case "==":
			return order == 0
		case "!=":
			return order != 0
		case "<=":
			return order <= 0
		case ">=":
			return order >= 0
		case ">":
			return order > 0
		}
		return order < 0
	}
	return version.Compare(has, want) == 0
}

// glob reports whether the whole text fits the pattern, as Python's
// fnmatch.fnmatchcase decides: * and ? take any character, also a slash, and
// a bracket that is not closed stands for itself.
func glob(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	star, from := -1, 0 // the last * and where what it took ends
	i, k := 0, 0
	for k < len(t) {
		if i < len(p) && p[i] == '*' {
			star, from = i, k
			i++
			continue
		}
		if n := globOne(p[i:], t[k]); n > 0 {
			i, k = i+n, k+1
			continue
		}
		if star < 0 {
			return false
		}
		from++
		i, k = star+1, from
	}
	return strings.Trim(string(p[i:]), "*") == ""
}

// globOne returns how many characters of the pattern stand for c, or 0 if it
// does not fit.
func globOne(p []rune, c rune) int {
	switch {
	case len(p) == 0:
		return 0
	case p[0] == '?':
		return 1
	case p[0] == '[':
		if n, fits, closed := globSet(p, c); closed {
			if fits {
				return n
			}
			return 0
		}
	}
	if p[0] == c {
		return 1
	}
	return 0
}

// globSet evaluates a set like [a-z] or [!a-z] at the start of the pattern.
func globSet(p []rune, c rune) (length int, fits, closed bool) {
	i := 1
	negate := i < len(p) && p[i] == '!'
	if negate {
		i++
	}
	for first := true; i < len(p) && (first || p[i] != ']'); first = false {
		low, high := p[i], p[i]
		if i+2 < len(p) && p[i+1] == '-' && p[i+2] != ']' {
			high = p[i+2]
			i += 2
		}
		fits = fits || low <= c && c <= high
		i++
	}
	return i + 1, fits != negate, i < len(p)
}
