package prism

import (
	"path"
	"regexp"
	"strings"
)

// check notes what is wrong between values, by the rules of Image Customizer.
func (d *decoder) check(cfg *Config) {
	d.checkHostname(cfg.OS.Hostname)
	for _, f := range cfg.OS.AdditionalFiles {
		d.checkFile(f)
	}
	for _, dir := range cfg.OS.AdditionalDirs {
		d.need(dir.Pos, "os.additionalDirs[].source", dir.Source)
		d.need(dir.Pos, "os.additionalDirs[].destination", dir.Destination)
	}
	for _, name := range append(cfg.OS.Services.Enable, cfg.OS.Services.Disable...) {
		if name.Value == "" {
			d.add(name.Pos, "", "os.services: the name of a service is empty")
		}
	}
	d.checkModules(cfg.OS.Modules)
	d.checkOverlays(cfg.OS.Overlays)
}

// need notes a value that is missing or empty.
func (d *decoder) need(at Pos, what string, t Text) {
	if t.Value == "" {
		d.add(at, "", "%s is missing", what)
	}
}

// label is one part of a hostname in DNS.
const label = `[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?`

// maxHostname is the longest name that Linux takes (HOST_NAME_MAX).
const maxHostname = 64

func (d *decoder) checkHostname(h Text) {
	switch {
	case h.Value == "":
	case !regexp.MustCompile("^" + label + `(\.` + label + ")*$").MatchString(h.Value):
		d.add(h.Pos, "a hostname has letters, digits, dashes, and dots between", "os.hostname: %q is no hostname", h.Value)
	case len(h.Value) > maxHostname:
		d.add(h.Pos, "", "os.hostname: %d bytes, Linux takes %d", len(h.Value), maxHostname)
	}
}

func (d *decoder) checkFile(f AdditionalFile) {
	d.need(f.Pos, "os.additionalFiles[].destination", f.Destination)
	source, content := f.Source.Value != "", f.Content.Given()
	switch {
	case source && content:
		d.add(f.Content.Pos, "", "os.additionalFiles[]: both source and content")
	case !source && !content:
		d.add(f.Pos, "", "os.additionalFiles[]: neither source nor content")
	}
	if strings.HasSuffix(f.Destination.Value, "/") {
		d.add(f.Destination.Pos, "write the name of the file too", "os.additionalFiles[].destination: %s is a directory", f.Destination.Value)
	}
}

func (d *decoder) checkModules(modules []Module) {
	seen := map[string]Pos{}
	for _, m := range modules {
		d.checkWord(m.Pos, "os.modules[].name", m.Name)
		if before, twice := seen[m.Name.Value]; twice {
			d.add(m.Name.Pos, "", "os.modules[]: %s stands here for a second time, before in line %d", m.Name.Value, before.Line)
		}
		seen[m.Name.Value] = m.Name.Pos
		for _, o := range m.Options {
			d.checkWord(o.Name.Pos, "os.modules[].options", o.Name)
			d.checkWord(o.Name.Pos, "os.modules[].options."+o.Name.Value, o.Value)
		}
		if m.LoadMode.Value == Disable && len(m.Options) > 0 {
			d.add(m.Options[0].Name.Pos, "take auto or always as loadMode", "os.modules[]: options for %s, which is disabled", m.Name.Value)
		}
	}
}

// checkWord notes what is missing or cannot be one word of a line.
func (d *decoder) checkWord(at Pos, what string, t Text) {
	d.need(at, what, t)
	if strings.ContainsAny(t.Value, " \t\n") {
		d.add(t.Pos, "", "%s: %q has white space", what, t.Value)
	}
}

func (d *decoder) checkOverlays(overlays []Overlay) {
	mounts, uppers, works := map[string]Pos{}, map[string]Pos{}, map[string]Pos{}
	for _, o := range overlays {
		d.checkPath(o.Pos, "mountPoint", o.MountPoint)
		d.checkPath(o.Pos, "upperDir", o.UpperDir)
		d.checkPath(o.Pos, "workDir", o.WorkDir)
		if len(o.LowerDirs) == 0 {
			d.add(o.Pos, "", "os.overlays[].lowerDirs is missing")
		}
		for _, dir := range o.LowerDirs {
			d.checkPath(o.Pos, "lowerDirs", dir)
		}
		for _, dir := range o.MountDependencies {
			d.checkPath(o.Pos, "mountDependencies", dir)
		}
		if strings.ContainsAny(o.MountOptions.Value, " \t\n") {
			d.add(o.MountOptions.Pos, "", "os.overlays[].mountOptions: %q has white space", o.MountOptions.Value)
		}
		d.checkApart(o)
		d.unique("mountPoint", o.MountPoint, mounts)
		d.unique("upperDir", o.UpperDir, uppers)
		d.unique("workDir", o.WorkDir, works)
	}
}

// checkPath notes a path that fstab or the options of overlayfs cannot hold.
func (d *decoder) checkPath(at Pos, what string, t Text) {
	d.need(at, "os.overlays[]."+what, t)
	switch {
	case t.Value == "":
	case !path.IsAbs(t.Value):
		d.add(t.Pos, "", "os.overlays[].%s: %q does not begin with a slash", what, t.Value)
	case strings.ContainsAny(t.Value, " \t\n:,"):
		d.add(t.Pos, "", "os.overlays[].%s: %q has a space, tab, newline, colon or comma", what, t.Value)
	}
}

// checkApart notes an upper and a work directory inside each other.
func (d *decoder) checkApart(o Overlay) {
	upper, work := path.Clean(o.UpperDir.Value), path.Clean(o.WorkDir.Value)
	if o.UpperDir.Value == "" || o.WorkDir.Value == "" {
		return
	}
	switch {
	case upper == work:
		d.add(o.WorkDir.Pos, "", "os.overlays[]: upperDir and workDir are both %s", upper)
	case strings.HasPrefix(upper+"/", work+"/"), strings.HasPrefix(work+"/", upper+"/"):
		d.add(o.WorkDir.Pos, "", "os.overlays[]: one of upperDir %s and workDir %s is inside the other", upper, work)
	}
}

func (d *decoder) unique(what string, t Text, seen map[string]Pos) {
	key := path.Clean(t.Value)
	if before, twice := seen[key]; twice && t.Value != "" {
		d.add(t.Pos, "", "os.overlays[].%s: %s is that of another overlay too, in line %d", what, t.Value, before.Line)
	}
	seen[key] = t.Pos
}
