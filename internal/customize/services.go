package customize

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"sextant/internal/prism"
	"sextant/internal/tree"
	"sextant/internal/unit"
)

// services enables and disables os.services, as systemctl does it one after the
// other.
func (p *planner) services(context.Context) error {
	for _, name := range p.cfg.OS.Services.Enable {
		changes, err := p.units().Enable(name.Value)
		if err != nil {
			return placed(name.Pos, "os.services.enable", p.advise(name.Value, err))
		}
		if err := p.link(name, changes, "os.services.enable"); err != nil {
			return err
		}
		p.preset("enable", name.Value, changes)
	}
	for _, name := range p.cfg.OS.Services.Disable {
		changes, err := p.units().Disable(name.Value)
		if err != nil {
			return placed(name.Pos, "os.services.disable", err)
		}
		if err := p.link(name, changes, "os.services.disable"); err != nil {
			return err
		}
		p.preset("disable", name.Value, changes)
	}
	return p.presets()
}

func (p *planner) units() unit.System {
	return unit.System{Root: p.root, Systemd: p.system.systemd, Architecture: string(p.system.architecture)}
}

// advise adds which package has a unit that is missing.
func (p *planner) advise(name string, err error) error {
	base := strings.TrimSuffix(name, ".service")
	if !missing(err) || base != "systemd-sysext" && base != "systemd-confext" {
		return err
	}
	return &advised{err, "systemd-sysext comes with the package systemd of Debian, Fedora and Azure Linux (from systemd 248 on, built with sysext), " +
		"and with systemd-container of openSUSE; the base needs it"}
}

// link carries changes of units over into the plan.
func (p *planner) link(name prism.Text, c unit.Changes, why string) error {
	for _, w := range c.Warnings {
		p.warn(name.Pos, "%s: %s", why, w)
	}
	if c.RulesMissed {
		p.warn(name.Pos, "%s: %s has no [Install] that asks for something, so nothing is changed", why, name.Value)
	}
	for _, dir := range c.MakeDirs {
		if _, err := p.makeDirs(dir, 0o755, why); err != nil {
			return placed(name.Pos, why, err)
		}
	}
	for _, at := range c.Remove {
		p.root.Remove(at, why)
	}
	for _, l := range c.Make {
		if _, err := p.makeDirs(path.Dir(l.Path), 0o755, why); err != nil {
			return placed(name.Pos, why, err)
		}
		p.put(l.Path, &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: l.Target}, why)
	}
	for _, dir := range c.RemoveDirs {
		p.root.Remove(dir, why)
	}
	return nil
}

// presetFile says at the first boot what was enabled and disabled here. Its
// name comes before those of distributions: the first file that names a unit
// counts.
const presetFile = "/etc/systemd/system-preset/00-sextant.preset"

// presets writes a preset where the first boot would undo what was done: with a
// machine-id that is empty systemd applies the presets of all units
// (machine-id(5)).
func (p *planner) presets() error {
	if len(p.presetLines) == 0 || !p.firstBoot() {
		return nil
	}
	text := "# What sextant enabled and disabled, for the first boot.\n" + strings.Join(p.presetLines, "\n") + "\n"
	if err := p.putText(presetFile, text, "os.services"); err != nil {
		return fmt.Errorf("os.services: %w", err)
	}
	return nil
}

// preset notes the lines for one unit and for those that came with it: they go
// by the names of their files, whatever alias the user wrote.
func (p *planner) preset(verb, name string, c unit.Changes) {
	lines := []string{verb + " " + withSuffix(name)}
	for _, l := range c.Make {
		lines = append(lines, verb+" "+presetName(path.Base(l.Target), path.Base(l.Path)))
	}
	for _, at := range c.Remove {
		lines = append(lines, verb+" "+presetName(path.Base(at), path.Base(at)))
	}
	for _, line := range lines {
		if !slices.Contains(p.presetLines, line) {
			p.presetLines = append(p.presetLines, line)
		}
	}
}

// presetName writes a unit as a preset names it: an instance is the template
// and the name behind it (systemd.preset(5)).
func presetName(file, link string) string {
	prefix, rest, ok := strings.Cut(link, "@")
	instance := strings.TrimSuffix(rest, path.Ext(rest))
	if !ok || instance == "" {
		return file
	}
	return prefix + "@" + path.Ext(link) + " " + instance
}

// firstBoot reports whether systemd will take the next boot for the first one.
func (p *planner) firstBoot() bool {
	text, err := p.root.ReadFile("etc/machine-id")
	id := strings.TrimSpace(string(text))
	return missing(err) || err == nil && (id == "" || id == "uninitialized")
}

// withSuffix returns the full name of a unit, as a preset has it.
func withSuffix(name string) string {
	if name = path.Base(name); path.Ext(name) == "" {
		name += ".service"
	}
	return presetName(name, name)
}
