package preflight

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"sextant/internal/report"
	"sextant/internal/tree"
)

// Overlay is an overlay that will be mounted.
type Overlay struct {
	At     string // where, clean and absolute in the running system
	Lower  []string
	Upper  string // empty for one that cannot be written
	Work   string
	Late   bool   // mounted on demand, or not by local-fs.target
	Origin string // where it is asked for: "config.yaml:12", "/etc/fstab:3"
}

// sysroot is where an initrd mounts what will be the root.
const sysroot = "/sysroot"

// OverlayOf reads an overlay from the fields of a line of fstab: where it is
// mounted, and its options. What an initrd mounts below /sysroot is given as it
// is in the running system.
func OverlayOf(target string, options []string, origin string) Overlay {
	o := Overlay{At: running(target), Origin: origin}
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "lowerdir", "lowerdir+":
			for _, dir := range splitLower(value) {
				o.Lower = append(o.Lower, running(dir))
			}
		case "upperdir":
			o.Upper = running(value)
		case "workdir":
			o.Work = running(value)
		case "noauto", "x-systemd.automount", "_netdev", "nofail":
			o.Late = true
		}
	}
	return o
}

func running(p string) string {
	p = path.Clean(p)
	if below(p, sysroot) {
		return path.Join("/", strings.TrimPrefix(p, sysroot))
	}
	return p
}

// splitLower cuts a list of lower directories at colons that no backslash
// protects.
func splitLower(value string) (list []string) {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && i+1 < len(value):
			i++
			b.WriteByte(value[i])
		case c == ':':
			list = append(list, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return slices.DeleteFunc(append(list, b.String()), func(s string) bool { return s == "" })
}

// maxDepth is how many file systems may be stacked (FILESYSTEM_MAX_STACK_DEPTH).
const maxDepth = 2

// remountRelease is the first release that mounts what lies below a hierarchy
// again on top of the merge; before, the merge hides it.
const remountRelease = 257

// overlays checks the overlays against the hierarchies.
func (c *checker) overlays([]Image) error {
	for i, o := range c.Overlays {
		for _, h := range c.hierarchies() {
			c.overlay(i, o, h)
		}
	}
	for _, h := range c.hierarchies() {
		if d := c.depth(h, len(c.Overlays)); d >= maxDepth {
			c.add(report.Error, OverlayDeep, c.origin(h), "leave one of the overlays away",
				"%s lies on %d overlays already, and Linux stacks no more than %d: the merge fails with EINVAL", h, d, maxDepth)
		}
	}
	return nil
}

// origin returns which overlay lies on top of a directory.
func (c *checker) origin(dir string) string {
	if i := c.covering(dir, len(c.Overlays)); i >= 0 {
		return c.Overlays[i].place()
	}
	return dir
}

func (o Overlay) place() string {
	if o.Origin == "" {
		return "overlay on " + o.At
	}
	return o.Origin + ": overlay on " + o.At
}

// overlay checks one overlay against one hierarchy.
func (c *checker) overlay(i int, o Overlay, h string) {
	switch {
	case o.At == h && o.Late:
		c.add(report.Warning, OverlayLate, o.place(), "mount it at boot, without noauto, nofail, _netdev or automount",
			"it may be mounted after the extensions are merged, and then hides them")
	case o.At == h:
		c.add(report.Warning, OverlaySame, o.place(), "keep "+h+" for the extensions, and put the overlay on another directory",
			"%s is merged over too: the extensions and the overlay are both seen, but %s cannot be written while they are merged", h, h)
	case below(o.At, h):
		c.belowHierarchy(o, h)
	}
	for _, dir := range append([]string{o.Upper, o.Work}, o.Lower...) {
		if dir != "" && below(dir, h) && !below(o.At, h) {
			c.add(report.Warning, OverlayInside, o.place(), "put the directory elsewhere",
				"its directory %s is inside of %s: the overlay keeps showing what was there before the merge", dir, h)
		}
	}
}

// belowHierarchy checks an overlay below a hierarchy.
func (c *checker) belowHierarchy(o Overlay, h string) {
	if c.Systemd == 0 || c.Systemd < remountRelease {
		c.add(report.Warning, OverlayHidden, o.place(), "mount it outside of "+h+", or take a base with systemd 257 or newer",
			"up to systemd 256 a merge over %s hides what is mounted below it, until it is unmerged", h)
	}
	if c.Systemd > 0 && c.Systemd < remountRelease {
		return
	}
	for _, m := range c.content {
		if files := m.below(o.At); len(files) > 0 {
			c.add(report.Error, OverlayHides, o.place(), "move the files of the extension, or the overlay, to another directory",
				"since systemd 257 it is mounted on top of the merge, and hides %s of %s", some(files), path.Base(m.path))
		}
	}
}

// below returns the files of an image below a directory.
func (m content) below(dir string) []string {
	if m.files == nil {
		return nil
	}
	node, err := m.files.Follow(dir)
	if err != nil || node == nil {
		return nil
	}
	return filesBelow(nil, node, dir, tree.DepthMax)
}

// has reports whether an image has a directory.
func (m content) has(dir string) bool {
	if m.files == nil {
		return true // who knows
	}
	node, err := m.files.Follow(dir)
	return err == nil && node != nil
}

// enough is how many files are collected: no message names more.
const enough = 1000

func filesBelow(list []string, node *tree.Inode, at string, depth int) []string {
	if !node.Mode.IsDir() {
		return append(list, at)
	}
	for _, e := range node.Entries() {
		if depth > 0 && len(list) < enough {
			list = filesBelow(list, e.Inode, path.Join(at, e.Name), depth-1)
		}
	}
	return list
}

// some names a few of many.
func some(files []string) string {
	const few = 3
	if len(files) <= few {
		return strings.Join(files, ", ")
	}
	return fmt.Sprintf("%s and %d more files", strings.Join(files[:few], ", "), len(files)-few)
}

// depth returns how many overlays a directory lies on, when the first n are
// mounted.
func (c *checker) depth(dir string, n int) int {
	i := c.covering(dir, n)
	if i < 0 {
		return 0
	}
	o, deepest := c.Overlays[i], 0
	for _, d := range append([]string{o.Upper}, o.Lower...) {
		if d != "" {
			deepest = max(deepest, c.depth(d, i))
		}
	}
	return deepest + 1
}

// covering returns which of the first n overlays a directory is on: the one
// with the longest path, and of two with the same the later one; -1 if it is
// on none.
func (c *checker) covering(dir string, n int) int {
	best := -1
	for i, o := range c.Overlays[:n] {
		if below(dir, o.At) && (best < 0 || len(o.At) >= len(c.Overlays[best].At)) {
			best = i
		}
	}
	return best
}
