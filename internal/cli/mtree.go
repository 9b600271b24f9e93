package cli

import (
	"context"

	"github.com/spf13/cobra"

	"sextant/internal/mtree"
)

const mtreeHelp = `Print the files of an image as a BSD mtree manifest, in the form of
systemd-dissect --mtree. IMAGE can also be a directory.`

func newMtree(env Env) *cobra.Command {
	var opts mtree.Options
	cmd := &cobra.Command{
		Use:   "mtree IMAGE",
		Short: "Print a manifest of the files of an image",
		Long:  mtreeHelp,
		Args:  operands(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return couldNotLook(printMtree(cmd.Context(), env, args[0], opts), "list %s", args[0])
		},
	}
	cmd.Flags().BoolVar(&opts.NoHash, "no-hash", false, "leave out the digests, and read no file")
	return cmd
}

func printMtree(ctx context.Context, env Env, path string, opts mtree.Options) error {
	t, err := lookInto(env, path)
	if err != nil {
		return err
	}
	defer t.Close()
	return mtree.Write(ctx, env.Stdout, t.Tree, opts)
}
