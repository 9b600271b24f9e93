package merge

import (
	"context"
	"errors"

	"sextant/internal/hierarchy"
)

var errNotYet = errors.New("not there yet")

// Plan returns what Merge would do, without doing it. The outcome is what
// Refresh would report.
func Plan(ctx context.Context, opts Options) (*Report, error) { return nil, errNotYet }

// Merge merges the candidates. Where a hierarchy is merged already, nothing is
// done and the outcome is AlreadyMerged. The report is there with an error too,
// as far as it came.
func Merge(ctx context.Context, opts Options) (*Report, error) { return nil, errNotYet }

// Unmerge takes away what is merged.
func Unmerge(ctx context.Context, opts Options) (*Report, error) { return nil, errNotYet }

// Refresh puts what would be merged in place of what is merged.
func Refresh(ctx context.Context, opts Options) (*Report, error) { return nil, errNotYet }

// Status returns what lies on each of the hierarchies that exist.
func Status(ctx context.Context, opts Options) ([]hierarchy.Status, error) { return nil, errNotYet }
