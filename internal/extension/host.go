package extension

import (
	"fmt"
	"slices"
	"strings"
)

// Scope is where extensions are merged.
type Scope string

// The scopes that SYSEXT_SCOPE and CONFEXT_SCOPE can list. A root file system
// with /etc/initrd-release is an initrd.
const (
	System   Scope = "system"
	Initrd   Scope = "initrd"
	Portable Scope = "portable"
)

// Host is a system that an extension may fit.
type Host struct {
	OS           Release // its os-release
	Architecture string  // systemd's name: x86-64, arm64 …
	Scope        Scope
	Systemd      int // the release of systemd that merges: 252 …
}

// The releases of systemd that brought a rule.
const (
	confextRelease = 254

	// ID_LIKE counts since 258, and in the 257 series since one of its bug fix
	// releases; 257.13 has it.
	idLikeRelease = 257
)

// Fits reports whether the host would merge an extension of the class with
// this release file, and the fact that decides it. The order of the questions
// is systemd's (src/shared/extension-util.c, extension_release_validate).
func (h Host) Fits(class Class, ext Release) (ok bool, reason string) {
	switch {
	case class == Confext && h.Systemd < confextRelease:
		return false, fmt.Sprintf("systemd %d knows no configuration extensions", h.Systemd)
	case h.OS.Value("ID") == "":
		return false, "the host's os-release has no ID"
	case len(ext) == 0:
		return false, "the release file is empty"
	}
	if reason := h.wrongPlace(class, ext); reason != "" {
		return false, reason
	}
	id := ext.Value("ID")
	switch {
	case id == "":
		return false, "the release file has no ID"
	case id == Any:
		return true, "ID=" + Any
	case !slices.Contains(h.ids(), id):
		return false, fmt.Sprintf("ID=%s, the host's is %s", id, strings.Join(h.ids(), " or "))
	}
	return h.fitsVersion(class, ext)
}

// wrongPlace returns why the scope or the architecture keeps the extension
// from the host, and "" if they do not.
func (h Host) wrongPlace(class Class, ext Release) string {
	key := class.Prefix() + "_SCOPE"
	scopes, set := ext.Lookup(key)
	if !set {
		scopes = "system portable"
	}
	if !slices.Contains(strings.Fields(scopes), string(h.Scope)) {
		return fmt.Sprintf("%s=%s has no %s", key, scopes, h.Scope)
	}
	arch := ext.Value("ARCHITECTURE")
	if arch != "" && arch != Any && arch != h.Architecture {
		return fmt.Sprintf("ARCHITECTURE=%s, the host's is %s", arch, h.Architecture)
	}
	return ""
}

// ids returns the names of operating systems that the host goes by.
func (h Host) ids() []string {
	ids := []string{h.OS.Value("ID")}
	if h.Systemd >= idLikeRelease {
		ids = append(ids, strings.Fields(h.OS.Value("ID_LIKE"))...)
	}
	return ids
}

// fitsVersion compares the level, or else the version. They are compared as
// strings; there are no ranges.
func (h Host) fitsVersion(class Class, ext Release) (ok bool, reason string) {
	key := class.Prefix() + "_LEVEL"
	level, version := h.OS.Value(key), h.OS.Value("VERSION_ID")
	switch {
	case level == "" && version == "":
		return true, "the host has no version"
	case level != "" && ext.Value(key) != "":
		return same(key, ext.Value(key), level)
	case version != "":
		return same("VERSION_ID", ext.Value("VERSION_ID"), version)
	}
	// The host has a level only, the extension none: systemd asks no further.
	return true, fmt.Sprintf("the host has only %s=%s, the extension has none", key, level)
}

func same(key, ext, host string) (ok bool, reason string) {
	switch ext {
	case host:
		return true, key + "=" + host
	case "":
		return false, fmt.Sprintf("the release file has no %s, the host's is %s", key, host)
	}
	return false, fmt.Sprintf("%s=%s, the host's is %s", key, ext, host)
}
