package inspect

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/image"
)

// Metadata is what the files of an image say about it, with systemd's names.
// The release files are in the form KEY=VALUE.
type Metadata struct {
	Hostname       string   `json:"hostname,omitempty"`
	MachineID      string   `json:"machineId,omitempty"`
	MachineInfo    []string `json:"machineInfo,omitempty"`
	OSRelease      []string `json:"osRelease,omitempty"`
	InitrdRelease  []string `json:"initrdRelease,omitempty"`
	SysextRelease  []string `json:"sysextRelease,omitempty"`
	ConfextRelease []string `json:"confextRelease,omitempty"`

	// Releases are all release files of extensions, of which systemd takes
	// one.
	Releases []Release `json:"extensionReleases"`

	hasInit bool
}

// Release is one release file of an extension.
type Release struct {
	Class  string   `json:"class"` // "sysext" or "confext"
	Name   string   `json:"name"`
	Fields []string `json:"fields"`
}

// Uses is what systemd would use the image as.
type Uses struct {
	BootableUEFI           bool `json:"useBootableUefi"`
	BootableContainer      bool `json:"useBootableContainer"`
	Initrd                 bool `json:"useInitrd"`
	PortableService        bool `json:"usePortableService"`
	SystemExtension        bool `json:"useSystemExtension"`
	InitrdSystemExtension  bool `json:"useInitRDSystemExtension"`
	PortableSystemExt      bool `json:"usePortableSystemExtension"`
	ConfigurationExtension bool `json:"useConfigurationExtension"`
	InitrdConfigurationExt bool `json:"useInitRDConfigurationExtension"`
	PortableConfiguration  bool `json:"usePortableConfigurationExtension"`
}

// addMetadata reads the small files that tell what an image is. Those that are
// broken are passed over, as systemd does.
func (i *Inspection) addMetadata(m *image.Image) error {
	files, err := openFiles(m)
	if err != nil {
		return err
	}
	defer files.close()
	i.Hostname = strings.TrimSpace(files.first("etc/hostname"))
	if id := strings.TrimSpace(files.first("etc/machine-id")); regexp.MustCompile("^[0-9a-f]{32}$").MatchString(id) {
		i.MachineID = id
	}
	i.MachineInfo = pairs(files.first("etc/machine-info"))
	i.OSRelease = pairs(files.first("etc/os-release", "usr/lib/os-release"))
	i.InitrdRelease = pairs(files.first("etc/initrd-release", "usr/lib/initrd-release"))
	i.hasInit = files.has("usr/lib/systemd/systemd", "lib/systemd/systemd", "sbin/init")
	return i.addReleases(files)
}

// addReleases adds the release files of extensions.
func (i *Inspection) addReleases(files *stacked) error {
	i.Releases = []Release{}
	found, err := image.Extensions(files)
	if err != nil {
		i.Problems = append(i.Problems, fmt.Sprintf("extension-release: %v", err))
		return nil
	}
	name := imageName(i.Name)
	taken := make(map[extension.Class]bool)
	for _, e := range found {
		r := Release{Class: e.Class.String(), Name: e.Name, Fields: fields(e.Release)}
		i.Releases = append(i.Releases, r)
		// The one called after the image counts, else the first.
		if taken[e.Class] && e.Name != name {
			continue
		}
		taken[e.Class] = true
		if e.Class == extension.Sysext {
			i.SysextRelease = r.Fields
		} else {
			i.ConfextRelease = r.Fields
		}
	}
	return nil
}

// imageName returns the name of an extension by that of its file: without
// suffix and version.
func imageName(file string) string {
	name, _, _ := strings.Cut(strings.TrimSuffix(file, ".raw"), "_")
	return name
}

// pairs reads a release file, and returns nothing for one that is broken.
func pairs(text string) []string {
	r, err := extension.ParseRelease([]byte(text))
	if err != nil {
		return nil
	}
	return fields(r)
}

// fields returns a release as systemd does: of a key that is set twice the last
// value counts, at the first place.
func fields(r extension.Release) []string {
	values := make(map[string]string, len(r))
	for _, f := range r {
		values[f.Key] = f.Value
	}
	var list []string
	for _, f := range r {
		if value, first := values[f.Key]; first {
			list = append(list, f.Key+"="+value)
			delete(values, f.Key)
		}
	}
	return list
}

// uses decides as systemd does (dissect-image.h, get_extension_scopes).
func (i *Inspection) uses(m *image.Image) Uses {
	sysext, confext := scopes(i.SysextRelease, "SYSEXT_SCOPE"), scopes(i.ConfextRelease, "CONFEXT_SCOPE")
	return Uses{
		BootableUEFI:      i.hasInit && slices.ContainsFunc(m.Parts, func(p image.Part) bool { return p.Type.Designator == dps.ESP }),
		BootableContainer: i.hasInit, Initrd: len(i.InitrdRelease) > 0,
		PortableService: slices.ContainsFunc(i.OSRelease, func(f string) bool { return strings.HasPrefix(f, "PORTABLE_PREFIXES=") }),

		SystemExtension: slices.Contains(sysext, "system"), InitrdSystemExtension: slices.Contains(sysext, "initrd"),
		PortableSystemExt:      slices.Contains(sysext, "portable"),
		ConfigurationExtension: slices.Contains(confext, "system"), InitrdConfigurationExt: slices.Contains(confext, "initrd"),
		PortableConfiguration: slices.Contains(confext, "portable"),
	}
}

// scopes returns where an extension is merged: without a word about it on
// systems and with portable services.
func scopes(release []string, key string) []string {
	if release == nil {
		return nil
	}
	for _, f := range release {
		if value, ok := strings.CutPrefix(f, key+"="); ok {
			return strings.Fields(value)
		}
	}
	return []string{"system", "portable"}
}

// stacked is the file system of the root, with that of usr laid over it.
type stacked struct {
	root, usr fs.FS // nil if there is none
	dir       *os.Root
}

// openFiles opens the file systems of the image, those that can be opened.
func openFiles(m *image.Image) (*stacked, error) {
	s := &stacked{}
	if m.Dir {
		dir, err := os.OpenRoot(m.Path)
		if err != nil {
			return nil, err
		}
		s.dir, s.root = dir, dir.FS()
		return s, nil
	}
	for _, vol := range m.Volumes() {
		fsys, _, err := m.FileSystem(vol.Data)
		if err != nil {
			continue // newVolume tells about it
		}
		if vol.Role() == dps.Usr {
			s.usr = fsys
		} else {
			s.root = fsys
		}
	}
	return s, nil
}

func (s *stacked) close() {
	if s.dir != nil {
		s.dir.Close()
	}
}

// Open implements fs.FS.
func (s *stacked) Open(name string) (fs.File, error) {
	fsys := s.root
	if s.usr != nil && (name == "usr" || strings.HasPrefix(name, "usr/")) {
		fsys, name = s.usr, strings.TrimPrefix(strings.TrimPrefix(name, "usr"), "/")
	}
	if fsys == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if name == "" {
		name = "."
	}
	return fsys.Open(name)
}

// maxText is more than any of the files has that say what an image is.
const maxText = 1 << 20

// first returns what is in the first of the files that is there.
func (s *stacked) first(names ...string) string {
	for _, name := range names {
		info, err := fs.Stat(s, name)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxText {
			continue
		}
		if text, err := fs.ReadFile(s, name); err == nil {
			return string(text)
		}
	}
	return ""
}

// has reports whether one of the files is there.
func (s *stacked) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		_, err := fs.Stat(s, name)
		return !errors.Is(err, fs.ErrNotExist) && err == nil
	})
}

// keyText names the kind and size of a certificate's key.
func keyText(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	}
	return c.PublicKeyAlgorithm.String()
}
