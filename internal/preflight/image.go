package preflight

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"sextant/internal/extension"
	"sextant/internal/image"
	"sextant/internal/report"
	"sextant/internal/signature"
	"sextant/internal/tree"
	"sextant/internal/verdict"
)

// content is what was found in an image.
type content struct {
	path  string
	class extension.Class
	files *tree.Tree // nil if they could not be read
	needs []need
}

func (c *checker) releaseName() string {
	if c.Systemd == 0 {
		return "of the base"
	}
	return strconv.Itoa(c.Systemd)
}

// known returns the release whose behaviour counts, within what is known.
func (c *checker) known() int {
	if c.Systemd == 0 {
		return verdict.Newest
	}
	return min(max(c.Systemd, verdict.Oldest), verdict.Newest)
}

// images verifies every image as systemd will meet it.
func (c *checker) images(images []Image) error {
	anchors, err := signature.TrustIn(c.Root)
	if err != nil {
		return err
	}
	for _, m := range images {
		class, ok := ClassOf(m.Path)
		if !ok {
			continue
		}
		if err := c.image(m, class, anchors); err != nil {
			return fmt.Errorf("check %s: %w", m.Path, err)
		}
	}
	return nil
}

func (c *checker) image(m Image, class extension.Class, anchors []signature.Anchor) error {
	opened, err := image.Read(m.File, m.Size)
	if err != nil {
		c.add(report.Error, ImageUnreadable, m.Path, "build it again, or copy it again", "it is no image of an extension: %v", err)
		return nil
	}
	opened.Path = m.Path
	checked, err := opened.Verify(c.ctx, image.Options{
		Certificates: signature.Certificates(anchors),
		Systemd:      c.known(),
		Host:         &extension.Host{OS: c.OS, Architecture: c.Architecture, Scope: extension.System},
		Now:          c.Now,
	})
	if err != nil {
		return err
	}
	for _, f := range checked.Findings {
		if f.ID == string(verdict.ImageName) {
			f.Severity = report.Error // here it is no matter of one file: it is put there to be merged
		}
		f.Place = m.Path + ": " + f.Place
		if advice := c.advice(verdict.Rule(f.ID), m.Path, checked); advice != "" {
			f.Text += "; " + advice
		}
		c.found.Findings = append(c.found.Findings, f)
	}
	for _, f := range checked.Facts {
		c.found.Good(path.Base(m.Path)+": "+f.Subject, "%s", f.Text)
	}
	if e := checked.Extension; e != nil && e.Class != class {
		c.add(report.Error, PlaceUnread, m.Path, "put it into "+e.Class.InstallDir(), "it is a %s, and lies where systemd looks for a %s", e.Class, class)
	}
	files, err := opened.Tree()
	if err != nil {
		files = nil // Verify has said why
	}
	c.content = append(c.content, content{m.Path, class, files, needsOf(opened)})
	return nil
}

// advice says what to do about a rule that an image breaks in this base.
func (c *checker) advice(rule verdict.Rule, p string, checked *image.Checked) string {
	dir := path.Dir(p)
	switch rule {
	case verdict.ReleaseName, verdict.ReleaseCutName:
		if checked.Extension != nil {
			return "call it " + path.Join(dir, checked.Extension.Name+".raw")
		}
	case verdict.ImageName:
		return "call it " + path.Join(dir, strings.TrimSuffix(path.Base(p), path.Ext(p))+".raw")
	case verdict.HostMisfit:
		return "build the extension for this base, or with ID=_any"
	case verdict.SignatureUntrusted:
		return "put the certificate that signed it into /etc/verity.d, with a name that ends in .crt"
	case verdict.SignatureMissing:
		return "sign it, where the base asks for signed extensions"
	case verdict.Confext:
		return "take a newer base"
	case verdict.TreeRoot, verdict.TreeBlock, verdict.TreeSize, verdict.FileSystemBroken:
		return "it is damaged: build it again, or copy it again"
	}
	return ""
}
