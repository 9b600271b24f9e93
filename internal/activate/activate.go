// Package activate is one run of the runtime, whoever asked for it: it gathers
// settings and candidates, lets merge do the work, tells the journal what was
// left out, and the service manager what changed.
//
//	request + settings ─ Options ─> merge ─> report ─> journal, manager
package activate

import (
	"context"
	"fmt"
	"strings"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/hierarchy"
	"sextant/internal/journal"
	"sextant/internal/manager"
	"sextant/internal/merge"
	"sextant/internal/settings"
)

// Request is what was asked for.
type Request struct {
	Root  string // "" for the running system
	Class extension.Class

	// Given are the arguments, which beat everything else.
	Given settings.Settings

	NoExec        *bool
	Force         bool
	NoReload      bool // the service manager is left alone
	AlwaysRefresh bool

	Environ settings.Environment

	// Lenient ignores systemd's configuration files where they are broken, as
	// systemd does, instead of merging nothing.
	Lenient bool

	// Identifier names the program in the journal.
	Identifier string

	// InJournal says that what Log is told ends in the journal. What was left out
	// is then not to be printed again.
	InJournal bool

	// Log is told what happens.
	Log func(merge.Level, string)
}

// Options returns what merge needs to know.
func (r *Request) Options() (merge.Options, error) {
	o, err := r.basics()
	if err != nil {
		return o, err
	}
	o.Verity = r.Environ.Verity(settings.ReadCommandLine(r.Environ))
	s, err := r.settings()
	s.Into(&o)
	return o, err
}

// harmless is Options for what merges nothing. A file that is broken is then no
// more than worth a warning: it must not keep extensions from being taken away.
func (r *Request) harmless() (merge.Options, error) {
	o, err := r.basics()
	if err != nil {
		return o, err
	}
	s, err := r.settings()
	if err != nil {
		r.Log(merge.Warning, err.Error()+" (ignored: nothing is to be merged)")
	}
	s.Into(&o)
	return o, nil
}

// basics are the options that no file has a say in.
func (r *Request) basics() (merge.Options, error) {
	dirs, err := r.Environ.Hierarchies(r.Class)
	if err != nil {
		return merge.Options{}, err
	}
	return merge.Options{
		Root: r.Root, Class: r.Class, Hierarchies: dirs, Images: r.images,
		Mutable: merge.MutableNo, Submounts: merge.SubmountsKeep,
		NoExec: r.NoExec, Force: r.Force, AlwaysRefresh: r.AlwaysRefresh,
		OSRelease: r.Environ.OSRelease(), Log: r.Log,
	}, nil
}

// settings returns all settings, the arguments first.
func (r *Request) settings() (settings.Settings, error) {
	environment, warnings := r.Environ.Settings(r.Class)
	r.warn(warnings)
	own, warnings, err := settings.Own(r.Root)
	r.warn(warnings)
	if err != nil {
		return settings.Settings{}, err
	}
	files, warnings, err := settings.Files(r.Root, r.Class)
	if err != nil && !r.Lenient {
		return settings.Settings{}, err
	}
	r.warn(warnings)
	if err != nil {
		r.Log(merge.Warning, fmt.Sprintf("Failed to parse %s config file, ignoring: %s", r.Class, settings.Says(err)))
	}
	return r.Given.Over(environment).Over(own).Over(files), nil
}

func (r *Request) warn(list []settings.Warning) {
	for _, w := range list {
		r.Log(w.Level, w.Text)
	}
}

func (r *Request) images() ([]discover.Candidate, error) {
	found, _, err := discover.List(r.Root, r.Class)
	return found, err
}

// Act is one of Merge, Refresh, Unmerge and Plan. The report is there with an error
// too, if the act began.
type Act func(context.Context, Request) (*merge.Report, error)

// Merge merges what is there.
func Merge(ctx context.Context, r Request) (*merge.Report, error) {
	return r.run(ctx, r.Options, merge.Merge)
}

// Refresh puts what is there in place of what is merged.
func Refresh(ctx context.Context, r Request) (*merge.Report, error) {
	return r.run(ctx, r.Options, merge.Refresh)
}

// Unmerge takes away what is merged.
func Unmerge(ctx context.Context, r Request) (*merge.Report, error) {
	return r.run(ctx, r.harmless, merge.Unmerge)
}

// Plan tells what Refresh would do.
func Plan(ctx context.Context, r Request) (*merge.Report, error) {
	return decide(ctx, r.Options, merge.Plan)
}

// Status returns what lies on each of the hierarchies that exist.
func Status(ctx context.Context, r Request) ([]hierarchy.Status, error) {
	opts, err := r.harmless()
	if err != nil {
		return nil, err
	}
	return merge.Status(ctx, opts)
}

type (
	act     func(context.Context, merge.Options) (*merge.Report, error)
	options func() (merge.Options, error)
)

func (r *Request) run(ctx context.Context, with options, do act) (*merge.Report, error) {
	report, err := decide(ctx, with, do)
	if report != nil {
		r.tell(report)
	}
	return report, err
}

func decide(ctx context.Context, with options, do act) (*merge.Report, error) {
	o, err := with()
	if err != nil {
		return nil, err
	}
	report, err := do(ctx, o)
	if report != nil {
		tidy(report)
	}
	return report, err
}

// tidy makes a report one to be printed: lists are there, be they empty, and the
// word for callers that branch is taken off the reasons.
func tidy(report *merge.Report) {
	report.Decisions = append([]merge.Decision{}, report.Decisions...)
	report.Merged, report.Unmerged = append([]string{}, report.Merged...), append([]string{}, report.Unmerged...)
	for i := range report.Decisions {
		d := &report.Decisions[i]
		for _, f := range []error{fault.ErrCorrupt, fault.ErrUnsupported, fault.ErrUntrusted} {
			d.Reason = strings.TrimSuffix(d.Reason, ": "+f.Error())
		}
	}
}

// tell writes a line for each image that was left out to the journal.
func (r *Request) tell(report *merge.Report) {
	for _, d := range report.Decisions {
		if d.Verdict != merge.LeftOut {
			continue
		}
		err := journal.Send(int(merge.Err), r.Identifier, LeftOut(d),
			journal.Field{Name: "SEXTANT_IMAGE", Value: d.Image.Name},
			journal.Field{Name: "SEXTANT_PATH", Value: d.Image.Path},
			journal.Field{Name: "SEXTANT_RULE", Value: d.Rule})
		if err != nil && r.InJournal {
			r.Log(merge.Err, LeftOut(d))
		}
	}
}

// LeftOut returns the line about an image that was left out.
func LeftOut(d merge.Decision) string {
	return fmt.Sprintf("%s: left out: %s", d.Image.Name, strings.ReplaceAll(d.Reason, "\n", " "))
}

// Notify tells the service manager what the extensions that came and went want
// of it. It does nothing where nothing changed, or where the manager is to be
// left alone.
func (r *Request) Notify(ctx context.Context, report *merge.Report) error {
	if r.NoReload || r.Root != "" && r.Root != "/" {
		return nil
	}
	u := report.Units
	return manager.Apply(ctx, manager.Private, manager.Wanted{Reload: u.Reload, Restart: u.Restart, ReloadOrRestart: u.ReloadOrRestart, InUnit: r.inUnit()},
		func(warning string) { r.Log(merge.Warning, warning) })
}
