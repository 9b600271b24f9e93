package cli

import "github.com/spf13/cobra"

func newVerify(env Env) *cobra.Command {
	return &cobra.Command{Use: "verify IMAGE", Short: "Check an image"}
}
