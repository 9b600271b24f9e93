package customize

import (
	"context"
	"fmt"
	"path"
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
		p.enabled = append(p.enabled, changes.Units...)
	}
	for _, name := range p.cfg.OS.Services.Disable {
		changes, err := p.units().Disable(name.Value)
		if err != nil {
			return placed(name.Pos, "os.services.disable", err)
		}
		if err := p.link(name, changes, "os.services.disable"); err != nil {
			return err
		}
		p.disabled = append(p.disabled, changes.Units...)
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
	return &advised{err, p.units().SysextHelp()}
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
		if err := p.put(l.Path, &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: l.Target}, why); err != nil {
			return placed(name.Pos, why, err)
		}
	}
	for _, dir := range c.RemoveDirs {
		p.root.Remove(dir, why)
	}
	return nil
}

// presets writes a preset where the first boot would undo what was done.
func (p *planner) presets() error {
	if len(p.enabled)+len(p.disabled) == 0 {
		return nil
	}
	first, err := p.units().FirstBoot()
	if err != nil || !first {
		return err
	}
	text, err := p.units().PresetFile(p.enabled, p.disabled)
	if err == nil && text != nil {
		err = p.putText(unit.PresetPath, string(text), "os.services")
	}
	if err != nil {
		return fmt.Errorf("os.services: %w", err)
	}
	return nil
}
