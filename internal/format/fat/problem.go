package fat

import (
	"fmt"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// Problem is a broken rule that Check found. It is an error that wraps
// fault.ErrCorrupt, or fault.ErrUnsupported for what was not looked at.
type Problem struct {
	// Place is the structure, such as "boot sector" or "/EFI/BOOT".
	Place string

	// Span holds the bytes concerned, as far as one cluster can be blamed.
	Span span.Span

	// Bookkeeping says that nobody is misled by it: counts, clusters that no
	// file has, remains of long names. Edit takes such a file system.
	Bookkeeping bool

	// Err is the fact.
	Err error
}

// Error gives place and fact.
func (p *Problem) Error() string { return p.Place + ": " + p.Err.Error() }

// Unwrap returns the fact.
func (p *Problem) Unwrap() error { return p.Err }

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), fault.ErrCorrupt)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), fault.ErrUnsupported)
}
