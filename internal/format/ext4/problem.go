package ext4

import (
	"errors"
	"fmt"

	"sextant/internal/span"
)

// Problem is a broken rule that Check found. It is an error that wraps
// fault.ErrCorrupt, or fault.ErrUnsupported for what was not looked at.
type Problem struct {
	// Place is the structure, such as "inode 12" or "group 3".
	Place string

	// Span holds the bytes concerned, as far as one block can be blamed.
	Span span.Span

	// Bookkeeping says that no reader is misled: bitmaps, counts, copies and
	// the like, which only a writer needs.
	Bookkeeping bool

	// Err is the fact.
	Err error
}

// Error gives place and fact.
func (p *Problem) Error() string { return p.Place + ": " + p.Err.Error() }

// Unwrap returns the fact.
func (p *Problem) Unwrap() error { return p.Err }

// blockFault is an error about one block.
type blockFault struct {
	block uint64
	err   error
}

func (b *blockFault) Error() string { return b.err.Error() }
func (b *blockFault) Unwrap() error { return b.err }

func asBlockFault(err error) (*blockFault, bool) {
	var b *blockFault
	ok := errors.As(err, &b)
	return b, ok
}

// atBlock makes an error about one block.
func atBlock(block uint64, what string, err error) error {
	return &blockFault{block, fmt.Errorf("%s %d: %w", what, block, err)}
}
