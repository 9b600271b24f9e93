package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"sextant/internal/fault"
)

// TestConstants wants a constant to be what fmt.Errorf would have made.
func TestConstants(t *testing.T) {
	for _, c := range []struct{ got, kind, want error }{
		{fault.Corrupt("is empty"), fault.ErrCorrupt, fmt.Errorf("is empty: %w", fault.ErrCorrupt)},
		{fault.Unsupported("is too new"), fault.ErrUnsupported, fmt.Errorf("is too new: %w", fault.ErrUnsupported)},
	} {
		if c.got.Error() != c.want.Error() {
			t.Errorf("Error() = %q, want %q", c.got, c.want)
		}
		for _, kind := range []error{fault.ErrCorrupt, fault.ErrUnsupported, fault.ErrUntrusted} {
			if got, want := errors.Is(c.got, kind), kind == c.kind; got != want {
				t.Errorf("Is(%q, %q) = %v, want %v", c.got, kind, got, want)
			}
		}
	}
	if wrapped := fmt.Errorf("image: %w", fault.Corrupt("is empty")); !errors.Is(wrapped, fault.Corrupt("is empty")) || errors.Is(wrapped, fault.Corrupt("is full")) {
		t.Errorf("%q is not found by its constant, or by another", wrapped)
	}
}
