package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sextant/internal/activate"
	"sextant/internal/discover"
	"sextant/internal/merge"
	"sextant/internal/plain"
)

const listHelp = `List what is installed, and what a merge would make of it and why: merged;
ignored, as it was made for another system; left out, as something is wrong with
it; or skipped, as it is not even looked at.

Only root can open images. For others the list ends with what the names say.`

func newList(env Env) *cobra.Command {
	var f runtimeFlags
	cmd := &cobra.Command{
		Use: "list", Short: "List the installed extensions, and what becomes of them", Long: listHelp, Args: operands(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cannotUnless(f.list(cmd.Context(), env), "list extensions")
		},
	}
	f.look(cmd)
	f.choose(cmd)
	return cmd
}

// installed is one row.
type installed struct {
	Name    string     `json:"name"`
	Type    string     `json:"type,omitempty"`
	Path    string     `json:"path"`
	Time    *time.Time `json:"time,omitempty"`
	Version string     `json:"version,omitempty"`
	Result  string     `json:"result,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

func (f *runtimeFlags) list(ctx context.Context, env Env) error {
	r, err := f.request(env)
	if err != nil {
		return err
	}
	rows, err := f.installed(ctx, env, r)
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, func(a, b installed) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Path, b.Path))
	})
	if f.json {
		return writeJSON(env.Stdout, rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(env.Stderr, "nothing is installed")
		return nil
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tTYPE\tPATH\tTIME\tRESULT\tREASON")
	for _, i := range rows {
		date := "-"
		if i.Time != nil {
			date = i.Time.Local().Format(time.DateTime)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", dash(i.Name), dash(i.Type), dash(i.Path), date, dash(words(i.Result)), dash(i.Reason))
	}
	return t.Flush()
}

// installed joins what was found with what a plan decides about it.
func (f *runtimeFlags) installed(ctx context.Context, env Env, r activate.Request) ([]installed, error) {
	found, passed, err := discover.List(r.Root, r.Class)
	if err != nil {
		return nil, err
	}
	decided := make(map[string]merge.Decision)
	report, err := decide(ctx, r)
	switch {
	case errors.Is(err, errNotRoot):
		fmt.Fprintln(env.Stderr, "note: only root can open images, so what becomes of them is not known")
	case err != nil:
		fmt.Fprintln(env.Stderr, "note: nothing of it could be merged: "+plain.Text(err.Error()))
	}
	if report != nil {
		if err != nil {
			failed(report)
		}
		for _, d := range report.Decisions {
			decided[d.Image.Found] = d
		}
	}
	rows := make([]installed, 0, len(found)+len(passed))
	for _, c := range found {
		rows = append(rows, row(c, decided))
	}
	for _, p := range passed {
		rows = append(rows, installed{Name: p.Name, Path: p.Path, Result: "skipped", Reason: p.Reason})
	}
	return rows, nil
}

// decide plans a merge of everything.
func decide(ctx context.Context, r activate.Request) (*merge.Report, error) {
	if !merge.Allowed() {
		return nil, errNotRoot
	}
	// What is merged already is decided again, or all would be skipped.
	r.AlwaysRefresh = true
	return activate.Plan(ctx, r)
}

func row(c discover.Candidate, decided map[string]merge.Decision) installed {
	i := installed{Name: c.Name, Type: c.Kind.String(), Path: c.Path, Version: c.Version}
	if !c.Time.IsZero() {
		i.Time = &c.Time
	}
	if c.Fault != nil {
		i.Type, i.Path, i.Result, i.Reason = "", c.Found, string(merge.LeftOut), c.Fault.Error()
	}
	if d, ok := decided[c.Found]; ok {
		i.Result, i.Reason = string(d.Verdict), d.Reason
	}
	return i
}
