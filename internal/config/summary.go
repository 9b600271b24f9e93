package config

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Report is one setting in force.
type Report struct {
	Section string  `json:"section"`
	Name    string  `json:"name"`
	Values  []Value `json:"values"`          // none if the setting has no value
	Unset   string  `json:"unset,omitempty"` // what that comes to
}

// Value is one value of a setting.
type Value struct {
	Text string `json:"text"`
	From Origin `json:"from"`
}

// MarshalText makes an Origin the string it prints as.
func (o Origin) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Settings returns every setting that works, with its values and where each
// comes from, in the order of Summary.
func (c *Config) Settings() []Report { return c.reports }

// Summary writes the configuration in force, one line for each value with the
// place it comes from.
func (c *Config) Summary(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	section := ""
	for _, r := range c.reports {
		if r.Section != section {
			if section != "" {
				fmt.Fprintln(t)
			}
			section = r.Section
			fmt.Fprintf(t, "[%s]\n", section)
		}
		values := r.Values
		if len(values) == 0 {
			values = []Value{{}}
		}
		for _, v := range values {
			from := v.From.String()
			if v.Text == "" && r.Unset != "" {
				from += ": " + r.Unset
			}
			fmt.Fprintf(t, "%s=%s\t%s\n", r.Name, v.Text, from)
		}
	}
	return t.Flush()
}
