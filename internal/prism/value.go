package prism

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Pos is a place in a configuration file. Line and Column count from 1; the
// zero Pos is nowhere.
type Pos struct {
	File         string
	Line, Column int
}

// String returns "file:line:column".
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Given reports whether the value at this place was written by somebody.
func (p Pos) Given() bool { return p != Pos{} }

// Fault is something wrong at a place in a configuration.
type Fault struct {
	At   Pos
	Text string // the rule that is broken
	Help string // what to do instead, or empty
}

// Error returns the place and the rule.
func (f *Fault) Error() string {
	if !f.At.Given() {
		return f.Text
	}
	return f.At.String() + ": " + f.Text
}

// Hint returns what to do instead, for the line after the error message.
func (f *Fault) Hint() string { return f.Help }

// faults are several, each with what to do about it on its own line.
type faults []error

// Error returns one line for each.
func (fs faults) Error() string {
	var lines []string
	for _, err := range fs {
		line := err.Error()
		var f *Fault
		if errors.As(err, &f) && f.Help != "" {
			line += "; " + f.Help
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Hint returns nothing, as the lines have it.
func (fs faults) Hint() string { return "" }

// Unwrap returns each fault.
func (fs faults) Unwrap() []error { return fs }

// leaf is a value that is written as a scalar.
type leaf interface {
	// take reads the value. The error says what is wrong with the text.
	take(text string, at Pos) error

	// schema describes the texts that take accepts.
	schema() map[string]any
}

// Text is a string. As in Image Customizer a number or a truth value is taken
// as it is written.
type Text struct {
	Value string
	Pos
}

func (t *Text) take(text string, at Pos) error {
	t.Value, t.Pos = text, at
	return nil
}

func (t *Text) schema() map[string]any { return map[string]any{"type": "string"} }

// Bool is a truth value.
type Bool struct {
	Value bool
	Pos
}

func (b *Bool) take(text string, at Pos) error {
	b.Pos = at
	switch strings.ToLower(text) {
	case "true", "yes", "on":
		b.Value = true
	case "false", "no", "off":
	default:
		return fmt.Errorf("%q is neither true nor false", text)
	}
	return nil
}

func (b *Bool) schema() map[string]any { return map[string]any{"type": "boolean"} }

// Mode holds permission bits, at most 0777.
type Mode struct {
	Value uint16
	Pos
}

// take reads an octal number, quoted or not: "0644" and 644 are the same.
func (m *Mode) take(text string, at Pos) error {
	m.Pos = at
	bits, err := strconv.ParseUint(text, 8, 32)
	if err != nil {
		return fmt.Errorf("%q is not an octal number such as \"644\"", text)
	}
	if bits > 0o777 {
		return fmt.Errorf("%q has bits outside of 777", text)
	}
	m.Value = uint16(bits)
	return nil
}

func (m *Mode) schema() map[string]any {
	return map[string]any{"oneOf": []any{
		map[string]any{"type": "string", "pattern": "^0*[0-7]{1,3}$"},
		map[string]any{"type": "integer", "minimum": 0, "maximum": 777},
	}}
}

// LoadMode says when a kernel module is loaded.
type LoadMode struct {
	Value string // one of the constants
	Pos
}

// The load modes. Inherit is also what counts without one.
const (
	Always  = "always"
	Auto    = "auto"
	Disable = "disable"
	Inherit = "inherit"
)

func (l *LoadMode) take(text string, at Pos) error {
	if text == "" {
		return nil
	}
	l.Value, l.Pos = text, at
	return oneOf(text, loadModes())
}

func (l *LoadMode) schema() map[string]any {
	return map[string]any{"type": "string", "enum": loadModes()}
}

func loadModes() []string { return []string{Always, Auto, Disable, Inherit} }

// Format is the format of a disk image, as Image Customizer names it.
type Format struct {
	Value string
	Pos
}

func (f *Format) take(text string, at Pos) error {
	if text == "" {
		return nil
	}
	f.Value, f.Pos = text, at
	return CheckFormat(text)
}

func (f *Format) schema() map[string]any {
	return map[string]any{"type": "string", "enum": Formats()}
}

// Formats lists the formats of disk images that sextant writes.
func Formats() []string { return []string{"raw", "qcow2", "vhd", "vhd-fixed", "vhdx"} }

// otherFormats lists those that Image Customizer writes and sextant does not.
func otherFormats() []string {
	return []string{"iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image"}
}

// CheckFormat returns an error unless sextant writes that format.
func CheckFormat(name string) error {
	if slices.Contains(otherFormats(), name) {
		return fmt.Errorf("sextant does not make %s, only %s", name, list(Formats()))
	}
	return oneOf(name, Formats())
}

// Feature is a preview feature of Image Customizer.
type Feature struct {
	Value string
	Pos
}

func (f *Feature) take(text string, at Pos) error {
	f.Value, f.Pos = text, at
	return oneOf(text, features())
}

func (f *Feature) schema() map[string]any {
	return map[string]any{"type": "string", "enum": features()}
}

// features lists the preview features. Each of them only allows the use of a
// key or a flag, so the name alone asks for nothing.
func features() []string {
	return []string{
		"uki", "output-artifacts", "inject-files", "reinitialize-verity", "package-snapshot-time", "kdump-boot-files",
		"preview-distro-version", "base-configs", "input-image-oci", "output-selinux-policy", "btrfs", "create",
		"unsupported-distro-version", "tools-dir", "remove-package-manager",
	}
}

func oneOf(text string, names []string) error {
	if slices.Contains(names, text) {
		return nil
	}
	return fmt.Errorf("%q is none of %s", text, list(names))
}

// list writes names as a person does: "a, b and c".
func list(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}
