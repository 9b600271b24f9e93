package stock

import (
	"errors"
	"path/filepath"
	"strings"

	"sextant/internal/merge"
	"sextant/internal/policy"
	"sextant/internal/settings"
)

// format is how a table is printed.
type format int

const (
	text format = iota
	short
	pretty
)

// invocation is a command line that was understood.
type invocation struct {
	root          string
	mutable       *merge.Mutable
	policy        *policy.Policy
	noExec        *bool
	force         bool
	noReload      bool
	alwaysRefresh bool
	noLegend      bool
	format        format

	verb []string // with its arguments

	// print is the text that some options ask for; nothing else is done then.
	print string
}

// option is one long option.
type option struct {
	name  string
	value bool

	// apply takes the option's value. It may ask to end with a text.
	apply func(p *program, i *invocation, value string) error
}

func options() []option {
	return []option{
		{"help", false, func(p *program, i *invocation, _ string) error { i.print = p.help(); return nil }},
		{"version", false, func(p *program, i *invocation, _ string) error { i.print = versionText; return nil }},
		{"root", true, setRoot},
		{"mutable", true, setMutable},
		{"image-policy", true, setPolicy},
		{"noexec", true, func(_ *program, i *invocation, value string) error {
			v, err := boolean("--noexec", value)
			i.noExec = &v
			return err
		}},
		{"force", false, func(_ *program, i *invocation, _ string) error { i.force = true; return nil }},
		{"no-reload", false, func(_ *program, i *invocation, _ string) error { i.noReload = true; return nil }},
		{"always-refresh", true, func(_ *program, i *invocation, value string) (err error) {
			i.alwaysRefresh, err = boolean("--always-refresh", value)
			return err
		}},
		{"no-pager", false, func(*program, *invocation, string) error { return nil }},
		{"no-legend", false, func(_ *program, i *invocation, _ string) error { i.noLegend = true; return nil }},
		{"json", true, setFormat},
	}
}

func boolean(name, value string) (bool, error) {
	v, ok := settings.ParseBool(value)
	if !ok {
		return false, sayf("Failed to parse boolean argument to '%s': %s", name, value)
	}
	return v, nil
}

func setRoot(p *program, i *invocation, value string) error {
	// No manager runs below a root, not even below an empty one.
	i.root, i.noReload = "", true
	if value == "" {
		return nil
	}
	if !filepath.IsAbs(value) {
		value = filepath.Join(p.Dir, value)
	}
	i.root = simplify(value)
	return nil
}

// simplify takes out empty parts and dots, but leaves "..".
func simplify(path string) string {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return "/" + strings.Join(parts, "/")
}

func setMutable(p *program, i *invocation, value string) error {
	if value == "help" {
		if !i.noLegend {
			i.print = "Known mutability modes:\n"
		}
		i.print += strings.Join(settings.MutableModes(), "\n") + "\n"
		return nil
	}
	mode, ok := settings.ParseMutable(value)
	if !ok {
		return sayf("Failed to parse argument to --mutable=: %s", value)
	}
	i.mutable = &mode
	return nil
}

func setPolicy(_ *program, i *invocation, value string) error {
	found, err := policy.Parse(value)
	switch {
	case errors.Is(err, policy.ErrDesignator):
		return sayf("Unknown partition type in image policy: %s", value)
	case errors.Is(err, policy.ErrFlag):
		return sayf("Unknown partition policy flag in image policy: %s", value)
	case errors.Is(err, policy.ErrTwice):
		return sayf("Duplicate rule in image policy: %s", value)
	case err != nil:
		return sayf("Failed to parse image policy: %s", value)
	}
	i.policy = &found
	return nil
}

func setFormat(_ *program, i *invocation, value string) error {
	switch value {
	case "pretty":
		i.format = pretty
	case "short":
		i.format = short
	case "off":
		i.format = text
	case "help":
		i.print = "pretty\nshort\noff\n"
	default:
		return sayf("Unknown argument to --json= switch: %s", value)
	}
	return nil
}

// parse understands args, which do not hold the name of the program. Options
// and verbs may stand in any order, up to "--".
func (p *program) parse(args []string) (*invocation, error) {
	i := &invocation{}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			i.verb = append(i.verb, args...)
			return i, nil
		case strings.HasPrefix(arg, "--"):
			var err error
			if args, err = p.long(i, arg[2:], args); err != nil || i.print != "" {
				return i, err
			}
		case len(arg) > 1 && arg[0] == '-':
			if arg[1] != 'h' {
				return i, p.complaint("unrecognized option '-%s'", arg[1:2])
			}
			i.print = p.help()
			return i, nil
		default:
			i.verb = append(i.verb, arg)
		}
	}
	return i, nil
}

// long applies a long option, whose value may be the next argument. It returns
// the arguments that are left.
func (p *program) long(i *invocation, text string, rest []string) ([]string, error) {
	name, value, given := strings.Cut(text, "=")
	o, err := p.find(name)
	switch {
	case err != nil:
		return rest, err
	case given && !o.value:
		return rest, p.complaint("option '--%s' doesn't allow an argument", o.name)
	case !given && o.value && len(rest) == 0:
		return rest, p.complaint("option '--%s' requires an argument", o.name)
	case !given && o.value:
		value, rest = rest[0], rest[1:]
	}
	return rest, o.apply(p, i, value)
}

// find returns the option called name, or the only one that starts so.
func (p *program) find(name string) (option, error) {
	var found []option
	for _, o := range options() {
		if o.name == name {
			return o, nil
		}
		if strings.HasPrefix(o.name, name) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		return option{}, p.complaint("unrecognized option '--%s'", name)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, o := range found {
		names = append(names, "--"+o.name)
	}
	return option{}, p.complaint("option '--%s' is ambiguous; possibilities: %s", name, strings.Join(names, ", "))
}

// complaint is an error about the command line, which the option parser prints
// with the name of the program.
func (p *program) complaint(format string, args ...any) error {
	return sayf(p.name()+": "+format, args...)
}
