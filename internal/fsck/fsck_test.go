package fsck_test

import (
	"context"
	"errors"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/fsck"
)

// TestRun runs a check that finds one problem after the other.
func TestRun(t *testing.T) {
	c := fsck.Check{Context: t.Context()}
	next := false
	err := c.Run(func() error {
		for {
			if err := c.Untidy("everywhere", fault.ErrCorrupt); err != nil {
				return err
			}
		}
	}, func() error {
		next = true
		return nil
	})
	if n := len(c.Problems); err != nil || n != 1001 || !errors.Is(c.Problems[n-1], fault.ErrCorrupt) {
		t.Errorf("Run = %v with %d problems, want 1000 and one more", err, n)
	}
	if next {
		t.Error("the check went on after too many problems")
	}
}

// TestNotLooked wants no problem where the check could not look.
func TestNotLooked(t *testing.T) {
	broken := errors.New("input/output error")
	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		ctx       context.Context
		err, want error
		problems  int
	}{
		{t.Context(), nil, nil, 0},
		{t.Context(), fault.ErrUnsupported, nil, 1},
		{t.Context(), broken, broken, 0},
		{ended, fault.ErrCorrupt, context.Canceled, 0},
	} {
		c := fsck.Check{Context: test.ctx}
		err := c.Run(func() error { return c.Bad("here", test.err) })
		if !errors.Is(err, test.want) || len(c.Problems) != test.problems {
			t.Errorf("Run with %v = %v and %v, want %v and %d problems", test.err, err, c.Problems, test.want, test.problems)
		}
	}
}
