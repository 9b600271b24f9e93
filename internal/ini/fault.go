package ini

import (
	"fmt"
	"strconv"
)

// Position is a place in a configuration file. Line counts from 1; 0 means the
// file as a whole.
type Position struct {
	File string
	Line int
}

// String returns "file:line", or the file alone where there is no line.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

// Fault is something wrong at a place in the configuration, as an error or as
// a warning.
type Fault struct {
	At   Position
	Text string // the rule that is broken: "Verity=maybe is not one of ..."
	Help string // what to do instead, or empty
}

// Error returns the place and the rule.
func (f *Fault) Error() string {
	if f.At == (Position{}) {
		return f.Text
	}
	return f.At.String() + ": " + f.Text
}

// Hint returns what to do instead, for the line after the error message.
func (f *Fault) Hint() string { return f.Help }

// Faultf returns a Fault whose text is formatted as by fmt.Sprintf.
func Faultf(at Position, help, format string, args ...any) *Fault {
	return &Fault{At: at, Text: fmt.Sprintf(format, args...), Help: help}
}
