package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Action is what a preset says of a unit (systemd.preset(5)).
type Action int

// The actions. A unit that no preset names is enabled by preset-all.
const (
	PresetNone Action = iota
	PresetEnable
	PresetDisable
	PresetIgnore // since 254
)

// ignoreRelease brought "ignore".
const ignoreRelease = 254

// Presets are the rules of all preset files, in the order in which they are
// asked: the first that names a unit decides.
type Presets []presetRule

type presetRule struct {
	action    Action
	pattern   string
	glob      *regexp.Regexp
	instances []string // of a template, to enable
}

// presetDirs are where preset files are; of two with one name the first
// counts.
func presetDirs() []string {
	return []string{
		"/etc/systemd/system-preset", "/run/systemd/system-preset",
		"/usr/local/lib/systemd/system-preset", "/usr/lib/systemd/system-preset", "/lib/systemd/system-preset",
	}
}

// Presets reads the preset files of the root.
func (s System) Presets() (Presets, error) {
	o := s.operation()
	files := map[string]string{}
	for _, dir := range presetDirs() {
		list, err := o.root.readDir(dir)
		if err != nil {
			continue // systemd passes such a directory over
		}
		for _, e := range list {
			if _, seen := files[e.name]; !seen && strings.HasSuffix(e.name, ".preset") {
				files[e.name] = e.path
			}
		}
	}
	var rules Presets
	for _, n := range slices.Sorted(maps.Keys(files)) {
		text, err := o.presetText(files[n])
		if err != nil {
			return nil, err
		}
		rules = append(rules, o.parsePresets(text)...)
	}
	return rules, nil
}

// presetText returns the content of a preset file; a link to /dev/null or to
// nowhere has none.
func (o *operation) presetText(p string) (string, error) {
	resolved, exists, err := o.root.chase(p, true)
	if err != nil || !exists || resolved == "/dev/null" {
		return "", ignoreMissing(err)
	}
	return o.text(p)
}

// parsePresets reads the lines of a file. Others than these are passed over
// (read_presets).
func (o *operation) parsePresets(text string) Presets {
	var rules Presets
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.IndexByte("#;", fields[0][0]) >= 0 {
			continue
		}
		r := presetRule{pattern: strings.Join(fields[1:], " ")}
		switch fields[0] {
		case "enable":
			r.action, r.pattern, r.instances = PresetEnable, fields[1], fields[2:]
			if len(r.instances) > 0 && classify(r.pattern) != template {
				continue
			}
		case "disable":
			r.action = PresetDisable
		case "ignore":
			r.action = PresetIgnore
		}
		if r.action == PresetNone || r.action == PresetIgnore && !o.since(ignoreRelease) {
			continue
		}
		r.glob = globPattern(r.pattern)
		rules = append(rules, r)
	}
	return rules
}

// globPattern translates a pattern of fnmatch(3) without escapes.
func globPattern(glob string) *regexp.Regexp {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		case '[':
			class, n := bracket(glob[i:])
			b.WriteString(class)
			i += n - 1
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	re, err := regexp.Compile("^(?s:" + b.String() + ")$")
	if err != nil {
		re = regexp.MustCompile("^" + regexp.QuoteMeta(glob) + "$") // [z-a] matches nothing but itself
	}
	return re
}

// bracket translates the bracket expression at the start of glob, and tells its
// length. One without an end is a bracket like any other character.
func bracket(glob string) (class string, n int) {
	body, not := glob[1:], ""
	if body != "" && (body[0] == '!' || body[0] == '^') {
		body, not = body[1:], "^"
	}
	end := strings.IndexByte(body[min(1, len(body)):], ']')
	if end < 0 {
		return `\[`, 1
	}
	inner := body[:end+min(1, len(body))]
	quoted := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(inner)
	return "[" + not + quoted + "]", len(glob) - len(body) + len(inner) + 1
}

// Action returns what the presets say of a unit, and, of a template that is to
// be enabled, as which instances.
func (p Presets) Action(unit string) (action Action, instances []string) {
	t, _ := templateOf(unit)
	for _, r := range p {
		if len(r.instances) > 0 && r.pattern == t {
			if classify(unit) == template {
				return r.action, r.instances
			}
			if slices.Contains(r.instances, instanceOf(unit)) {
				return r.action, nil
			}
		}
		if r.glob.MatchString(unit) {
			return r.action, nil
		}
	}
	return PresetNone, nil
}

// FirstBoot reports whether systemd will take the next boot for the first one,
// and apply the presets of all units: where /etc/machine-id does not exist, or
// says "uninitialized". An empty file stands for a system that gets a new ID
// at each boot, or later; it is no first boot (machine-id(5)).
func (s System) FirstBoot() (bool, error) {
	line, err := s.operation().firstLine("/etc/machine-id")
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return strings.TrimSpace(line) == "uninitialized", err
}

// PresetPath is the preset file for what was enabled and disabled. Its name
// comes before those of distributions, so its rules decide.
const PresetPath = "/etc/systemd/system-preset/00-sextant.preset"

// PresetFile returns the content of a preset file with which the presets of the
// root do not undo that the units are enabled and disabled, and nil where they
// would not. The units are those of Changes.Units. At a first boot the presets
// of all units are applied: what they disable loses its links if systemd was
// built with first-boot-full-preset (as Fedora's), and what they enable, or do
// not name, gets its links in any case.
func (s System) PresetFile(enabled, disabled []string) ([]byte, error) {
	presets, err := s.Presets()
	if err != nil {
		return nil, err
	}
	lines := append(presets.keepDisabled(disabled), presets.keepEnabled(enabled)...)
	if len(lines) == 0 {
		return nil, nil
	}
	head := "# What was enabled and disabled when the image was made.\n"
	return []byte(head + strings.Join(lines, "\n") + "\n"), nil
}

// keepEnabled returns the rules that the enabled units need. Instances have no
// file of their own, so the rule for their template decides on them.
func (p Presets) keepEnabled(units []string) []string {
	var lines []string
	instances := map[string][]string{}
	for _, u := range units {
		t, isInstance := templateOf(u)
		if isInstance && classify(u) == instance {
			instances[t] = append(instances[t], instanceOf(u))
			continue
		}
		if action, _ := p.Action(u); action == PresetDisable {
			lines = append(lines, "enable "+u)
		}
	}
	for _, t := range slices.Sorted(maps.Keys(instances)) {
		action, listed := p.Action(t)
		all := slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(listed), instances[t]...))))
		if action == PresetDisable || len(listed) > 0 && len(all) > len(listed) {
			lines = append(lines, fmt.Sprintf("enable %s %s", t, strings.Join(all, " ")))
		}
	}
	return lines
}

// keepDisabled returns the rules that the disabled units need.
func (p Presets) keepDisabled(units []string) []string {
	var lines []string
	for _, u := range units {
		if classify(u) != instance {
			if action, _ := p.Action(u); action == PresetEnable || action == PresetNone {
				lines = append(lines, "disable "+u)
			}
			continue
		}
		t, _ := templateOf(u)
		_, listed := p.Action(t)
		if i := slices.Index(listed, instanceOf(u)); i >= 0 && len(listed) > 1 {
			rest := slices.Delete(slices.Clone(listed), i, i+1)
			lines = append(lines, fmt.Sprintf("enable %s %s", t, strings.Join(rest, " ")))
		} else if i >= 0 {
			lines = append(lines, "disable "+t)
		}
	}
	return lines
}

// sysextPackage returns which package of the operating system has
// systemd-sysext.service, by the ID of os-release. Debian's packages of 12, 13
// and sid were looked at, and the file lists of Fedora's and Azure Linux's
// package.
func sysextPackage(id string) string {
	if id == "openmandriva" {
		return "systemd-sysext"
	}
	return "systemd"
}

// SysextHelp returns which package brings systemd-sysext.service to the root,
// for a message that the unit is missing.
func (s System) SysextHelp() string {
	o := s.operation()
	id, err := o.osRelease("ID")
	if err != nil || id == "" {
		id = "the system"
	}
	if s.Systemd > 0 && s.Systemd < 248 {
		return fmt.Sprintf("systemd-sysext came with systemd 248, and this is systemd %d: take a newer release of %s", s.Systemd, id)
	}
	return fmt.Sprintf("systemd-sysext.service is in the package %s of %s: install it in the base", sysextPackage(id), id)
}
