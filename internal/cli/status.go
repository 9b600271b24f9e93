package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"sextant/internal/activate"
	"sextant/internal/discover"
	"sextant/internal/hierarchy"
)

const statusHelp = `Show what is merged into which directory, since when, and what stands in the way:
mounts of others at, below and above it, with the files that hide each other, and
extensions that are installed but not merged, or merged but gone.

Images are not opened: "sextant list" tells why one is not merged.`

func newStatus(env Env) *cobra.Command {
	var f runtimeFlags
	cmd := &cobra.Command{
		Use: "status", Short: "Show what is merged", Long: statusHelp, Args: operands(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cannotUnless(f.show(cmd.Context(), env), "show what is merged")
		},
	}
	f.look(cmd)
	return cmd
}

// mergedRow is one row.
type mergedRow struct {
	Hierarchy  string              `json:"hierarchy"`
	Extensions []string            `json:"extensions"`
	Since      *time.Time          `json:"since"`
	Mutable    bool                `json:"mutable"`
	Reason     string              `json:"reason,omitempty"`
	Foreign    []hierarchy.Foreign `json:"foreign,omitempty"`
}

func (f *runtimeFlags) show(ctx context.Context, env Env) error {
	r, err := f.request(env)
	if err != nil {
		return err
	}
	found, err := activate.Status(ctx, r)
	if err != nil {
		return err
	}
	rows, err := mergedRows(r, found)
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(env.Stdout, rows)
	}
	t := tabwriter.NewWriter(env.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "HIERARCHY\tEXTENSIONS\tSINCE\tMUTABLE\tREASON")
	for _, m := range rows {
		since, mutable := "-", "-"
		if m.Since != nil {
			since, mutable = m.Since.Local().Format(time.DateTime), map[bool]string{true: "yes", false: "no"}[m.Mutable]
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", m.Hierarchy, dash(strings.Join(m.Extensions, ", ")), since, mutable, dash(m.Reason))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range rows {
		printForeign(env.Stdout, m.Foreign)
	}
	return nil
}

func mergedRows(r activate.Request, found []hierarchy.Status) ([]mergedRow, error) {
	candidates, _, err := discover.List(r.Root, r.Class)
	if err != nil {
		return nil, err
	}
	rows := make([]mergedRow, 0, len(found))
	for _, h := range found {
		row := mergedRow{Hierarchy: h.Path, Extensions: []string{}, Reason: notMerged(h, found, candidates), Foreign: h.Foreign}
		if h.Merged {
			row.Extensions = append(row.Extensions, h.Extensions...)
			row.Since, row.Mutable, row.Reason = &h.Since, h.Mutable, difference(h.Extensions, candidates)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// notMerged tells why nothing is merged on one of the hierarchies, as far as
// that can be told without looking into images.
func notMerged(h hierarchy.Status, all []hierarchy.Status, candidates []discover.Candidate) string {
	merged := slices.IndexFunc(all, func(other hierarchy.Status) bool { return other.Merged })
	switch {
	case slices.ContainsFunc(h.Foreign, func(f hierarchy.Foreign) bool { return f.Place == hierarchy.Covers }):
		return "merged, but covered by a mount of others"
	case merged >= 0:
		return "what is merged into " + all[merged].Path + " has nothing here"
	case len(candidates) == 0:
		return "nothing is installed"
	}
	return fmt.Sprintf("not merged: %d installed", len(candidates))
}

// difference tells what is installed and not merged, and the other way round.
func difference(merged []string, candidates []discover.Candidate) string {
	var parts, waiting, gone []string
	names := make(map[string]bool)
	for _, c := range candidates {
		names[c.Name] = true
		if !slices.Contains(merged, c.Name) {
			waiting = append(waiting, c.Name)
		}
	}
	for _, name := range merged {
		if !names[name] {
			gone = append(gone, name)
		}
	}
	slices.Sort(waiting)
	if len(waiting) > 0 {
		parts = append(parts, "installed, not merged: "+strings.Join(waiting, ", "))
	}
	if len(gone) > 0 {
		parts = append(parts, "not installed any more: "+strings.Join(gone, ", "))
	}
	return strings.Join(parts, "; ")
}
