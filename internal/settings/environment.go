package settings

import (
	"fmt"
	"path"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/merge"
)

// Warning is a line for the log, in systemd's words where it says the same.
type Warning struct {
	Level merge.Level
	Text  string
}

// Environment is what os.Environ returns.
type Environment []string

// Lookup returns the value of a variable, the last one where there are several.
func (e Environment) Lookup(name string) (value string, ok bool) {
	for i := len(e) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(e[i], name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// variable returns the name of a variable of a class: SYSTEMD_SYSEXT_name.
func variable(class extension.Class, name string) string {
	return "SYSTEMD_" + class.Prefix() + "_" + name
}

// BadHierarchy is a directory of an environment variable that nothing can be
// merged into.
type BadHierarchy struct {
	Class    extension.Class
	Variable string
	Path     string
}

// Error names the variable and the directory.
func (b *BadHierarchy) Error() string {
	return fmt.Sprintf("$%s: %q is no absolute and clean path below /", b.Variable, b.Path)
}

// Hierarchies returns the directories that are merged into: what the
// environment says, or those of the class. The error is a *BadHierarchy.
func (e Environment) Hierarchies(class extension.Class) ([]string, error) {
	name := variable(class, "HIERARCHIES")
	text, ok := e.Lookup(name)
	if !ok {
		return class.Hierarchies(), nil
	}
	list := strings.Split(text, ":")
	for _, dir := range list {
		if clean := path.Clean(dir); !path.IsAbs(dir) || clean == "/" || clean != strings.TrimRight(dir, "/") {
			return nil, &BadHierarchy{class, name, dir}
		}
	}
	return list, nil
}

// Settings returns what the environment says about a class.
func (e Environment) Settings(class extension.Class) (s Settings, warnings []Warning) {
	name := variable(class, "MUTABLE_MODE")
	if text, ok := e.Lookup(name); ok {
		if mode, ok := ParseMutable(text); ok {
			s.Mutable = &mode
		} else {
			warnings = append(warnings, Warning{merge.Warning, "Failed to parse " + name + " environment variable value '" + text + "'. Ignoring."})
		}
	}
	if text, ok := e.Lookup(variable(class, "OVERLAYFS_MOUNT_OPTIONS")); ok {
		s.MountOptions = &text
	}
	if text, ok := e.Lookup("SEXTANT_REQUIRE_SIGNED"); ok {
		// What cannot be read must not make the rule weaker.
		value, ok := ParseBool(text)
		value = value || !ok
		s.RequireSigned = &value
	}
	return s, warnings
}

// Verity returns how images are opened. What is no boolean counts as not set,
// but for the userspace check, which is then refused, all as in systemd.
func (e Environment) Verity(kernel CommandLine) merge.Verity {
	v := merge.Verity{
		NoSidecar:   e.off("SYSTEMD_DISSECT_VERITY_SIDECAR"),
		NoEmbedded:  e.off("SYSTEMD_DISSECT_VERITY_EMBEDDED"),
		NoGuess:     e.off("SYSTEMD_DISSECT_VERITY_GUESS"),
		NoSignature: e.off("SYSTEMD_DISSECT_VERITY_SIGNATURE"),
		NoSharing:   e.off("SYSTEMD_VERITY_SHARING"),
		NoUserspace: !kernel.Bool("systemd.allow_userspace_verity", true, false),
	}
	if text, ok := e.Lookup("SYSTEMD_ALLOW_USERSPACE_VERITY"); ok {
		if allowed, _ := ParseBool(text); !allowed {
			v.NoUserspace = true
		}
	}
	if text, ok := e.Lookup("SYSTEMD_DISSECT_VERITY_TIMEOUT_SEC"); ok {
		if span, ok := parseSpan(text); ok {
			v.Timeout = span
		}
	}
	if text, ok := e.Lookup("SYSTEMD_DISSECT_FILE_SYSTEMS"); ok {
		v.FileSystems = strings.FieldsFunc(text, func(r rune) bool { return r == ':' })
		if v.FileSystems == nil {
			v.FileSystems = []string{}
		}
	}
	return v
}

// off reports whether a variable is there and false.
func (e Environment) off(name string) bool {
	text, ok := e.Lookup(name)
	if !ok {
		return false
	}
	value, ok := ParseBool(text)
	return ok && !value
}

// OSRelease returns the os-release file of the host that shall count, below the
// root, or "" for the usual one.
func (e Environment) OSRelease() string {
	text, _ := e.Lookup("SYSTEMD_OS_RELEASE")
	return text
}
