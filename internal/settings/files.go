package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/ini"
	"sextant/internal/inroot"
	"sextant/internal/merge"
	"sextant/internal/policy"
)

// maxFaults is how many lines of a file may be wrong before it is given up.
const maxFaults = 100

// directories are where configuration lies; the first wins.
func directories() []string { return []string{"/etc", "/run", "/usr/local/lib", "/usr/lib"} }

// Files returns what systemd's files of the system below root say about a class. A file that cannot be taken is an error, and then all of them are
// ignored, as systemd does with its own; the caller says so.
func Files(root string, class extension.Class) (s Settings, warnings []Warning, err error) {
	section := "SysExt"
	if class == extension.Confext {
		section = "ConfExt"
	}
	r := reader{root: root, section: section, key: systemdKey}
	if err := r.exists(); err != nil {
		return Settings{}, r.warnings, err
	}
	if err := r.files("systemd/" + class.String() + ".conf"); err != nil {
		return Settings{}, r.warnings, err
	}
	return r.settings, r.warnings, nil
}

// Own returns what sextant/merge.conf of the system below root says. An error
// must stop a merge: the file may ask for signatures.
func Own(root string) (s Settings, warnings []Warning, err error) {
	r := reader{root: root, section: "Merge", key: ownKey}
	err = r.files("sextant/merge.conf")
	return r.settings, r.warnings, err
}

// reader reads the files of one name.
type reader struct {
	root    string
	section string
	key     func(r *reader, k ini.Key) error

	settings Settings
	warnings []Warning
}

func (r *reader) warn(at ini.Position, format string, args ...any) {
	r.warnings = append(r.warnings, Warning{merge.Warning, at.String() + ": " + fmt.Sprintf(format, args...)})
}

// exists returns an error where there is no root.
func (r *reader) exists() error {
	if r.root == "" {
		return nil
	}
	if _, err := os.Stat(r.root); err != nil {
		text := plain(err)
		r.warnings = append(r.warnings, Warning{merge.Warning, fmt.Sprintf("Failed to open root directory '%s': %s", r.root, text)})
		return errors.New(text)
	}
	return nil
}

// files reads the first file called name and all its drop-ins.
func (r *reader) files(name string) error {
	list, err := r.dropIns(name + ".d")
	if err != nil {
		return err
	}
	for _, dir := range directories() {
		path := dir + "/" + name
		if _, err := inroot.Resolve(r.root, path); err == nil {
			list = slices.Insert(list, 0, path)
			break
		}
	}
	for _, path := range list {
		if err := r.file(path); err != nil {
			return err
		}
	}
	return nil
}

// dropIns returns the *.conf files of the directories called dir, in the order
// of their names. Of one name the first directory has it.
func (r *reader) dropIns(dir string) ([]string, error) {
	first := make(map[string]string)
	for _, top := range directories() {
		path, err := inroot.Resolve(r.root, top+"/"+dir)
		if err != nil {
			continue
		}
		entries, err := os.ReadDir(inroot.Join(r.root, path))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if name := e.Name(); strings.HasSuffix(name, ".conf") && first[name] == "" {
				first[name] = top + "/" + dir + "/" + name
			}
		}
	}
	var list []string
	for _, path := range first {
		list = append(list, path)
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Compare(base(a), base(b)) })
	return list, nil
}

func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// file reads the file at path. One that is /dev/null or empty says nothing,
// which is how one further down is switched off.
func (r *reader) file(path string) error {
	real, err := inroot.Resolve(r.root, path)
	if err != nil || real == "/dev/null" {
		return nil
	}
	shown := inroot.Join(r.root, path)
	text, err := ini.ReadFile(inroot.Join(r.root, real), shown)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	sections, bad, err := r.parse(shown, text)
	if err != nil {
		return err
	}
	return r.take(sections, bad)
}

// take takes the keys of a file, and warns in the order of its lines.
func (r *reader) take(sections []ini.Section, bad []*ini.Fault) error {
	before := func(line int) {
		for len(bad) > 0 && bad[0].At.Line < line {
			r.warn(bad[0].At, "%s", bad[0].Text)
			bad = bad[1:]
		}
	}
	for _, s := range sections {
		before(s.At.Line)
		if s.Name != r.section {
			r.warn(s.At, "Unknown section '%s'. Ignoring.", s.Name)
			continue
		}
		for _, k := range s.Keys {
			before(k.At.Line)
			if err := r.key(r, k); err != nil {
				return err
			}
		}
	}
	before(math.MaxInt)
	return nil
}

// parse drops the lines that are wrong, so that a slip of the pen does not undo
// an image policy. Those that are worth a warning come back.
func (r *reader) parse(name string, text []byte) ([]ini.Section, []*ini.Fault, error) {
	lines := strings.Split(string(text), "\n")
	var bad []*ini.Fault
	for range maxFaults {
		sections, err := ini.Parse(ini.Systemd, name, []byte(strings.Join(lines, "\n")))
		var f *ini.Fault
		if err == nil || !errors.As(err, &f) || f.At.Line < 1 || f.At.Line > len(lines) {
			return sections, bad, err
		}
		line, section := strings.TrimSpace(lines[f.At.Line-1]), sectionAt(lines[:f.At.Line-1])
		switch {
		case strings.HasPrefix(line, "["):
			return nil, bad, err
		case section == "":
			f.Text = "Assignment outside of section. Ignoring."
		default:
			f.Text = "Missing '=', ignoring line."
		}
		if section == "" || section == "["+r.section+"]" {
			bad = append(bad, f)
		}
		lines[f.At.Line-1] = ""
	}
	return nil, bad, fmt.Errorf("%s: more than %d lines are wrong", name, maxFaults)
}

// sectionAt returns the header of the section in which lines end, or "".
func sectionAt(lines []string) string {
	for _, line := range slices.Backward(lines) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "[") {
			return line
		}
	}
	return ""
}

func systemdKey(r *reader, k ini.Key) error {
	switch k.Name {
	case "Mutable":
		mode, ok := ParseMutable(k.Value)
		if !ok {
			r.warn(k.At, "Failed to parse Mutable=%s, ignoring: Invalid argument", k.Value)
			return nil
		}
		r.settings.Mutable = &mode
	case "ImagePolicy":
		return r.policy(k)
	default:
		r.unknown(k)
	}
	return nil
}

func (r *reader) unknown(k ini.Key) {
	r.warn(k.At, "Unknown key '%s' in section [%s], ignoring.", k.Name, r.section)
}

// policy takes a policy, or with an empty text goes back to that of the class.
func (r *reader) policy(k ini.Key) error {
	if k.Value == "" {
		r.settings.Policy = nil
		return nil
	}
	p, passedOver, err := policy.ParseSetting(k.Value)
	if err != nil {
		r.warn(k.At, "Failed to parse image policy, refusing: %s", k.Value)
		r.warn(k.At, "Failed to parse file: Invalid argument")
		return &ruleBroken{k.At, err}
	}
	for _, word := range passedOver {
		r.warnings = append(r.warnings, Warning{merge.Debug, k.At.String() + ": word in image policy is not known, ignoring: " + word})
	}
	r.settings.Policy = &p
	return nil
}

// ruleBroken is a value that makes its file invalid.
type ruleBroken struct {
	at  ini.Position
	err error
}

// Error returns the place and what is wrong there.
func (b *ruleBroken) Error() string { return b.at.String() + ": " + b.err.Error() }

// Unwrap returns what is wrong.
func (b *ruleBroken) Unwrap() error { return b.err }

// Says returns an error of Files as systemd would put it.
func Says(err error) string {
	var broken *ruleBroken
	if errors.As(err, &broken) {
		return "Invalid argument"
	}
	return plain(err)
}

func ownKey(r *reader, k ini.Key) error {
	switch k.Name {
	case "RequireSigned":
		value, ok := ParseBool(k.Value)
		if !ok {
			return ini.Faultf(k.At, "", "RequireSigned=%s is not a boolean", k.Value)
		}
		r.settings.RequireSigned = &value
	case "Submounts":
		value, ok := ParseSubmounts(k.Value)
		if !ok {
			return ini.Faultf(k.At, "", "Submounts=%s is none of keep, extension, refuse", k.Value)
		}
		r.settings.Submounts = &value
	default:
		r.unknown(k)
	}
	return nil
}

// plain returns what the system says, as it writes it.
func plain(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
