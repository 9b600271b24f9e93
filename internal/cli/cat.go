package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"sextant/internal/tree"
)

const catHelp = `Print files of an image, one after the other, as they are. Symbolic links are
followed inside the image. IMAGE can also be a directory.`

func newCat(env Env) *cobra.Command {
	return &cobra.Command{
		Use:   "cat IMAGE PATH...",
		Short: "Print files of an image",
		Long:  catHelp,
		Args:  operands(2, anyNumber),
		RunE: func(cmd *cobra.Command, args []string) error {
			return cat(cmd.Context(), env, args[0], args[1:])
		},
	}
}

func cat(ctx context.Context, env Env, image string, paths []string) error {
	t, err := lookInto(env, image)
	if err != nil {
		return couldNotLook(err, "look into %s", image)
	}
	defer t.Close()
	for _, path := range paths {
		if err := catFile(ctx, env.Stdout, t.Tree, path); err != nil {
			return couldNotLook(err, "print %s of %s", path, image)
		}
	}
	return nil
}

func catFile(ctx context.Context, out io.Writer, t *tree.Tree, path string) error {
	node, err := t.Follow(path)
	if err != nil {
		return err
	}
	if !node.Mode.IsRegular() {
		return fmt.Errorf("is a %s", node.Mode.Kind())
	}
	if node.Content == nil {
		return nil
	}
	r, err := node.Content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return copyContent(ctx, out, io.NewSectionReader(r, 0, node.Size()))
}

// copyContent copies until the end, or until ctx ends.
func copyContent(ctx context.Context, out io.Writer, in io.Reader) error {
	buffer := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(in, buffer)
		if n > 0 {
			if _, err := out.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
