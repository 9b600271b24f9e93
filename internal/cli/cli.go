// Package cli is the command line: one file for each verb, and the rules for
// output in one place.
//
// Results go to standard output, as text or, with --json, as the same values in
// JSON. Everything else (warnings, progress, errors, hints) goes to standard
// error, in lower case and without a full stop. Only this package says
// "cannot". The exit status is 0 for done, 1 for not good or nothing changed,
// 2 for wrong usage or for not having been able to look.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"sextant/internal/journal"
	"sextant/internal/keys"
	"sextant/internal/plain"
	"sextant/internal/settings"
	"sextant/internal/stock"
)

// Env is the world around a command, so that tests can give another one.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Dir            string           // working directory
	Environ        []string         // as os.Environ
	Now            func() time.Time // the clock
}

// System returns the real world.
func System() Env {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	return Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Dir: dir, Environ: os.Environ(), Now: time.Now,
	}
}

// The exit statuses.
const (
	statusDone  = 0
	statusBad   = 1
	statusUsage = 2
)

// Run is the whole program. An interrupt ends the work at the next good moment,
// a second one at once.
func Run() int {
	ctx := &interrupts{}
	env := System()
	if _, ok := stock.Class(os.Args[0]); ok {
		return stock.Main(ctx, env.stock(os.Args[0]), os.Args[1:])
	}
	return Main(ctx, env, os.Args[1:])
}

// stock returns the world for a program that is called by one of systemd's names.
func (env Env) stock(name string) stock.Env {
	return stock.Env{
		Name: name, Stdout: env.Stdout, Stderr: env.Stderr,
		Dir: env.Dir, Environ: env.Environ, InJournal: env.inJournal(),
	}
}

// inJournal reports whether standard error ends in the journal.
func (env Env) inJournal() bool {
	f, ok := env.Stderr.(*os.File)
	if !ok {
		return false
	}
	stream, _ := settings.Environment(env.Environ).Lookup("JOURNAL_STREAM")
	return journal.IsStream(f, stream)
}

// Main runs the command that args name, without the program's own name, and
// returns the exit status.
func Main(ctx context.Context, env Env, args []string) int {
	root := newRoot(env, args)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return statusDone
	}
	var failed *failure
	if !errors.As(err, &failed) {
		// What is not ours comes from the reading of the command line.
		failed = usage(err)
	}
	failed.print(env.Stderr)
	return failed.status
}

func newRoot(env Env, args []string) *cobra.Command {
	root := &cobra.Command{
		Use:                        "sextant",
		Short:                      "Build, sign, check and merge systemd system extensions",
		SilenceUsage:               true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		Args:                       known,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetFlagErrorFunc(badFlag)
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, v := range named(verbs(), args) {
		root.AddCommand(v.command(env))
	}
	return root
}

// verb is a command by its name.
type verb struct {
	name    string
	command func(Env) *cobra.Command
}

func verbs() []verb {
	return []verb{
		{"genkey", newGenkey}, {"build", newBuild}, {"sign", newSign}, {"verify", newVerify},
		{"inspect", newInspect}, {"ls", newLs}, {"cat", newCat}, {"extract", newExtract}, {"mtree", newMtree}, {"diff", newDiff},
		{"customize", newCustomize}, {"install", newInstall},
		{"merge", newMerge}, {"unmerge", newUnmerge}, {"refresh", newRefresh}, {"status", newStatus}, {"list", newList},
		{"version", newVersion},
	}
}

// named returns the verb that args begin with, or all where they begin with
// something else. To put together the flags of all takes longer than many a verb.
func named(all []verb, args []string) []verb {
	for i, v := range all {
		if len(args) > 0 && args[0] == v.name {
			return all[i : i+1]
		}
	}
	return all
}

// failure is an error on its way out: what could not be done to what, why, and
// with which exit status.
type failure struct {
	act    string // "build custom-tools", empty where the cause says all
	cause  error
	status int
	quiet  bool // everything has been said already
}

func (f *failure) Error() string { return f.cause.Error() }

// Unwrap returns the cause.
func (f *failure) Unwrap() error { return f.cause }

// cannot returns the error for an act that did not succeed, or nil if cause is
// nil.
func cannot(cause error, format string, args ...any) error {
	if cause == nil {
		return nil
	}
	return &failure{act: fmt.Sprintf(format, args...), cause: cause, status: statusBad}
}

// usage returns the error for a command line that makes no sense.
func usage(cause error) *failure {
	return &failure{cause: cause, status: statusUsage}
}

// hinter is an error that can say what to do about it.
type hinter interface{ Hint() string }

func (f *failure) print(w io.Writer) {
	if f.quiet {
		return
	}
	if errors.Is(f.cause, context.Canceled) {
		fmt.Fprintf(w, "sextant: interrupted, nothing is changed\n")
		return
	}
	// Names out of an image are in it, which may want to do things to a terminal.
	text := f.cause.Error()
	if f.act != "" {
		text = "cannot " + f.act + ": " + text
	}
	fmt.Fprintf(w, "sextant: %s\n", plain.Lines(text))
	if hint := hintFor(f.cause); hint != "" {
		fmt.Fprintf(w, "hint: %s\n", hint)
	}
}

// hintFor returns what the error itself advises, or what we know about it.
func hintFor(err error) string {
	var h hinter
	if errors.As(err, &h) {
		return h.Hint()
	}
	switch {
	case errors.Is(err, keys.ErrNoPassphrase):
		return "name a file with the passphrase with --passphrase-file"
	case errors.Is(err, syscall.ENOSPC):
		return "the disk is full; what was there before is untouched"
	}
	return ""
}
