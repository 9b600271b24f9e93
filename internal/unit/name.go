package unit

import (
	"fmt"
	"slices"
	"strings"
)

// maxName is the length in bytes that a unit name stays below (UNIT_NAME_MAX).
const maxName = 256

// The bytes of unit names. An @ may stand in front of the instance and in it.
const (
	alphanumerical = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	nameBytes      = alphanumerical + ":-_.\\"
	nameBytesAt    = "@" + nameBytes
)

// kind is what a unit name names; kinds can be combined.
type kind int

const (
	plain    kind = 1 << iota // foo.service
	template                  // foo@.service
	instance                  // foo@bar.service
	invalid  kind = 0
)

// unitTypes are the suffixes of unit names.
func unitTypes() []string {
	return []string{"service", "mount", "swap", "socket", "target", "device", "automount", "timer", "path", "slice", "scope"}
}

// mayAlias tells the types of units that may have other names
// (unit_type_may_alias).
func mayAlias(unitType string) bool {
	return slices.Contains([]string{"service", "socket", "target", "device", "timer", "path"}, unitType)
}

// mayTemplate tells the types of units that may be templates
// (unit_type_may_template).
func mayTemplate(unitType string) bool {
	return slices.Contains([]string{"service", "socket", "target", "timer", "path"}, unitType)
}

// classify returns the kind of name, or invalid (unit_name_is_valid).
func classify(name string) kind {
	dot := strings.LastIndexByte(name, '.')
	if len(name) >= maxName || dot <= 0 || !slices.Contains(unitTypes(), name[dot+1:]) || !only(name[:dot], nameBytesAt) {
		return invalid
	}
	switch at := strings.IndexByte(name, '@'); {
	case at == 0:
		return invalid
	case at < 0:
		return plain
	case at+1 == dot:
		return template
	}
	return instance
}

func valid(name string) bool { return classify(name) != invalid }

// only reports whether s has no other bytes than those of set.
func only(s, set string) bool {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) < 0 {
			return false
		}
	}
	return true
}

// typeOf returns the suffix of a valid name, without the dot.
func typeOf(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// stem returns a valid name without its suffix.
func stem(name string) string { return name[:strings.LastIndexByte(name, '.')] }

// prefixOf returns what stands before the @ or, without one, the stem.
func prefixOf(name string) string {
	prefix, _, _ := strings.Cut(stem(name), "@")
	return prefix
}

// instanceOf returns what stands behind the first @, empty where there is
// none.
func instanceOf(name string) string {
	_, i, _ := strings.Cut(stem(name), "@")
	return i
}

// templateOf returns the template of an instance, or of itself; ok is false
// for other names (unit_name_template).
func templateOf(name string) (string, bool) {
	if classify(name)&(instance|template) == 0 {
		return "", false
	}
	return prefixOf(name) + "@." + typeOf(name), true
}

// withInstance puts another instance into name
// (unit_name_replace_instance).
func withInstance(name, inst string) (string, error) {
	t, ok := templateOf(name)
	if !ok || inst == "" || !only(inst, nameBytesAt) {
		return "", fmt.Errorf("%q is no instance of %s", inst, name)
	}
	full := prefixOf(name) + "@" + inst + "." + typeOf(t)
	if classify(full) != instance {
		return "", fmt.Errorf("%q is no instance of %s", inst, name)
	}
	return full, nil
}

// mangle makes a unit name of what a user typed: a name without the suffix of
// a type is that of a service, and bytes that no name has are escaped
// (unit_name_mangle_with_suffix).
func mangle(typed string) (string, error) {
	if valid(typed) {
		return typed, nil
	}
	var b strings.Builder
	for i := range len(typed) {
		switch c := typed[i]; {
		case c == '/':
			b.WriteByte('-')
		case strings.IndexByte(nameBytesAt, c) < 0:
			fmt.Fprintf(&b, "\\x%02x", c)
		default:
			b.WriteByte(c)
		}
	}
	name := b.String()
	if !valid(name) {
		name += ".service"
	}
	if !valid(name) {
		return "", fmt.Errorf("%q is no name of a unit", typed)
	}
	return name, nil
}
