package stock

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"sextant/internal/activate"
	"sextant/internal/discover"
	"sextant/internal/merge"
)

// show prints a table as it was asked for.
func (p *program) show(i *invocation, t table) error {
	out := t.json(i.format)
	if i.format == text {
		out = t.text(!i.noLegend)
	}
	_, err := io.WriteString(p.Stdout, out)
	return err
}

func (p *program) status(ctx context.Context, i *invocation, r activate.Request) error {
	found, err := activate.Status(ctx, r)
	if err != nil {
		return err
	}
	t := table{columns: []string{"hierarchy", "extensions", "since"}}
	for _, h := range found {
		row := []cell{word(h.Path), list(nil), nothing{}}
		if h.Merged {
			row = []cell{word(h.Path), list(h.Extensions), stamp{h.Since}}
		}
		t.rows = append(t.rows, row)
	}
	byFirst(t)
	return p.show(i, t)
}

// byFirst sorts a table by its first column.
func byFirst(t table) {
	slices.SortStableFunc(t.rows, func(a, b []cell) int { return strings.Compare(a[0].text(), b[0].text()) })
}

func (p *program) list(_ context.Context, i *invocation, r activate.Request) error {
	found, _, err := discover.List(r.Root, r.Class)
	if err != nil {
		return sayf("Failed to discover images: %s", said(err))
	}
	t := table{columns: []string{"name", "type", "path", "time"}}
	bad := false
	for _, c := range found {
		if c.Fault != nil {
			p.log.line(merge.Err, fmt.Sprintf("Failed to read metadata for image %s: %s", c.Name, said(c.Fault)))
			bad = true
			continue
		}
		t.rows = append(t.rows, []cell{word(c.Name), word(c.Kind.String()), word(c.Path), stamp{c.Time}})
	}
	byFirst(t)
	switch {
	case len(t.rows) == 0 && i.format == text:
		p.log.line(merge.Info, "No OS extensions found.")
	default:
		if err := p.show(i, t); err != nil {
			return err
		}
	}
	if bad {
		return errSaid
	}
	return nil
}

const errPrivileges = message("Need to be privileged.")

func (p *program) merge(ctx context.Context, _ *invocation, r activate.Request) error {
	return p.change(ctx, r, activate.Merge)
}

func (p *program) refresh(ctx context.Context, _ *invocation, r activate.Request) error {
	return p.change(ctx, r, activate.Refresh)
}

func (p *program) unmerge(ctx context.Context, _ *invocation, r activate.Request) error {
	return p.change(ctx, r, activate.Unmerge)
}

func (p *program) change(ctx context.Context, r activate.Request, do activate.Act) error {
	if !merge.Allowed() {
		return errPrivileges
	}
	_, err := p.perform(ctx, r, do)
	return err
}

// perform does it and says what happened.
func (p *program) perform(ctx context.Context, r activate.Request, do activate.Act) (*merge.Report, error) {
	report, err := do(ctx, r)
	if report != nil {
		p.tell(report)
	}
	if err != nil {
		return report, err
	}
	if err := r.Notify(ctx, report); err != nil {
		return report, sayf("Failed to reload service manager: %v", err)
	}
	return report, outcome(report)
}

// outcome returns the error that the exit status stands for.
func outcome(report *merge.Report) error {
	if report.Outcome == merge.AlreadyMerged {
		return sayf("Hierarchy '%s' is already merged.", report.Hierarchy)
	}
	for _, d := range report.Decisions {
		if d.Verdict == merge.LeftOut {
			return errSaid
		}
	}
	return nil
}

// tell says which images were left out, in the words of a failed merge, and that
// nothing was to be done. The rest merge said while it did it.
func (p *program) tell(report *merge.Report) {
	if report.Outcome == merge.Skipped {
		p.log.line(merge.Info, "Skipping extension refresh because no change was found, use --always-refresh=yes to always do a refresh.")
	}
	for _, d := range report.Decisions {
		if d.Verdict == merge.LeftOut && !p.InJournal {
			p.log.line(merge.Err, fmt.Sprintf("Failed to read metadata for image %s: %s", d.Image.Name, d.Reason))
		}
	}
}
