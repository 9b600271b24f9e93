package cli

import (
	"fmt"
	"io"

	"sextant/internal/image"
	"sextant/internal/plain"
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

// printable returns a name of an image as it can be printed in one line.
func printable(name string) string { return plain.Name(name) }
