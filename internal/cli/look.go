package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"sextant/internal/image"
	"sextant/internal/tree"
)

// looked is an image or a directory that is open for looking at its files.
type looked struct {
	io.Closer
	*tree.Tree
}

// lookInto returns the files of the image or the directory at path: those at
// paths in it, or all if there are none. Close ends the access to their
// contents.
func lookInto(env Env, path string, paths ...string) (*looked, error) {
	m, err := image.Open(env.path(path))
	if err != nil {
		return nil, err
	}
	t, err := m.Tree()
	if err == nil && len(paths) > 0 {
		t, err = t.Select(paths)
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return &looked{m, t}, nil
}

// couldNotLook returns the error for an image that could not be looked at.
func couldNotLook(cause error, format string, args ...any) error {
	if cause == nil {
		return nil
	}
	return &failure{act: fmt.Sprintf(format, args...), cause: cause, status: statusUsage}
}

// printable returns a name so that it stays in one line and does nothing to a
// terminal: control characters, bytes that are no UTF-8 and backslashes become
// \xNN.
func printable(name string) string {
	plain := true
	for i := 0; i < len(name) && plain; i++ {
		plain = name[i] >= ' ' && name[i] < 0x7f && name[i] != '\\'
	}
	if plain {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		switch {
		case r == utf8.RuneError && n == 1, r < ' ', r == '\\', r >= 0x7f && r < 0xa0:
			for _, c := range []byte(name[:n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		default:
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}
