// Package extension knows what makes a file tree a system extension: its
// class, the extension-release file that says which hosts it fits, and the
// names under which systemd takes it. It is pure; files are read and written
// by others.
//
// Sources: UAPI.4 (Extension Images), os-release(5), systemd-sysext(8), and
// systemd's src/basic/os-util.c and src/shared/extension-util.c.
package extension

import (
	"fmt"
	"strings"
)

// Class is one of the two kinds of extension.
type Class int

// The classes: system extensions overlay /usr and /opt, configuration
// extensions overlay /etc.
const (
	Sysext Class = iota
	Confext
)

// ParseClass returns the class called name: "sysext" or "confext".
func ParseClass(name string) (Class, error) {
	switch name {
	case "sysext":
		return Sysext, nil
	case "confext":
		return Confext, nil
	}
	return 0, fmt.Errorf("%q is neither sysext nor confext", name)
}

// String returns "sysext" or "confext".
func (c Class) String() string {
	if c == Confext {
		return "confext"
	}
	return "sysext"
}

// Prefix returns the first part of the class's keys in extension-release:
// SYSEXT or CONFEXT.
func (c Class) Prefix() string { return strings.ToUpper(c.String()) }

// Hierarchies returns the directories that an extension of the class is
// overlaid on.
func (c Class) Hierarchies() []string {
	if c == Confext {
		return []string{"/etc"}
	}
	return []string{"/usr", "/opt"}
}

// ReleaseDir returns the directory that holds the extension-release file.
func (c Class) ReleaseDir() string {
	if c == Confext {
		return "/etc/extension-release.d"
	}
	return "/usr/lib/extension-release.d"
}

// ReleasePath returns the path of the extension-release file of the extension
// called name.
func (c Class) ReleasePath(name string) string {
	return c.ReleaseDir() + "/" + ReleasePrefix + name
}

// InstallDir returns the directory in which the image of an extension that
// stays on a machine is put.
func (c Class) InstallDir() string {
	if c == Confext {
		return "/var/lib/confexts"
	}
	return "/var/lib/extensions"
}

// ReleasePrefix is what the name of an extension-release file starts with; the
// rest is the name of the extension.
const ReleasePrefix = "extension-release."

// StrictXattr is the extended attribute that, with a false value, lets an
// extension-release file count whatever its name is
// (systemd src/basic/os-util.c, extension_release_strict_xattr_value).
const StrictXattr = "user.extension-release.strict"
