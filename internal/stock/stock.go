package stock

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"sextant/internal/activate"
	"sextant/internal/extension"
	"sextant/internal/merge"
	"sextant/internal/settings"
	"sextant/internal/spelling"
	"sextant/internal/varlink"
)

// Env is the world around the program.
type Env struct {
	Name           string // it was called by this one
	Stdout, Stderr io.Writer
	Dir            string // working directory
	Environ        []string
	InJournal      bool // Stderr ends in the journal
}

// Class returns the class that a program of this name works on, and whether it
// is one of systemd's two.
func Class(name string) (class extension.Class, ok bool) {
	switch name = filepath.Base(name); {
	case strings.Contains(name, "systemd-confext"):
		return extension.Confext, true
	case strings.Contains(name, "systemd-sysext"):
		return extension.Sysext, true
	}
	return 0, false
}

// Main runs the command that args name, without the program's own name, and
// returns the exit status.
func Main(ctx context.Context, env Env, args []string) int {
	class, _ := Class(env.Name)
	p := program{Env: env, class: class, environ: env.Environ}
	p.log = newLog(env, p.environ)
	if err := p.run(ctx, args); err != nil {
		p.log.failure(err)
		return 1
	}
	return 0
}

// errSaid is an error that was printed already.
var errSaid = errors.New("said")

// program is one run.
type program struct {
	Env
	class   extension.Class
	environ settings.Environment
	log     log
}

// name is how the program calls itself, whatever its file is called.
func (p *program) name() string { return "systemd-" + p.class.String() }

func (p *program) run(ctx context.Context, args []string) error {
	i, err := p.parse(args)
	if err != nil {
		return err
	}
	if i.print != "" {
		_, err := io.WriteString(p.Stdout, i.print)
		return err
	}
	r := p.request(i)
	if option := r.SwitchedOff(); option != "" {
		p.log.line(merge.Notice, "Disabled by the kernel command line option '"+option+"=', skipping execution.")
		return nil
	}
	if varlink.Inherited(p.environ.Lookup) {
		return p.serve(ctx, r)
	}
	verb := "status"
	if len(i.verb) > 0 {
		verb = i.verb[0]
	}
	run, ok := verbs()[verb]
	switch {
	case !ok:
		return unknown(verb)
	case len(i.verb) > 1 && verb != "help":
		return message("Too many arguments.")
	}
	return run(p, ctx, i, r)
}

func (p *program) request(i *invocation) activate.Request {
	return activate.Request{
		Root: i.root, Class: p.class,
		Given:  settings.Settings{Mutable: i.mutable, Policy: i.policy},
		NoExec: i.noExec, Force: i.force, NoReload: i.noReload, AlwaysRefresh: i.alwaysRefresh,
		Environ: p.environ, Lenient: true, Log: p.log.line, Identifier: p.name(), InJournal: p.InJournal,
	}
}

type verb func(p *program, ctx context.Context, i *invocation, r activate.Request) error

func verbs() map[string]verb {
	return map[string]verb{
		"status": (*program).status, "list": (*program).list,
		"merge": (*program).merge, "unmerge": (*program).unmerge, "refresh": (*program).refresh,
		"help": func(p *program, _ context.Context, _ *invocation, _ activate.Request) error {
			_, err := io.WriteString(p.Stdout, p.help())
			return err
		},
	}
}

// unknown is the error for a verb that is none, with the next best.
func unknown(name string) error {
	if near := nearest(name); near != "" {
		return sayf("Unknown command verb '%s', did you mean '%s'?", name, near)
	}
	return sayf("Unknown command verb '%s'.", name)
}

// nearest returns the verb that starts with name and is the shortest, else the
// one that takes the fewest changes, up to five, to write.
func nearest(name string) string {
	names := []string{"status", "merge", "unmerge", "refresh", "list", "help"}
	best, rest := "", 0
	for _, n := range names {
		if strings.HasPrefix(n, name) && (best == "" || len(n) < rest) {
			best, rest = n, len(n)
		}
	}
	if best != "" {
		return best
	}
	rest = 6
	for _, n := range names {
		if d := spelling.Distance(n, name, rest); d < rest {
			best, rest = n, d
		}
	}
	return best
}
