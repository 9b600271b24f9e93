package verity

import (
	"cmp"
	"fmt"
	"slices"

	"sextant/internal/fault"
)

// Kind says what is wrong with a block.
type Kind string

const (
	// BadData is a data block whose digest is not the one in the tree.
	BadData Kind = "data block"

	// BadHash is a hash block whose digest is not the one in the level above.
	BadHash Kind = "hash block"

	// BadPadding is a hash block with a digest that is right, but with bytes
	// other than zero where no digest is. veritysetup refuses such a tree, the
	// kernel does not look.
	BadPadding Kind = "padding of hash block"

	// BadSuperblock is a superblock with reserved bytes that are not zero.
	BadSuperblock Kind = "superblock"
)

// Finding is one bad block.
type Finding struct {
	Kind Kind

	// Level is the level of a hash block, 0 the lowest.
	Level int

	// Block is the number of the block on its level or in the data.
	Block int64

	// Offset is the block's first byte, in the data for BadData and in the
	// hash area for all others.
	Offset int64
}

// String names the block.
func (f Finding) String() string {
	if f.Kind == BadHash || f.Kind == BadPadding {
		return fmt.Sprintf("%s %d of level %d at byte %d", f.Kind, f.Block, f.Level, f.Offset)
	}
	return fmt.Sprintf("%s %d at byte %d", f.Kind, f.Block, f.Offset)
}

// MaxFindings is how many bad blocks of each kind a report lists.
const MaxFindings = 100

// Report is what Verify found.
type Report struct {
	// RootMatches says whether the root hash vouches for the top of the tree.
	// Where it does not, nothing else was looked at.
	RootMatches bool

	// The numbers of bad blocks, and of data blocks that could not be judged
	// because a hash block above them is bad.
	BadData, BadHash, BadPadding, BadSuperblock, UncheckedData int64

	// Findings lists the first MaxFindings of each kind: superblock, then hash
	// blocks from the top level down, then data blocks.
	Findings []Finding
}

// Err returns nil for a tree without fault. A digest that does not match wraps
// fault.ErrUntrusted, bytes that are not zero wrap fault.ErrCorrupt.
func (r *Report) Err() error {
	switch {
	case !r.RootMatches:
		return fmt.Errorf("root hash does not match: %w", fault.ErrUntrusted)
	case r.BadData+r.BadHash > 0:
		return fmt.Errorf("%d data blocks and %d hash blocks do not match, %d data blocks not checked, first %s: %w",
			r.BadData, r.BadHash, r.UncheckedData, r.first(BadData, BadHash), fault.ErrUntrusted)
	case r.BadPadding > 0:
		return fmt.Errorf("%s is not zero: %w", r.first(BadPadding), fault.ErrCorrupt)
	case r.BadSuperblock > 0:
		return fmt.Errorf("reserved bytes of superblock are not zero: %w", fault.ErrCorrupt)
	}
	return nil
}

func (r *Report) first(kinds ...Kind) Finding {
	for _, f := range r.Findings {
		if slices.Contains(kinds, f.Kind) {
			return f
		}
	}
	panic("internal error: a finding was counted and not listed")
}

// add counts a finding, and lists it if it is among the first MaxFindings of
// its kind, so that the report does not depend on who came first.
func (r *Report) add(f Finding) {
	counts := map[Kind]*int64{BadData: &r.BadData, BadHash: &r.BadHash, BadPadding: &r.BadPadding, BadSuperblock: &r.BadSuperblock}
	*counts[f.Kind]++
	at, _ := slices.BinarySearchFunc(r.Findings, f, compareFindings)
	r.Findings = slices.Insert(r.Findings, at, f)
	if *counts[f.Kind] <= MaxFindings {
		return
	}
	for last := len(r.Findings) - 1; ; last-- {
		if r.Findings[last].Kind == f.Kind {
			r.Findings = slices.Delete(r.Findings, last, last+1)
			return
		}
	}
}

// compareFindings orders by place: superblock, levels from the top, data.
func compareFindings(a, b Finding) int {
	return cmp.Or(
		cmp.Compare(rank(a), rank(b)),
		cmp.Compare(a.Block, b.Block),
		cmp.Compare(a.Kind, b.Kind),
	)
}

func rank(f Finding) int {
	switch f.Kind {
	case BadSuperblock:
		return -maxLevels - 1
	case BadData:
		return 1
	}
	return -f.Level
}

// maxLevels is more than any tree has: each level is at least 8 times smaller
// than the one below, and there are less than 2^63 blocks.
const maxLevels = 63
