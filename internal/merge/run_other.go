//go:build !linux

package merge

import (
	"context"
	"errors"

	"sextant/internal/hierarchy"
)

var errLinux = errors.New("merging works on Linux only")

// Allowed is false outside Linux.
func Allowed() bool { return false }

// Plan is an error outside Linux.
func Plan(context.Context, Options) (*Report, error) { return nil, errLinux }

// Merge is an error outside Linux.
func Merge(context.Context, Options) (*Report, error) { return nil, errLinux }

// Unmerge is an error outside Linux.
func Unmerge(context.Context, Options) (*Report, error) { return nil, errLinux }

// Refresh is an error outside Linux.
func Refresh(context.Context, Options) (*Report, error) { return nil, errLinux }

// Status is an error outside Linux.
func Status(context.Context, Options) ([]hierarchy.Status, error) { return nil, errLinux }
