// Package fsck collects what the checks of file systems find.
package fsck

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"sextant/internal/fault"
)

// Problem is a broken rule. It is an error that wraps fault.ErrCorrupt, or
// fault.ErrUnsupported for what was not looked at.
type Problem struct {
	// Place is the structure, such as "inode 12", "boot sector" or "/EFI/BOOT".
	Place string

	// Bookkeeping says that no reader is misled: counts, copies, what no file
	// has and the like, which only a writer needs.
	Bookkeeping bool

	// Err is the fact.
	Err error
}

// Error gives place and fact.
func (p *Problem) Error() string { return p.Place + ": " + p.Err.Error() }

// Unwrap returns the fact.
func (p *Problem) Unwrap() error { return p.Err }

// maxProblems is how many problems a check lists before it gives up.
const maxProblems = 1000

// errTooMany ends a check that has found enough.
var errTooMany = errors.New("too many problems")

// Check is a check and what it has found. Each of its methods returns an error
// that ends the check: as reading failed, the Context ended, or enough was found.
type Check struct {
	Context  context.Context
	Problems []*Problem
}

// Run takes the steps of the check. That enough was found is one more problem.
func (c *Check) Run(steps ...func() error) error {
	for _, step := range steps {
		err := step()
		if errors.Is(err, errTooMany) {
			err = fmt.Errorf("more than %d problems, the rest was left out: %w", maxProblems, fault.ErrCorrupt)
			c.Problems = append(c.Problems, &Problem{Place: "check", Err: err})
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Bad adds a problem that misleads readers.
func (c *Check) Bad(place string, err error) error { return c.Add(place, false, err) }

// Untidy adds a problem that only writers care about.
func (c *Check) Untidy(place string, err error) error { return c.Add(place, true, err) }

// Add adds a problem, if there is one. An error that is not about bytes is none:
// it is returned.
func (c *Check) Add(place string, bookkeeping bool, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errTooMany):
		return err
	case c.Context.Err() != nil:
		return c.Context.Err()
	case !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", place, err)
	case len(c.Problems) >= maxProblems:
		return errTooMany
	}
	c.Problems = append(c.Problems, &Problem{Place: place, Bookkeeping: bookkeeping, Err: err})
	return nil
}
