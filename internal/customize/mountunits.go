package customize

import (
	"path"
	"strings"

	"sextant/internal/fstab"
	"sextant/internal/ini"
	"sextant/internal/sysroot"
)

// readMountUnits reads the units that are mounted with the local file systems
// (systemd.mount(5)), in the form of lines of fstab. A unit that cannot be read
// is passed over, as systemd does.
func (b *Base) readMountUnits() error {
	root, err := b.Root()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, dir := range unitDirs() {
		for _, how := range []string{".wants", ".requires"} {
			entries, err := root.ReadDir(path.Join(dir, "local-fs.target"+how))
			if err != nil {
				continue
			}
			for _, e := range entries {
				if seen[e.Name()] || !strings.HasSuffix(e.Name(), ".mount") {
					continue
				}
				seen[e.Name()] = true
				if line, ok := mountUnit(root, e.Name()); ok {
					b.units = append(b.units, line)
				}
			}
		}
	}
	return nil
}

// unitDirs are where units are, the first of a name counts.
func unitDirs() []string { return []string{"etc/systemd/system", "usr/lib/systemd/system"} }

// mountUnit reads the unit of a name. One that is masked is not ok.
func mountUnit(root *sysroot.Root, name string) (line fstab.Entry, ok bool) {
	for _, dir := range unitDirs() {
		text, err := root.ReadFile(path.Join(dir, name))
		if missing(err) {
			if target, err := root.ReadLink(path.Join(dir, name)); err == nil && target == "/dev/null" {
				return line, false
			}
			continue
		}
		sections, err := ini.Parse(ini.Systemd, name, text)
		if err != nil {
			return line, false
		}
		for _, s := range sections {
			if s.Name == "Mount" {
				fill(&line, s.Keys)
			}
		}
		return line, strings.HasPrefix(line.Target, "/") && line.Source != ""
	}
	return line, false
}

func fill(line *fstab.Entry, keys []ini.Key) {
	for _, k := range keys {
		switch k.Name {
		case "What":
			line.Source = k.Value
		case "Where":
			line.Target = path.Clean(k.Value)
		case "Type":
			line.Type = k.Value
		case "Options":
			line.Options = strings.Split(k.Value, ",")
		}
	}
}

// lines returns what is mounted by fstab, and by units where fstab does not
// have the directory.
func (b *Base) lines() []fstab.Entry {
	list := append([]fstab.Entry{}, b.Fstab...)
	for _, u := range b.units {
		if !b.inFstab(u.Target) {
			list = append(list, u)
		}
	}
	return list
}
