package cli

import "github.com/spf13/cobra"

func newSign(env Env) *cobra.Command {
	return &cobra.Command{Use: "sign IMAGE", Short: "Add the signature to an image built with Verity=defer"}
}
