package image

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"crypto/sha256"
	"crypto/x509"

	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/format/erofs"
	"sextant/internal/report"
)

// Extension is what an image says about itself.
type Extension struct {
	Class   extension.Class
	Name    string // suffix of the release file
	Release extension.Release
}

// content checks the file system and the extension-release in it.
func (v *verifier) content(vol Volume) error {
	fsys, kind, err := v.m.FileSystem(vol.Data)
	if err != nil {
		return v.orFinding(vol.Data.Name(), err)
	}
	findings := 0
	if checked, ok := fsys.(interface{ Check() []erofs.Finding }); ok {
		for _, f := range checked.Check() {
			findings++
			v.r.AddError(report.Error, "file system", f)
		}
	}
	if findings == 0 {
		v.r.Good("file system", "%s, %d bytes", kind, vol.Data.Span.Length)
	}
	v.extension(fsys)
	return nil
}

// extension checks that the file system is one extension.
func (v *verifier) extension(fsys fs.FS) {
	found, err := Extensions(fsys)
	if err != nil {
		v.r.AddError(report.Error, "extension-release", err)
		return
	}
	if len(found) == 0 {
		v.r.Add(report.Error, "extension-release", "UAPI.4", "there is none, so systemd does not merge the image")
		return
	}
	for _, e := range found {
		arch := e.Release.Value("ARCHITECTURE")
		if err := extension.CheckRelease(e.Class, e.Release, arch); err != nil {
			v.r.AddError(report.Error, "extension-release."+e.Name, err)
			continue
		}
		v.r.Good("extension", "%s %s%s", e.Class, e.Name, describe(e))
	}
}

func describe(e Extension) string {
	var b strings.Builder
	if version := e.Release.Value(e.Class.Prefix() + "_VERSION_ID"); version != "" {
		b.WriteString(" " + version)
	}
	if arch := e.Release.Value("ARCHITECTURE"); arch != "" {
		b.WriteString(" for " + arch)
	}
	if id := e.Release.Value("ID"); id != "" {
		b.WriteString(", hosts with ID=" + id)
	}
	return b.String()
}

// Extensions returns what the release files in a file system say, of both
// classes.
func Extensions(fsys fs.FS) ([]Extension, error) {
	var list []Extension
	for _, class := range []extension.Class{extension.Sysext, extension.Confext} {
		dir := strings.TrimPrefix(class.ReleaseDir(), "/")
		entries, err := fs.ReadDir(fsys, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name, ok := strings.CutPrefix(e.Name(), extension.ReleasePrefix)
			if !ok || !e.Type().IsRegular() {
				continue
			}
			release, err := readRelease(fsys, path.Join(dir, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.Name(), err)
			}
			list = append(list, Extension{class, name, release})
		}
	}
	return list, nil
}

func readRelease(fsys fs.FS, name string) (extension.Release, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRelease {
		return nil, fmt.Errorf("%d bytes, at most %d are read: %w", info.Size(), maxRelease, fault.ErrUnsupported)
	}
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	return extension.ParseRelease(text)
}

// maxRelease is more than any release file has.
const maxRelease = 1 << 20

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
