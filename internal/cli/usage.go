package cli

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sextant/internal/spelling"
)

// anyNumber is no limit to the number of operands.
const anyNumber = math.MaxInt

// operands is the rule for how many there are besides the flags. The error comes
// with how the command is used.
func operands(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		var err error
		switch {
		case len(args) > most && most == 0:
			err = fmt.Errorf("%s takes flags only, and %q was given", cmd.Name(), args[0])
		case len(args) > most:
			err = fmt.Errorf("%s has no use for %q", cmd.Name(), args[most])
		case len(args) < least:
			err = fmt.Errorf("%s lacks an operand, %d of %d were given", cmd.Name(), len(args), least)
		default:
			return nil
		}
		return &advised{err, "usage: " + cmd.UseLine()}
	}
}

// known is the error for a verb that is none, with the next best.
func known(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		return &advised{err, "did you mean " + strings.Join(near, " or ") + "?"}
	}
	return &advised{err, "sextant --help lists the commands"}
}

// badFlag says what is wrong with a flag. One that does not exist comes with the
// next best; a switch that was given a value, as systemd's --json= takes one, has
// none.
func badFlag(cmd *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		takes := map[string]string{"bool": "no value", "int": "a number"}[invalid.GetFlag().Value.Type()]
		if takes == "" {
			return err
		}
		return fmt.Errorf("--%s takes %s, and %q was given", invalid.GetFlag().Name, takes, invalid.GetValue())
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := spelling.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		return &advised{err, "did you mean --" + near + "?"}
	}
	return &advised{err, cmd.CommandPath() + " --help lists the flags"}
}
