package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sextant/internal/ini"
)

// Effect says what comes of a setting that mkosi knows.
type Effect int

// The effects.
const (
	Works    Effect = iota // it ends up in the Config
	NoEffect               // it cannot change an image built here: a warning
	Refused                // it would change the image in mkosi: an error
)

// Setting describes one setting: how it is written in files and on the command
// line, and what becomes of it.
type Setting struct {
	Section string   // "Output"; empty if it is a flag only
	Name    string   // "ImageId"
	Old     []string // names that mkosi still takes, with a warning
	Flag    string   // "--image-id"
	Flags   []string // further spellings: "-O", "--output-dir"
	Arg     string   // what stands for the value in help texts
	Help    string
	Choices []string // the documented values, if they are few
	Switch  bool     // as a flag it needs no value; none means yes
	List    bool
	Effect  Effect

	// Accepted are the values of a Refused setting that ask for nothing.
	Accepted []string
	Why      string // why the setting has no effect or is refused
	Instead  string // what to do instead

	// Companions are the files in the directory that assign the setting
	// when they exist. A trailing "/*" means any file in that directory.
	Companions []string

	// Unset says what no value comes to, where that is not obvious.
	Unset string

	kind
	read     bool // the value is the companion's content, not its path
	keep     bool // an empty assignment takes nothing back
	optional bool // an empty assignment means no value, not the default
	fallback func(*loader) (text string, from Origin)
}

// kind is the part of a setting that depends on the type of its value.
type kind struct {
	split func(text string) ([]string, error) // nil if there is one value
	parse func(p *place, text string) (item, error)
	store func(c *Config, items []item)

	// reduce drops the values that others replace; nil if all count.
	reduce func(items []item) []item
}

// item is one parsed value.
type item struct {
	value any
	text  string
	from  Origin
}

// place is what a value is read in.
type place struct {
	dir     string // relative paths start here
	environ map[string]string
	from    Origin
	warn    func(help, format string, args ...any)
}

// complaint is the leaf of an error about a value.
type complaint struct{ text, help string }

func (c *complaint) Error() string { return c.text }

func complain(help, format string, args ...any) error {
	return &complaint{fmt.Sprintf(format, args...), help}
}

// one makes a setting that has one value.
func one[T any](parse func(*place, string) (T, error), field func(*Config) *T) kind {
	return kind{
		parse: parsing(parse),
		store: func(c *Config, items []item) {
			for _, i := range items {
				*field(c) = i.value.(T)
			}
		},
	}
}

// list makes a setting that has any number of values, which split finds in a
// text.
func list[T any](split func(string) ([]string, error), parse func(*place, string) (T, error), field func(*Config) *[]T) kind {
	return kind{
		split: split,
		parse: parsing(parse),
		store: func(c *Config, items []item) {
			for _, i := range items {
				*field(c) = append(*field(c), i.value.(T))
			}
		},
	}
}

func parsing[T any](parse func(*place, string) (T, error)) func(*place, string) (item, error) {
	return func(p *place, text string) (item, error) {
		v, err := parse(p, text)
		return item{v, fmt.Sprint(v), p.from}, err
	}
}

// entry is what has been assigned to a setting so far, in the files or on the
// command line.
type entry struct {
	assigned bool
	some     bool // there is a value, if only an empty list
	reset    bool // it was empty once, so the values before do not count
	items    []item
	last     Origin
}

// assign returns the entry after one more assignment.
func (s *Setting) assign(e entry, p *place, text string) (entry, error) {
	e.assigned, e.last = true, p.from
	values := []string{text}
	if s.split != nil {
		var err error
		if values, err = s.split(text); err != nil {
			return e, s.fault(p.from, text, err)
		}
	} else if strings.Contains(text, "\n") {
		return e, s.fault(p.from, text, complain("a line that is indented continues the value above it",
			"takes one value, this has several lines"))
	}
	if text == "" || len(values) == 0 {
		if !s.keep {
			e.items, e.some, e.reset = nil, false, true
		}
		return e, nil
	}
	items := e.items
	if s.split == nil {
		items = nil
	}
	for _, v := range values {
		i, err := s.parse(p, v)
		if err != nil {
			return e, s.fault(p.from, v, err)
		}
		items = append(items, i)
	}
	e.items, e.some = items, true
	return e, nil
}

// fault makes the message about a value that does not do.
func (s *Setting) fault(from Origin, value string, err error) error {
	var c *complaint
	if !errors.As(err, &c) {
		c = &complaint{text: err.Error()}
	}
	return &ini.Fault{At: from.At, Text: s.written(from, value) + ": " + c.text, Help: c.help}
}

// written returns the assignment as the user wrote it.
func (s *Setting) written(from Origin, value string) string {
	value = clip(strings.ReplaceAll(value, "\n", " "))
	switch from.Kind {
	case FromFlag:
		return from.Name + "=" + value
	case FromEnvironment:
		return from.String() + "=" + value
	}
	return s.Name + "=" + value
}

// accepts reports whether the value of a Refused setting asks for nothing.
func (s *Setting) accepts(value string) bool {
	return value == "" || slices.ContainsFunc(s.Accepted, func(a string) bool {
		if b, err := boolean(value); err == nil && (a == "yes" || a == "no") {
			return b == (a == "yes")
		}
		return a == value || a == "no" && value == "disabled"
	})
}

// refuse returns the error for a setting that is not acted on.
func (s *Setting) refuse(at ini.Position, written string) error {
	return &ini.Fault{At: at, Text: written + ": " + s.Why, Help: s.Instead}
}

// clip cuts a long text for a message.
func clip(text string) string {
	const enough = 100
	runes := []rune(text)
	if len(runes) <= enough {
		return text
	}
	return string(runes[:enough]) + "…"
}
