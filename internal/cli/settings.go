package cli

import (
	"strings"

	"github.com/spf13/pflag"

	"sextant/internal/config"
)

// addSettings makes a flag of every setting of the configuration. What is
// given on the command line is appended to list, in the order of the command
// line, as the order of lists counts.
func addSettings(flags *pflag.FlagSet, list *[]config.Flag) {
	for _, s := range config.Settings() {
		for i, name := range append([]string{s.Flag}, s.Flags...) {
			addSetting(flags, list, s, name, i > 0)
		}
	}
}

func addSetting(flags *pflag.FlagSet, list *[]config.Flag, s config.Setting, name string, alias bool) {
	long, short := strings.TrimPrefix(name, "--"), ""
	if long == name {
		// A short flag needs a long one to hang on: the setting's first. pflag
		// takes it as a flag of its own otherwise.
		return
	}
	if flags.Lookup(long) != nil {
		return
	}
	if !alias {
		short = shortOf(flags, s)
	}
	f := flags.VarPF(&settingValue{list, "--" + long, s.Arg}, long, short, helpOf(s))
	f.Hidden = alias || s.Effect != config.Works
	if s.Switch {
		f.NoOptDefVal = "yes"
	}
}

// shortOf returns the one-letter spelling of a setting, if it has one that is
// free.
func shortOf(flags *pflag.FlagSet, s config.Setting) string {
	for _, name := range s.Flags {
		if len(name) == 2 && name[0] == '-' && flags.ShorthandLookup(name[1:]) == nil {
			return name[1:]
		}
	}
	return ""
}

func helpOf(s config.Setting) string {
	if len(s.Choices) == 0 {
		return s.Help
	}
	return s.Help + " (" + strings.Join(s.Choices, ", ") + ")"
}

// settingValue notes what a flag was given.
type settingValue struct {
	list *[]config.Flag
	name string
	arg  string
}

// Set notes one use of the flag.
func (v *settingValue) Set(text string) error {
	*v.list = append(*v.list, config.Flag{Name: v.name, Value: text})
	return nil
}

// String returns nothing: the defaults are the configuration's business.
func (v *settingValue) String() string { return "" }

// Type returns what stands for the value in the help text.
func (v *settingValue) Type() string { return v.arg }
