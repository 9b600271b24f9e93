package stock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"sextant/internal/activate"
	"sextant/internal/discover"
	"sextant/internal/merge"
	"sextant/internal/version"
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
	opts, err := r.Options()
	if err != nil {
		return err
	}
	found, err := merge.Status(ctx, opts)
	if err != nil {
		return err
	}
	t := table{columns: []string{"hierarchy", "extensions", "since"}}
	for _, h := range found {
		if h.Real == "" {
			continue
		}
		row := []cell{word(h.Path), list(nil), stamp{}}
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
		return fmt.Errorf("Failed to discover images: %s", said(err))
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

var errPrivileges = errors.New("Need to be privileged.")

func (p *program) merge(ctx context.Context, _ *invocation, r activate.Request) error {
	return p.change(ctx, r, activate.Merge)
}

func (p *program) refresh(ctx context.Context, _ *invocation, r activate.Request) error {
	return p.change(ctx, r, activate.Refresh)
}

func (p *program) unmerge(ctx context.Context, _ *invocation, r activate.Request) error {
	return p.change(ctx, r, activate.Unmerge)
}

func (p *program) change(ctx context.Context, r activate.Request, do func(context.Context, activate.Request) (*merge.Report, error)) error {
	if !activate.Privileged() {
		return errPrivileges
	}
	report, err := do(ctx, r)
	if report != nil {
		p.tell(report)
	}
	if err != nil {
		return err
	}
	if err := r.Notify(ctx, report); err != nil {
		return err
	}
	return outcome(report)
}

// outcome returns the error that the exit status stands for.
func outcome(report *merge.Report) error {
	if report.Outcome == merge.AlreadyMerged {
		return fmt.Errorf("Hierarchy '%s' is already merged.", report.Hierarchy)
	}
	for _, d := range report.Decisions {
		if d.Verdict == merge.LeftOut {
			return errSaid
		}
	}
	return nil
}

// tell says what happened in the words that programs look for.
func (p *program) tell(report *merge.Report) {
	var files []string
	ignored := 0
	for _, d := range report.Decisions {
		switch d.Verdict {
		case merge.Merged:
			files = append(files, filepath.Base(d.Image.Path))
		case merge.Ignored:
			ignored++
			p.log.line(merge.Debug, d.Image.Name+": "+d.Reason)
		case merge.LeftOut:
			p.log.line(merge.Err, fmt.Sprintf("Failed to read metadata for image %s: %s", d.Image.Name, d.Reason))
		}
	}
	info := func(format string, args ...any) { p.log.line(merge.Info, fmt.Sprintf(format, args...)) }
	switch {
	case report.Outcome == merge.Skipped:
		info("Skipping extension refresh because no change was found, use --always-refresh=yes to always do a refresh.")
	case report.Outcome == merge.Nothing && ignored > 0:
		info("No suitable extensions found (%d ignored due to incompatible image(s)).", ignored)
	case report.Outcome == merge.Nothing:
		info("No extensions found.")
	case len(files) > 0:
		slices.SortFunc(files, version.Compare)
		info("Using extensions '%s'.", strings.Join(files, "', '"))
	case len(report.Merged) > 0:
		info("No extensions found, proceeding in mutable mode.")
	}
	for _, h := range report.Unmerged {
		info("Unmerged '%s'.", h)
	}
	for _, h := range report.Merged {
		info("Merged extensions into '%s'.", h)
	}
	for _, n := range report.Notices {
		p.log.line(merge.Notice, n)
	}
}
