package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"sextant/internal/atomic"
	"sextant/internal/extract"
	"sextant/internal/format/tar"
	"sextant/internal/tree"
)

const extractHelp = `Write the files of an image, or those at PATH in it, to a directory or a tar archive. IMAGE
can also be a directory.

Nothing is written outside the directory, whatever names and links the image has, and nothing is
there until all is complete. Files that exist are an error without --force; directories that exist
stay as they are, and get what is in the image's. As root, owners, devices and all extended
attributes are kept; what another user cannot keep is said once.`

type extractFlags struct {
	dir, tar string
	force    bool
	noOwners bool
}

func newExtract(env Env) *cobra.Command {
	var f extractFlags
	cmd := &cobra.Command{
		Use:   "extract IMAGE [PATH...]",
		Short: "Write the files of an image to a directory or a tar archive",
		Long:  extractHelp,
		Args:  operands(1, anyNumber),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.dir != "" && f.tar != "" {
				return usage(errors.New("--directory and --tar exclude each other"))
			}
			return cannot(f.run(cmd.Context(), env, args[0], args[1:]), "extract %s", args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&f.dir, "directory", "C", "", "where to write, made if it is missing (default the working directory)")
	flags.StringVar(&f.tar, "tar", "", "write a tar archive to this file, - for standard output")
	flags.BoolVarP(&f.force, "force", "f", false, "replace files that exist")
	flags.BoolVar(&f.noOwners, "no-owners", os.Geteuid() != 0, "let everything belong to this user")
	return cmd
}

func (f extractFlags) run(ctx context.Context, env Env, path string, paths []string) error {
	t, err := lookInto(env, path, paths...)
	if err != nil {
		return err
	}
	defer t.Close()
	switch f.tar {
	case "":
		return f.toDirectory(ctx, env, t.Tree)
	case "-":
		return writeTar(ctx, env, env.Stdout, t.Tree)
	}
	return f.toTar(ctx, env, t.Tree)
}

func (f extractFlags) toDirectory(ctx context.Context, env Env, t *tree.Tree) error {
	total := dataSize(t)
	progress := newProgress(env, "extracting")
	result, err := extract.Extract(ctx, env.path(f.dir), t, extract.Options{
		Force: f.force, Owners: !f.noOwners,
		Progress: func(done int64) { progress.report(done, total) },
	})
	progress.clear()
	if errors.Is(err, extract.ErrExists) && !f.force {
		return &advised{err, "--force replaces files that exist"}
	}
	if err != nil {
		return err
	}
	for _, l := range result.LeftOut {
		env.warn(fmt.Sprintf("not kept: %s of %d files, %s first", l.What, l.Count, printable(l.First)), "")
	}
	return nil
}

// dataSize returns how many bytes will be written.
func dataSize(t *tree.Tree) (total int64) {
	seen := make(map[*tree.Inode]bool)
	t.Each(func(_ string, node *tree.Inode) {
		if !node.Mode.IsRegular() || node.Content == nil || seen[node] {
			return
		}
		seen[node] = true
		for _, s := range node.Content.Extents() {
			total += s.Length
		}
	})
	return total
}

// toTar writes an archive that appears whole or not at all.
func (f extractFlags) toTar(ctx context.Context, env Env, t *tree.Tree) error {
	path := env.path(f.tar)
	if _, err := os.Lstat(path); err == nil && !f.force {
		return &advised{fmt.Errorf("%s: %w", f.tar, extract.ErrExists), "--force replaces it"}
	}
	file, err := atomic.Create(path, 0o644)
	if err != nil {
		return err
	}
	defer file.Discard()
	if err := writeTar(ctx, env, file, t); err != nil {
		return err
	}
	return file.Commit()
}

func writeTar(ctx context.Context, env Env, w io.Writer, t *tree.Tree) error {
	out := bufio.NewWriterSize(w, 1<<20)
	leftOut, err := tar.Write(ctx, out, t)
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if n := len(leftOut); n > 0 {
		env.warn(fmt.Sprintf("not in the archive, as tar has no such files: %d sockets, %s first", n, printable(leftOut[0])), "")
	}
	return nil
}
