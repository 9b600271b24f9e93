package customize

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/image"
	"sextant/internal/prism"
)

// Install is what sextant install puts into a base.
type Install struct {
	// Images are the paths of extension images.
	Images []string

	// Certificates vouch for them, by the names that they get in verity.d.
	Certificates []Certificate

	// RequireSigned makes the system merge only what is signed.
	RequireSigned bool
}

// Certificate is a certificate and the name of its file, which ends in .crt.
type Certificate struct {
	Name        string
	Certificate *x509.Certificate
}

// NewInstall decides what puts extensions into a base. The plan is the one that
// a config with the same files and services gives.
func NewInstall(ctx context.Context, b *Base, in Install) (*Plan, error) {
	cfg := &prism.Config{}
	p, err := newPlanner(b, cfg)
	if err != nil {
		return nil, err
	}
	var classes []extension.Class
	for _, name := range in.Images {
		class, err := p.installImage(name, in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !slices.Contains(classes, class) {
			classes = append(classes, class)
		}
	}
	for _, c := range in.Certificates {
		p.installCertificate(c)
	}
	for _, class := range classes {
		cfg.OS.Services.Enable = append(cfg.OS.Services.Enable, prism.Text{Value: serviceOf(class)})
		if in.RequireSigned {
			if err := p.requireSigned(class); err != nil {
				return nil, err
			}
		}
	}
	return p.run(ctx)
}

func serviceOf(class extension.Class) string { return "systemd-" + class.String() }

// installImage adds an image to the config: in the directory of its class,
// under the name of its release file, which every release of systemd takes.
func (p *planner) installImage(name string, in Install) (extension.Class, error) {
	m, err := image.Open(name)
	if err != nil {
		return 0, err
	}
	defer m.Close()
	if m.Dir {
		return 0, fmt.Errorf("is a directory: os.additionalDirs of a config can put one into a base: %w", fault.ErrUnsupported)
	}
	found, err := m.Extensions()
	if err != nil {
		return 0, err
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("%d release files, want one that says what the extension is: %w", len(found), fault.ErrCorrupt)
	}
	e := found[0]
	if err := extension.CheckName(e.Name); err != nil {
		return 0, err
	}
	if in.RequireSigned && !signed(m) {
		return 0, &advised{errors.New("is not signed, and --require-signed makes the system refuse it"), "sign it with sextant sign"}
	}
	destination := path.Join(e.Class.InstallDir(), e.Name+".raw")
	if err := p.replaceOlder(e, destination); err != nil {
		return 0, err
	}
	p.cfg.OS.AdditionalFiles = append(p.cfg.OS.AdditionalFiles, prism.AdditionalFile{
		Source:      prism.Text{Value: name},
		Destination: prism.Text{Value: destination},
		Permissions: prism.Mode{Value: 0o644, Pos: commandLine()},
	})
	return e.Class, nil
}

// commandLine is the place of what was not in any file.
func commandLine() prism.Pos { return prism.Pos{File: "command line"} }

// signed reports whether a data partition of the image has a signature.
func signed(m *image.Image) bool {
	volumes := m.Volumes()
	return len(volumes) > 0 && !slices.ContainsFunc(volumes, func(v image.Volume) bool { return v.Signature == nil })
}

// extensionDirs are where systemd looks for extensions of a class, apart from
// directories that are in memory.
func (p *planner) extensionDirs(class extension.Class) []string {
	switch {
	case class == extension.Confext:
		return []string{"/var/lib/confexts", "/usr/local/lib/confexts", "/usr/lib/confexts"}
	case p.system.systemd > 0 && p.system.systemd < 254:
		return []string{"/etc/extensions", "/var/lib/extensions", "/usr/local/lib/extensions", "/usr/lib/extensions"}
	}
	return []string{"/etc/extensions", "/var/lib/extensions"}
}

// replaceOlder removes the extensions of the base that are the same by
// SYSEXT_ID or CONFEXT_ID: two of them would be merged over each other.
func (p *planner) replaceOlder(e image.Extension, destination string) error {
	key := e.Class.Prefix() + "_ID"
	id := e.Release.Value(key)
	for _, dir := range p.extensionDirs(e.Class) {
		at, node, err := p.root.Resolve(dir)
		if err != nil || node == nil || !node.Mode.IsDir() {
			continue
		}
		entries, err := p.root.ReadDir(at[1:])
		if err != nil {
			return err
		}
		for _, entry := range entries {
			old, ok := p.installed(path.Join(at, entry.Name()), e.Class)
			if !ok || id == "" || old.Release.Value(key) != id {
				continue
			}
			place := path.Join(at, entry.Name())
			p.notes = append(p.notes, fmt.Sprintf("replaces %s: %s", place, old))
			if place != destination {
				p.root.Remove(place, "replaced by "+destination)
			}
		}
	}
	return nil
}

// installed returns what an entry of a directory for extensions is. What cannot
// be read is none.
func (p *planner) installed(at string, class extension.Class) (image.Extension, bool) {
	name, node, err := p.root.Resolve(at)
	if err != nil || node == nil {
		return image.Extension{}, false
	}
	var found []image.Extension
	switch {
	case node.Mode.IsDir():
		sub, err := p.sub(name)
		if err != nil {
			return image.Extension{}, false
		}
		found, err = image.Extensions(sub)
		if err != nil {
			return image.Extension{}, false
		}
	case node.Mode.IsRegular() && strings.HasSuffix(at, ".raw"):
		f, err := p.root.Open(name[1:])
		if err != nil {
			return image.Extension{}, false
		}
		defer f.Close()
		r, ok := f.(io.ReaderAt)
		if !ok {
			return image.Extension{}, false
		}
		m, err := image.Read(r, node.Size())
		if err != nil {
			return image.Extension{}, false
		}
		if found, err = m.Extensions(); err != nil {
			return image.Extension{}, false
		}
	}
	i := slices.IndexFunc(found, func(e image.Extension) bool { return e.Class == class })
	if i < 0 {
		return image.Extension{}, false
	}
	return found[i], true
}

// installCertificate adds a certificate to the config. Where the base has
// another one under the name, the new one gets a name of its own.
func (p *planner) installCertificate(c Certificate) {
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate.Raw}))
	name := c.Name
	if have, err := p.root.ReadFile("etc/verity.d/" + name); err == nil && !sameCertificate(have, c.Certificate) {
		sum := sha256.Sum256(c.Certificate.Raw)
		name = strings.TrimSuffix(name, ".crt") + "-" + hex.EncodeToString(sum[:4]) + ".crt"
		p.notes = append(p.notes, fmt.Sprintf("/etc/verity.d/%s is another certificate, so this one is %s", c.Name, name))
	}
	p.cfg.OS.AdditionalFiles = append(p.cfg.OS.AdditionalFiles, prism.AdditionalFile{
		Content:     prism.Text{Value: text, Pos: commandLine()},
		Destination: prism.Text{Value: "/etc/verity.d/" + name},
	})
}

func sameCertificate(text []byte, c *x509.Certificate) bool {
	block, _ := pem.Decode(text)
	return block != nil && string(block.Bytes) == string(c.Raw)
}
