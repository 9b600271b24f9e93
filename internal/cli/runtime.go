package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"sextant/internal/activate"
	"sextant/internal/extension"
	"sextant/internal/merge"
	"sextant/internal/plain"
	"sextant/internal/policy"
	"sextant/internal/settings"
)

// statusPartly is the exit status where something was left out and the rest was
// merged.
const statusPartly = 3

// runtimeFlags are those of the verbs that look at or change a running system.
type runtimeFlags struct {
	class         string
	root          string
	mutable       string
	policy        string
	noExec        string
	submounts     string
	requireSigned bool
	force         bool
	noReload      bool
	always        bool
	dryRun        bool
	json          bool
}

// look adds the flags that every verb has.
func (f *runtimeFlags) look(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.class, "class", "sysext", "kind of extension: sysext or confext")
	flags.StringVar(&f.root, "root", "", "work on the system below this directory")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
}

// change adds the flags of the verbs that change something.
func (f *runtimeFlags) change(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.noReload, "no-reload", false, "leave the service manager alone")
}

// choose adds the flags that say what is merged, and how.
func (f *runtimeFlags) choose(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.requireSigned, "require-signed", false, "merge nothing but images with a trusted signature")
	flags.StringVar(&f.policy, "image-policy", "", "image policy, as systemd writes it (default that of the class)")
	flags.BoolVar(&f.force, "force", false, "merge what was made for another system too")
	flags.StringVar(&f.submounts, "submounts", "", "who wins below a hierarchy: keep (the mount), extension, or refuse")
}

// shape adds the flags about the overlay itself.
func (f *runtimeFlags) shape(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.mutable, "mutable", "", "what becomes of changes: "+strings.Join(settings.MutableModes(), ", "))
	flags.StringVar(&f.noExec, "noexec", "", "whether programs are kept from running (default: confext only)")
}

// request turns the flags into what the runtime is asked for.
func (f *runtimeFlags) request(env Env) (activate.Request, error) {
	r := activate.Request{
		Force: f.force, NoReload: f.noReload, AlwaysRefresh: f.always,
		Environ: env.Environ, Log: func(level merge.Level, text string) { env.log(level, text) }, Identifier: "sextant", InJournal: env.inJournal(),
	}
	var err error
	if f.root != "" {
		r.Root = env.path(f.root)
		if _, err := os.Stat(r.Root); err != nil {
			return r, fmt.Errorf("--root: %w", err)
		}
	}
	if r.Class, err = extension.ParseClass(f.class); err != nil {
		return r, usage(fmt.Errorf("--class: %w", err))
	}
	if err := f.settings(&r.Given); err != nil {
		return r, usage(err)
	}
	if f.noExec != "" {
		value, ok := settings.ParseBool(f.noExec)
		if !ok {
			return r, usage(fmt.Errorf("--noexec: %q is not a boolean", f.noExec))
		}
		r.NoExec = &value
	}
	return r, nil
}

func (f *runtimeFlags) settings(s *settings.Settings) error {
	if f.policy != "" {
		p, err := policy.Parse(f.policy)
		if err != nil {
			return err
		}
		s.Policy = &p
	}
	if f.mutable != "" {
		mode, ok := settings.ParseMutable(f.mutable)
		if !ok {
			return fmt.Errorf("--mutable: %q is none of %s", f.mutable, strings.Join(settings.MutableModes(), ", "))
		}
		s.Mutable = &mode
	}
	if f.submounts != "" {
		value, ok := settings.ParseSubmounts(f.submounts)
		if !ok {
			return fmt.Errorf("--submounts: %q is none of keep, extension, refuse", f.submounts)
		}
		s.Submounts = &value
	}
	if f.requireSigned {
		s.RequireSigned = &f.requireSigned
	}
	return nil
}

// log prints the warnings of the runtime, and reports whether this is one. What
// it did is in its report.
func (env Env) log(level merge.Level, text string) bool {
	if level > merge.Warning {
		return false
	}
	line := "warning: " + text
	if env.inJournal() {
		line = fmt.Sprintf("<%d>%s", level, text)
	}
	fmt.Fprintln(env.Stderr, plain.Text(line))
	return true
}

// cannotUnless is cannot for an error that may be a failure already, such as
// wrong usage.
func cannotUnless(err error, act string) error {
	var failed *failure
	if errors.As(err, &failed) {
		return err
	}
	return cannot(err, "%s", act)
}
