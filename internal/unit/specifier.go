package unit

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"sextant/internal/extension"
)

// expand replaces the specifiers of [Install] in text (install_name_printf,
// specifier_printf).
func (o *operation) expand(f *unitFile, text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		value, err := o.specifier(f, text[i])
		if err != nil {
			return "", fmt.Errorf("%s: %w", text, err)
		}
		b.WriteString(value)
	}
	if b.Len() > maxName {
		return "", fmt.Errorf("%s is longer than %d bytes", text, maxName)
	}
	return b.String(), nil
}

// osFields are the specifiers for what os-release says.
func osFields(c byte) string {
	return map[byte]string{
		'A': "IMAGE_VERSION", 'B': "BUILD_ID", 'M': "IMAGE_ID", 'o': "ID", 'w': "VERSION_ID", 'W': "VARIANT_ID",
	}[c]
}

func (o *operation) specifier(f *unitFile, c byte) (string, error) {
	switch c {
	case '%':
		return "%", nil
	case 'i', 'j', 'n', 'N', 'p':
		return f.specifier(c), nil
	case 'g', 'u':
		return "root", nil
	case 'G', 'U':
		return "0", nil
	case 'm':
		return o.machineID()
	case 'a':
		if o.system.Architecture == "" {
			return "", errors.New("%a: the architecture is not known")
		}
		return o.system.Architecture, nil
	case 'b', 'H', 'l', 'q', 'v':
		return "", fmt.Errorf("%%%c is known only where the system runs", c)
	}
	if key := osFields(c); key != "" {
		value, err := o.osRelease(key)
		if err != nil {
			err = fmt.Errorf("%%%c: %v", c, err)
		}
		return value, err
	}
	if strings.IndexByte(alphanumerical, c) >= 0 {
		return "", fmt.Errorf("%%%c is no specifier of [Install]", c)
	}
	return "%" + string(c), nil
}

// specifier returns the parts of the unit's own name.
func (f *unitFile) specifier(c byte) string {
	full := f.name
	if classify(full) == template && f.defaultInstance != "" {
		if c == 'n' || c == 'N' {
			full = strings.Replace(full, "@.", "@"+f.defaultInstance+".", 1)
		} else if c == 'i' {
			return f.defaultInstance
		}
	}
	switch c {
	case 'i':
		return instanceOf(full)
	case 'j':
		prefix := prefixOf(full)
		return prefix[strings.LastIndexByte(prefix, '-')+1:]
	case 'N':
		return stem(full)
	case 'p':
		return prefixOf(full)
	}
	return full
}

// machineID returns the ID that the root file system has already
// (id128_get_machine).
func (o *operation) machineID() (string, error) {
	text, err := o.firstLine("/etc/machine-id")
	if err != nil {
		return "", fmt.Errorf("%%m: %v", err) // a unit is not missing because this file is
	}
	id := strings.ReplaceAll(text, "-", "")
	if len(id) != 32 || !only(id, "0123456789abcdefABCDEF") || strings.Trim(id, "0") == "" {
		return "", errors.New("%m: the machine ID is made at the first boot")
	}
	return strings.ToLower(id), nil
}

// firstLine returns the first line of the file at p.
func (o *operation) firstLine(p string) (string, error) {
	text, err := o.text(p)
	line, _, _ := strings.Cut(text, "\n")
	return line, err
}

// text returns the content of the file at p, following links.
func (o *operation) text(p string) (string, error) {
	resolved, exists, err := o.root.chase(p, true)
	if err == nil && !exists {
		err = fmt.Errorf("%s: %w", p, fs.ErrNotExist)
	}
	if err != nil {
		return "", err
	}
	mode, err := o.root.mode(resolved)
	if err == nil && !mode.IsRegular() {
		err = fmt.Errorf("%s is not a regular file", p)
	}
	if err != nil {
		return "", err
	}
	return o.root.readFile(resolved)
}

// osRelease returns what the root's os-release sets key to, empty if it does
// not.
func (o *operation) osRelease(key string) (string, error) {
	release, err := extension.ReadOS(func(path string) ([]byte, error) {
		text, err := o.text(path)
		return []byte(text), err
	})
	if err != nil {
		return "", err
	}
	return release.Value(key), nil
}
