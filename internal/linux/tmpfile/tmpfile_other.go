//go:build !linux

// Package tmpfile makes files without a name, which vanish with the program
// that has them open (open(2), O_TMPFILE). Only Linux has them.
package tmpfile

import (
	"errors"
	"os"
)

// Create returns errors.ErrUnsupported.
func Create(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Link returns errors.ErrUnsupported.
func Link(*os.File, string) error { return errors.ErrUnsupported }
