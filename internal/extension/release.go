package extension

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Identity is what a build says about its extension.
type Identity struct {
	Class        Class
	ID           string // ImageId=
	Version      string // ImageVersion=, may be empty
	Scope        string // SYSEXT_SCOPE or CONFEXT_SCOPE, empty for the default
	Architecture string // systemd's name: x86-64, arm64 …
}

// DefaultScope is the scope that mkosi writes when none is asked for.
const DefaultScope = "initrd system portable"

// ComposeRelease returns the extension-release file for an extension. What the
// user wrote stays as it is; keys that it lacks are added behind it, in the
// order and form in which mkosi 27 writes them (mkosi/__init__.py,
// configure_extension_release). The values of ID, level and VERSION_ID come
// from the os-release of the tree, if it has one.
func ComposeRelease(id Identity, user []byte, osRelease Release) ([]byte, error) {
	have, err := ParseRelease(user)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Write(user)
	if len(user) > 0 && user[len(user)-1] != '\n' {
		out.WriteByte('\n')
	}
	for _, f := range defaults(id, osRelease) {
		if _, ok := have.Lookup(f.Key); !ok && f.Value != "" {
			fmt.Fprintf(&out, "%s=%s\n", f.Key, f.Value)
		}
	}
	return out.Bytes(), nil
}

func defaults(id Identity, osRelease Release) []Field {
	prefix := id.Class.Prefix()
	osID, ok := osRelease.Lookup("ID")
	if !ok {
		osID = Any
	}
	scope := id.Scope
	if scope == "" {
		scope = DefaultScope
	}
	return []Field{
		{Key: "ID", Value: osID},
		{Key: prefix + "_LEVEL", Value: osRelease.Value(prefix + "_LEVEL")},
		{Key: "VERSION_ID", Value: osRelease.Value("VERSION_ID")},
		{Key: prefix + "_ID", Value: id.ID},
		{Key: prefix + "_VERSION_ID", Value: id.Version},
		{Key: prefix + "_SCOPE", Value: scope},
		{Key: "ARCHITECTURE", Value: id.Architecture},
	}
}

// Any is the value of ID or ARCHITECTURE that fits every host.
const Any = "_any"

// CheckRelease returns what would keep an extension with this release file
// from merging on every host, or would make it merge where its author cannot
// have meant it to. The architecture is the one that the image is built for.
func CheckRelease(class Class, release Release, architecture string) error {
	if release.Value("ID") == "" {
		return errors.New("ID is empty, so no host would take the extension")
	}
	arch := release.Value("ARCHITECTURE")
	if arch != "" && arch != Any && arch != architecture {
		return fmt.Errorf("ARCHITECTURE=%s, but the image is built for %s", arch, architecture)
	}
	return checkScope(class.Prefix()+"_SCOPE", release)
}

func checkScope(key string, release Release) error {
	value, ok := release.Lookup(key)
	if !ok {
		return nil
	}
	scopes := strings.Fields(value)
	if len(scopes) == 0 {
		return fmt.Errorf("%s is empty, so the extension would merge nowhere", key)
	}
	for _, s := range scopes {
		if s != "system" && s != "initrd" && s != "portable" {
			return fmt.Errorf("%s=%s: %q is none of system, initrd, portable", key, value, s)
		}
	}
	return nil
}

// CheckName returns an error unless systemd would take name as the name of an
// extension image, with a release file of the same name.
func CheckName(name string) error {
	if err := CheckImageName(name); err != nil {
		return err
	}
	if n := len(ReleasePrefix) + len(name); n > 255 {
		return fmt.Errorf("image name %.20q… has %d bytes, its release file can hold %d", name, len(name), 255-len(ReleasePrefix))
	}
	return nil
}

// CheckImageName is CheckName for an image whose release file may have a shorter
// name (src/shared/discover-image.c, image_name_is_valid).
func CheckImageName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("image name %q is reserved", name)
	case !utf8.ValidString(name):
		return fmt.Errorf("image name %q is not UTF-8", name)
	case strings.ContainsFunc(name, isControl):
		return fmt.Errorf("image name %q contains a control character", name)
	case strings.Contains(name, "/"):
		return fmt.Errorf("image name %q contains a slash", name)
	case strings.HasPrefix(name, ".#"):
		return fmt.Errorf("image name %q starts with .#, which systemd skips", name)
	case strings.HasPrefix(name, ".sysupdate."):
		return fmt.Errorf("image name %q starts with .sysupdate., which systemd skips", name)
	}
	return nil
}

// isControl reports whether r is a control character of ASCII. Systemd takes
// those beyond.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }
