package ext4

import (
	"errors"
	"fmt"
)

// blockFault is an error about one block.
type blockFault struct{ err error }

func (b *blockFault) Error() string { return b.err.Error() }
func (b *blockFault) Unwrap() error { return b.err }

// atBlock makes an error about one block.
func atBlock(block uint64, what string, err error) error {
	return &blockFault{fmt.Errorf("%s %d: %w", what, block, err)}
}

// inBlock adds the block to an error of what it holds, for the first block on
// the way out only: that is the one at fault.
func inBlock(number uint64, what string, err error) error {
	var inner *blockFault
	if errors.As(err, &inner) {
		return err
	}
	return atBlock(number, what, err)
}
