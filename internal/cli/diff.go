package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sextant/internal/diff"
	"sextant/internal/image"
)

const diffHelp = `Tell in what two images differ: files with their contents and metadata, release
files, partitions, ids, root hash and signer. A and B can also be directories;
what is around the files counts only between images.

The exit status is 0 if nothing differs, 1 if something does, and 2 if one of
them could not be looked at.`

type diffFlags struct {
	opts diff.Options
	json bool
}

func newDiff(env Env) *cobra.Command {
	var f diffFlags
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Tell in what two images differ",
		Long:  diffHelp,
		Args:  operands(2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), env, args[0], args[1])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.opts.Times, "times", false, "modification times count too")
	flags.BoolVar(&f.opts.FilesOnly, "files", false, "nothing but the files counts")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
	return cmd
}

func (f diffFlags) run(ctx context.Context, env Env, a, b string) error {
	d, err := f.diff(ctx, env, a, b)
	if err != nil {
		return couldNotLook(err, "compare %s with %s", a, b)
	}
	if f.json {
		err = writeJSON(env.Stdout, d)
	} else {
		err = printDiff(env.Stdout, d)
	}
	if err != nil {
		return couldNotLook(err, "print what differs")
	}
	if !d.Same() {
		return &failure{cause: errors.New("they differ"), status: statusBad, quiet: true}
	}
	return nil
}

func (f diffFlags) diff(ctx context.Context, env Env, a, b string) (*diff.Diff, error) {
	one, err := image.Open(env.path(a))
	if err != nil {
		return nil, err
	}
	defer one.Close()
	other, err := image.Open(env.path(b))
	if err != nil {
		return nil, err
	}
	defer other.Close()
	return diff.Images(ctx, one, other, f.opts)
}

func printDiff(w io.Writer, d *diff.Diff) error {
	out := bufio.NewWriter(w)
	printFields(out, "image", d.Image)
	printFields(out, "release", d.Release)
	if len(d.Files) > 0 {
		fmt.Fprintln(out, "files")
	}
	for _, c := range d.Files {
		printChange(out, c)
	}
	if len(d.Directories) > 0 {
		fmt.Fprintln(out, "directories")
	}
	for _, dir := range d.Directories {
		fmt.Fprintf(out, "  %s  %+d files, %s -> %s\n", printable(dir.Path), dir.FilesB-dir.FilesA, bytesText(dir.BytesA), bytesText(dir.BytesB))
	}
	return out.Flush()
}

func printFields(w io.Writer, title string, list []diff.Field) {
	if len(list) > 0 {
		fmt.Fprintln(w, title)
	}
	for _, f := range list {
		fmt.Fprintf(w, "  %s\n", fieldText(f))
	}
}

func fieldText(f diff.Field) string {
	switch {
	case f.A == "":
		return fmt.Sprintf("%s: %s", printable(f.Name), printable(f.B))
	case f.B == "":
		return fmt.Sprintf("%s: no longer %s", printable(f.Name), printable(f.A))
	}
	return fmt.Sprintf("%s: %s -> %s", printable(f.Name), printable(f.A), printable(f.B))
}

func printChange(w io.Writer, c diff.Change) {
	marks := map[string]string{diff.Added: "+", diff.Removed: "-", diff.Changed: "~"}
	fmt.Fprintf(w, "%s %s (%s", marks[c.Change], printable(c.Path), c.Type)
	if c.Type == "file" {
		fmt.Fprintf(w, ", %s", bytesText(c.Size))
	}
	fmt.Fprintln(w, ")")
	for _, f := range c.Fields {
		fmt.Fprintf(w, "    %s\n", fieldText(f))
	}
}
