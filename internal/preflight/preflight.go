package preflight

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"sextant/internal/extension"
	"sextant/internal/report"
)

// Base is the system that will boot.
type Base struct {
	// Root is its root file system with all planned changes. Open, Stat and
	// ReadDir follow links inside of it; ReadLink and Lstat do not follow the
	// last name (fs.ReadLinkFS).
	Root fs.FS

	// OS is its os-release.
	OS extension.Release

	// Architecture is systemd's name for that of the base, empty if unknown.
	Architecture string

	// Systemd is its release of systemd, 0 if unknown.
	Systemd int

	// Overlays are those that will be mounted, in the order of fstab.
	Overlays []Overlay

	// Now is what the dates of certificates are compared with.
	Now time.Time
}

// Image is a file that will lie in a directory of extensions.
type Image struct {
	// Path is where, absolute in the root.
	Path string

	// File has its Size bytes.
	File io.ReaderAt
	Size int64
}

// The ids of the findings that are not rules of package verdict.
const (
	PlaceUnread     = "place-unread"      // systemd does not look there
	PlaceHidden     = "place-hidden"      // another image of the name comes first
	PlaceInside     = "place-inside"      // in what it is merged into
	SystemdUnknown  = "systemd-unknown"   // which release it is
	SystemdTooOld   = "systemd-too-old"   // it merges nothing
	KernelLacks     = "kernel-lacks"      // a file system, a driver
	KernelUnknown   = "kernel-unknown"    // nothing tells what it has
	OverlaySame     = "overlay-same"      // on a hierarchy
	OverlayHidden   = "overlay-hidden"    // by the merge
	OverlayHides    = "overlay-hides"     // files of the extension
	OverlayDeep     = "overlay-deep"      // too many on top of each other
	OverlayInside   = "overlay-inside"    // its directories are in a hierarchy
	OverlayLate     = "overlay-late"      // after the merge
	ServiceOff      = "service-off"       // nothing merges at boot
	ServiceMissing  = "service-missing"   // there is no such unit
	ImageUnreadable = "image-not-checked" // it could not be opened
)

// Directories returns where the given release of systemd looks for extensions
// of a class, the directory whose files win first (discover-image.c,
// image_search_path). Since 254 system extensions are not looked for in /usr;
// configuration extensions never were in /etc.
func Directories(class extension.Class, systemd int) []string {
	if class == extension.Confext {
		return []string{"/run/confexts", "/var/lib/confexts", "/usr/local/lib/confexts", "/usr/lib/confexts"}
	}
	dirs := []string{"/etc/extensions", "/run/extensions", "/var/lib/extensions"}
	if systemd > 0 && systemd < noUsrRelease {
		dirs = append(dirs, "/usr/local/lib/extensions", "/usr/lib/extensions")
	}
	return dirs
}

// noUsrRelease is the first that does not look for system extensions in /usr.
const noUsrRelease = 254

// ClassOf returns the class of the extensions that lie in the directory of the
// file at p, and whether any release looks for some there, or looks as if it
// did.
func ClassOf(p string) (extension.Class, bool) {
	dir := path.Dir(path.Clean(p))
	switch {
	case slices.Contains(Directories(extension.Sysext, sysextRelease), dir):
		return extension.Sysext, true
	case dir == "/etc/confexts" || slices.Contains(Directories(extension.Confext, 0), dir):
		return extension.Confext, true
	}
	return 0, false
}

// checker is one run of Check.
type checker struct {
	Base
	ctx     context.Context
	found   *report.Report
	classes map[extension.Class]bool // of which there will be extensions
	others  map[extension.Class]bool // of which there are some that are not looked into
	content []content
}

// Check checks the images that a customization puts into the base, and what
// the base has for extensions in all. The error says that something could not
// be read; what is wrong is in the report. Findings about an image have the ids
// of package verdict, others those of this package.
func Check(ctx context.Context, b Base, images []Image) (*report.Report, error) {
	c := &checker{Base: b, ctx: ctx, found: &report.Report{}, classes: map[extension.Class]bool{}, others: map[extension.Class]bool{}}
	if err := c.places(images); err != nil {
		return nil, err
	}
	if len(c.classes) == 0 {
		return c.found, nil
	}
	c.release()
	for _, step := range []func([]Image) error{c.images, c.kernels, c.overlays, c.services} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(images); err != nil {
			return nil, err
		}
	}
	return c.found, nil
}

// add notes a finding, with what to do about it.
func (c *checker) add(severity report.Severity, id, place, advice, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if advice != "" {
		text += "; " + advice
	}
	c.found.Findings = append(c.found.Findings, report.Finding{Severity: severity, ID: id, Place: place, Text: text})
}

// The releases of systemd that brought something.
const (
	sysextRelease  = 248
	confextRelease = 254
)

// release checks that the base's systemd merges extensions of the classes.
func (c *checker) release() {
	switch {
	case c.Systemd == 0:
		c.add(report.Warning, SystemdUnknown, "base", "check with `systemctl --version` in the base",
			"the release of systemd was not found out, so the newest that is known is taken")
	case c.Systemd < sysextRelease:
		c.add(report.Error, SystemdTooOld, "base", "take a newer base", "systemd %d knows no extensions, they came with %d", c.Systemd, sysextRelease)
	case c.Systemd < confextRelease && c.classes[extension.Confext]:
		c.add(report.Error, SystemdTooOld, "base", "take a newer base, or put the files into the base itself",
			"systemd %d knows no configuration extensions, they came with %d", c.Systemd, confextRelease)
	}
}

// hierarchies returns what will be merged over: systemd leaves a hierarchy
// alone that no extension has anything in. An extension that was not looked
// into may have all.
func (c *checker) hierarchies() (list []string) {
	for _, class := range []extension.Class{extension.Sysext, extension.Confext} {
		for _, h := range class.Hierarchies() {
			has := func(m content) bool { return m.class == class && m.has(h) }
			if c.others[class] || slices.ContainsFunc(c.content, has) {
				list = append(list, h)
			}
		}
	}
	return list
}

// below reports whether p lies below dir, or is dir.
func below(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}
