package config

import (
	"path/filepath"
	"strings"
	"unicode/utf8"

	"sextant/internal/ini"
)

// specifiers replaces the specifiers in the value of a key of the file at
// path. One that stands for a setting without a value disappears, with a
// warning.
func (l *loader) specifiers(key ini.Key, path, dir string) (string, error) {
	before, rest, found := strings.Cut(key.Value, "%")
	if !found {
		return key.Value, nil
	}
	var b strings.Builder
	for found {
		b.WriteString(before)
		if rest == "" { // a lone % at the end stands for itself
			b.WriteByte('%')
			break
		}
		c, length := utf8.DecodeRuneInString(rest)
		value, err := l.specifier(c, key, path, dir)
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		before, rest, found = strings.Cut(rest[length:], "%")
	}
	if !found {
		b.WriteString(before)
	}
	return b.String(), nil
}

// specifier returns what stands for %c.
func (l *loader) specifier(c rune, key ini.Key, path, dir string) (string, error) {
	switch c {
	case '%':
		return "%", nil
	case 'C':
		real, err := filepath.EvalSymlinks(path)
		return filepath.Dir(real), err
	case 'P':
		return dir, nil
	case 'D':
		return l.dir, nil
	case 'I':
		return "main", nil
	case 'F':
		name, err := l.value("Distribution")
		return distributions()[name].filesystem, err
	}
	setting := map[rune]string{
		'd': "Distribution", 'r': "Release", 'a': "Architecture", 't': "Format",
		'o': "Output", 'O': "OutputDirectory", 'i': "ImageId", 'v': "ImageVersion",
	}[c]
	if setting == "" {
		return "", ini.Faultf(key.At, "write %% for a percent sign; the specifiers are %d %r %a %t %o %O %i %v %C %P %D %F %I",
			"%s=%s: unknown specifier %%%c", key.Name, clip(key.Value), c)
	}
	value, err := l.value(setting)
	if err == nil && value == "" && setting != "Release" {
		l.warn(key.At, "", "%s=%s: %s= has no value yet, %%%c becomes nothing", key.Name, clip(key.Value), setting, c)
	}
	return value, err
}

// value returns the text of the setting as far as it has been read.
func (l *loader) value(name string) (string, error) {
	items, err := l.values(l.byName[name])
	if err != nil || len(items) == 0 {
		return "", err
	}
	return items[len(items)-1].text, nil
}
