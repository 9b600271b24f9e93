package config

import (
	"os"
	"path/filepath"
	"strings"

	"sextant/internal/ini"
)

// companions makes the assignments that files like mkosi.version stand for.
func (l *loader) companions(dir string) error {
	for i := range l.settings {
		s := &l.settings[i]
		found, err := s.find(dir)
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := l.companion(s, path, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loader) companion(s *Setting, path, dir string) error {
	at := ini.Position{File: l.name(path)}
	if s.Effect == Refused {
		return s.refuse(at, s.Name+"=")
	}
	if s.Effect == NoEffect {
		return nil
	}
	p := l.place(dir, Origin{Kind: FromCompanion, At: at})
	text := filepath.Base(path)
	if s.read {
		var err error
		if text, err = content(path, at); err != nil {
			return err
		}
	}
	return l.assign(l.files, s, p, text)
}

// content reads a companion file that holds a value. mkosi runs it if it is
// executable.
func content(path string, at ini.Position) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
		return "", ini.Faultf(at, "write the value into the file and chmod -x it, or pass it as a flag",
			"the file is executable: mkosi would run it, sextant runs nothing")
	}
	text, err := ini.ReadFile(path, at.File)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(string(text), "#!/") {
		return "", ini.Faultf(at, "write the value into the file, or pass it as a flag", "the file is a script, sextant runs nothing")
	}
	return strings.TrimSpace(string(text)), nil
}

// leftOut refuses directories that would make mkosi build something else.
func (l *loader) leftOut(dir string) error {
	for _, d := range []struct{ name, why, instead string }{
		{"mkosi.profiles", "sextant has no profiles", "use mkosi.conf.d/ with [Match] Environment="},
		{"mkosi.images", "sextant builds one image at a time", "run it once for each directory"},
	} {
		if path := filepath.Join(dir, d.name); exists(path) {
			return ini.Faultf(ini.Position{File: l.name(path)}, d.instead, "%s", d.why)
		}
	}
	return nil
}
