package customize

import (
	"context"
	"fmt"
	"strings"

	"sextant/internal/prism"
)

// The files in which Image Customizer keeps what it does about modules.
const (
	modulesDisabled = "/etc/modprobe.d/modules-disabled.conf"
	modulesLoaded   = "/etc/modules-load.d/modules-load.conf"
	modulesOptions  = "/etc/modprobe.d/module-options.conf"
)

// modules puts os.modules into the files that modprobe and
// systemd-modules-load read.
func (p *planner) modules(context.Context) error {
	for _, m := range p.cfg.OS.Modules {
		if err := p.module(m); err != nil {
			return placed(m.Pos, "os.modules", err)
		}
	}
	return nil
}

func (p *planner) module(m prism.Module) error {
	const why = "os.modules"
	name := m.Name.Value
	entry := "blacklist " + name
	switch m.LoadMode.Value {
	case prism.Disable:
		return p.rewrite(modulesDisabled, func(text string) string { return withLine(text, entry) }, why)
	case prism.Always, prism.Auto:
		if p.hasLine(modulesDisabled, entry) {
			if err := p.rewrite(modulesDisabled, func(text string) string { return withoutLine(text, entry) }, why); err != nil {
				return err
			}
		}
	default:
		if len(m.Options) > 0 && p.hasLine(modulesDisabled, entry) {
			return &advised{fmt.Errorf("options for %s, which the base disables", name), "take auto or always as loadMode"}
		}
	}
	if m.LoadMode.Value == prism.Always {
		if err := p.rewrite(modulesLoaded, func(text string) string { return withLine(text, name) }, why); err != nil {
			return err
		}
	}
	if len(m.Options) == 0 {
		return nil
	}
	return p.rewrite(modulesOptions, func(text string) string { return withOptions(text, m) }, why)
}

func (p *planner) hasLine(file, line string) bool {
	at, node, err := p.root.Resolve(file)
	if err != nil || node == nil {
		return false
	}
	text, err := p.root.ReadFile(at[1:])
	return err == nil && withoutLine(string(text), line) != string(text)
}

// withLine adds a line to a text that does not have it.
func withLine(text, line string) string {
	if withoutLine(text, line) != text {
		return text
	}
	return ended(text) + line + "\n"
}

// ended returns a text that ends with its line.
func ended(text string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		return text + "\n"
	}
	return text
}

// withoutLine takes all lines with just these words out of a text.
func withoutLine(text, line string) string {
	var out strings.Builder
	for l := range strings.Lines(text) {
		if strings.Join(strings.Fields(l), " ") != line {
			out.WriteString(l)
		}
	}
	return out.String()
}

// withOptions sets options of a module: in its line, if there is one, else in
// a new one.
func withOptions(text string, m prism.Module) string {
	var out strings.Builder
	done := false
	for l := range strings.Lines(text) {
		words := strings.Fields(l)
		if !done && len(words) >= 2 && words[0] == "options" && words[1] == m.Name.Value {
			l, done = optionsLine(words[2:], m), true
		}
		out.WriteString(l)
	}
	if !done {
		return ended(out.String()) + optionsLine(nil, m)
	}
	return out.String()
}

// optionsLine writes the line of a module with the options that it had, and
// those of the config in place of them or behind.
func optionsLine(before []string, m prism.Module) string {
	line := "options " + m.Name.Value
	replaced := map[string]bool{}
	for _, word := range before {
		key, _, _ := strings.Cut(word, "=")
		for _, o := range m.Options {
			if o.Name.Value == key {
				word, replaced[key] = key+"="+o.Value.Value, true
			}
		}
		line += " " + word
	}
	for _, o := range m.Options {
		if !replaced[o.Name.Value] {
			line += " " + o.Name.Value + "=" + o.Value.Value
		}
	}
	return line + "\n"
}
