package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"sextant/internal/activate"
	"sextant/internal/fault"
	"sextant/internal/hierarchy"
	"sextant/internal/merge"
	"sextant/internal/plain"
)

const mergeHelp = `Lay the extensions that are installed over /usr and /opt, configuration
extensions over /etc. What is merged is gone again after "sextant unmerge", and
after a reboot.

Extensions are looked for where systemd-sysext looks: /etc/extensions,
/run/extensions, /var/lib/extensions. One that is broken, not trusted or made for
another system is left out with its reason, the others are merged.

--dry-run mounts and checks everything where nobody sees it, and prints what would
happen and why.

--require-signed takes nothing but images whose signature a certificate in
verity.d, or the kernel, vouches for: no directories either.

The exit status is 0 if everything is merged, 3 if something was left out and the
rest is merged, 1 if nothing was changed, 2 for wrong usage. What does not fit
this system is not an error.`

const refreshHelp = `Bring what is merged to the state of what is installed: merge what came, take
away what went. The new overlay is put in the place of the old one, so a program
never sees /usr without its extensions. Nothing is done where nothing changed.

The exit status is that of merge; it is 0 where there is nothing to do.`

const unmergeHelp = `Take away what is merged, whether by this program or by systemd-sysext.`

func newMerge(env Env) *cobra.Command {
	var f runtimeFlags
	cmd := f.command(env, "merge", "Merge the installed extensions into the running system", mergeHelp, activate.Merge)
	f.choose(cmd)
	f.shape(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "change nothing, print what would happen and why")
	return cmd
}

func newRefresh(env Env) *cobra.Command {
	var f runtimeFlags
	cmd := f.command(env, "refresh", "Bring what is merged to the state of what is installed", refreshHelp, activate.Refresh)
	f.choose(cmd)
	f.shape(cmd)
	cmd.Flags().BoolVar(&f.always, "always-refresh", false, "merge again where nothing changed, too")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "change nothing, print what would happen and why")
	return cmd
}

func newUnmerge(env Env) *cobra.Command {
	var f runtimeFlags
	return f.command(env, "unmerge", "Take away what is merged", unmergeHelp, activate.Unmerge)
}

// command makes the command of an act, with the flags that all of them have.
func (f *runtimeFlags) command(env Env, name, short, long string, do activate.Act) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Long: long, Args: operands(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env, name, do) },
	}
	f.look(cmd)
	f.change(cmd)
	return cmd
}

// run does one of the acts, or only plans it.
func (f *runtimeFlags) run(ctx context.Context, env Env, name string, do activate.Act) error {
	r, err := f.request(env)
	if err != nil {
		return cannotUnless(err, name)
	}
	if option := r.SwitchedOff(); option != "" {
		fmt.Fprintf(env.Stderr, "%s=0 on the kernel's command line: nothing is done\n", option)
		return nil
	}
	if !merge.Allowed() {
		return cannot(errNotRoot, "%s", name)
	}
	if f.dryRun {
		do = activate.Plan
	}
	said := make(map[string]bool)
	r.Log = func(level merge.Level, text string) {
		said[text] = said[text] || env.log(level, text)
	}
	report, err := do(ctx, r)
	if report != nil {
		report.Notices = slices.DeleteFunc(report.Notices, func(text string) bool { return !f.json && said[text] })
		if err != nil {
			failed(report)
		}
		if err := f.print(env, name, report); err != nil {
			return err
		}
	}
	if err != nil {
		if report != nil && !f.json && !f.dryRun && len(report.Decisions) > 0 && len(report.Merged)+len(report.Unmerged) == 0 {
			fmt.Fprintln(env.Stderr, "note: nothing was changed, on the other hierarchies neither")
		}
		return cannot(err, "%s", name)
	}
	if !f.dryRun {
		if err := r.Notify(ctx, report); err != nil {
			r.Log(merge.Warning, err.Error())
		}
	}
	return f.status(name, report)
}

// failed makes the report one of a run that ended with an error. What would have
// been merged was not.
func failed(report *merge.Report) {
	report.Outcome = merge.Failed
	for i := range report.Decisions {
		if d := &report.Decisions[i]; d.Verdict == merge.Merged {
			d.Verdict, d.Reason = merge.NotMerged, "nothing is wrong with it"
		}
	}
}

var errNotRoot = errors.New("only root may mount")

// status turns the report into the exit status.
func (f *runtimeFlags) status(name string, report *merge.Report) error {
	if report.Outcome == merge.AlreadyMerged {
		return cannot(alreadyMerged(report.Hierarchy), "%s", name)
	}
	merged, left := len(report.Merged), 0
	for _, d := range report.Decisions {
		switch d.Verdict {
		case merge.Merged:
			merged++
		case merge.LeftOut:
			left++
		}
	}
	switch {
	case left == 0:
		return nil
	case merged == 0:
		return &failure{cause: errors.New("all left out"), status: statusBad, quiet: true}
	}
	return &failure{cause: errors.New("some left out"), status: statusPartly, quiet: true}
}

// alreadyMerged is the hierarchy that has something merged on it.
type alreadyMerged string

func (a alreadyMerged) Error() string { return string(a) + " is merged already" }

// Hint tells the way on.
func (a alreadyMerged) Hint() string { return "sextant refresh merges again" }

// print prints what happened, or would.
func (f *runtimeFlags) print(env Env, name string, report *merge.Report) error {
	if f.json {
		return writeJSON(env.Stdout, report)
	}
	if err := printDecisions(env.Stdout, report.Decisions); err != nil {
		return err
	}
	printHints(env.Stderr, report.Decisions)
	done := func(did, would string) string {
		if f.dryRun {
			return would
		}
		return did
	}
	if name == "merge" && f.dryRun && (report.Outcome == merge.Skipped || len(report.Unmerged) > 0) {
		fmt.Fprintln(env.Stderr, "note: something is merged already, so merge would do nothing; this is what refresh would do")
	}
	switch {
	case name == "unmerge" && report.Outcome == merge.Done && len(report.Unmerged) == 0:
		fmt.Fprintln(env.Stderr, "nothing is merged")
	case report.Outcome == merge.Nothing && len(report.Decisions) == 0:
		fmt.Fprintln(env.Stderr, "nothing is installed")
	case report.Outcome == merge.Skipped:
		fmt.Fprintln(env.Stderr, "nothing changed since the last merge; --always-refresh merges all the same")
	}
	for _, h := range without(report.Unmerged, report.Merged) {
		fmt.Fprintf(env.Stdout, "%s %s\n", done("unmerged", "would unmerge"), h)
	}
	for _, h := range report.Merged {
		fmt.Fprintf(env.Stdout, "%s %s\n", done("merged into", "would merge into"), h)
	}
	for _, n := range report.Notices {
		fmt.Fprintln(env.Stderr, "note: "+plain.Text(n))
	}
	printForeign(env.Stderr, report.Foreign)
	return nil
}

// without returns what is in list but not in other.
func without(list, other []string) (rest []string) {
	has := make(map[string]bool)
	for _, s := range other {
		has[s] = true
	}
	for _, s := range list {
		if !has[s] {
			rest = append(rest, s)
		}
	}
	return rest
}

func printDecisions(out io.Writer, list []merge.Decision) error {
	if len(list) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tRESULT\tPATH\tREASON")
	for _, d := range list {
		path := d.Image.Path
		if path == "" {
			path = d.Image.Found
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", plain.Text(d.Image.Name), words(string(d.Verdict)), plain.Text(path), dash(d.Reason))
	}
	return t.Flush()
}

// printHints tells, once each, what to do about mistakes that are usual.
func printHints(out io.Writer, list []merge.Decision) {
	said := make(map[string]bool)
	for _, d := range list {
		if hint := hintAbout(d); hint != "" && !said[hint] {
			said[hint] = true
			fmt.Fprintln(out, "hint: "+hint)
		}
	}
}

func hintAbout(d merge.Decision) string {
	switch {
	case d.Verdict != merge.LeftOut:
	case d.Rule == merge.RuleRelease:
		return "an image is called NAME.raw, and has an extension-release.NAME"
	case d.Rule == merge.RuleSignature && errors.Is(d.Err, fault.ErrUntrusted):
		return "who signs is trusted by a certificate in /etc/verity.d, in a file that ends in .crt"
	case d.Rule == merge.RuleSigned && d.Image.Kind.Image():
		return "sextant sign puts a signature into an image that has a hash tree"
	}
	return ""
}

// words gives a verdict as it is read.
func words(verdict string) string { return strings.ReplaceAll(verdict, "-", " ") }

// dash gives a text in a cell of a table.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return plain.Text(text)
}

// printForeign names the mounts of others, whose files hide which, and what to
// do about it.
func printForeign(out io.Writer, list []hierarchy.Foreign) {
	for _, m := range list {
		what := m.Type
		if m.Source != m.Type && m.Source != "none" && m.Source != "" {
			what += " (" + m.Source + ")"
		}
		fmt.Fprintf(out, "note: %s on %s %s\n", plain.Text(what), plain.Text(m.Path), placeText(m.Place))
		for _, h := range m.Hides {
			fmt.Fprintf(out, "  hides %s\n", plain.Text(h))
		}
		for _, h := range m.HiddenBy {
			fmt.Fprintf(out, "  is hidden by %s\n", plain.Text(h))
		}
		if m.Advice != "" {
			fmt.Fprintf(out, "hint: %s\n", m.Advice)
		}
	}
}

func placeText(p hierarchy.Place) string {
	switch p {
	case hierarchy.Covers:
		return "lies over the merged extensions"
	case hierarchy.Beneath:
		return "is part of the host, and extensions lie over it"
	case hierarchy.Below:
		return "is mounted below the hierarchy"
	}
	return "is mounted above the hierarchy"
}
