package gpt

import (
	"errors"
	"fmt"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// ErrNoTable says that an image has no GPT header at any place where one could
// be. It is also fault.ErrCorrupt.
var ErrNoTable error = fault.Corrupt("no GUID partition table")

// Place names a part of the table.
type Place string

// The places, in the order of their sectors.
const (
	PlaceMBR            Place = "protective MBR"
	PlacePrimary        Place = "primary header"
	PlacePrimaryEntries Place = "primary entries"
	PlacePartition      Place = "partition"
	PlaceBackupEntries  Place = "backup entries"
	PlaceBackup         Place = "backup header"
)

// Problem is a broken rule. As an error it wraps fault.ErrCorrupt.
type Problem struct {
	Place Place

	// Number is the partition's, for PlacePartition.
	Number int

	// Span holds the bytes concerned. It may lie outside the image where that
	// is the problem.
	Span span.Span

	// Hidden says that Linux does not see the whole table because of it.
	Hidden bool

	// Text is a fact, such as "checksum does not match".
	Text string

	// Rule names the rule, such as "UEFI 5.3.2".
	Rule string
}

// Error gives the place, the fact and the rule in one line.
func (p Problem) Error() string {
	place := string(p.Place)
	if p.Number > 0 {
		place = fmt.Sprintf("%s %d", p.Place, p.Number)
	}
	return fmt.Sprintf("%s: %s (%s)", place, p.Text, p.Rule)
}

// Unwrap makes every problem a fault.ErrCorrupt.
func (p Problem) Unwrap() error { return fault.ErrCorrupt }

// Err joins problems into one error, nil if there are none.
func Err(problems []Problem) error {
	var all []error
	for _, p := range problems {
		all = append(all, p)
	}
	return errors.Join(all...)
}

// The rules that Read checks. The kernel is block/partitions/efi.c, libblkid
// is libblkid/src/partitions/gpt.c of util-linux.
const (
	ruleMBR    = "UEFI 5.2.3"
	ruleLayout = "UEFI 5.3.1"
	ruleHeader = "UEFI 5.3.2"
	ruleEntry  = "UEFI 5.3.3"
	ruleLinux  = "Linux and libblkid"
)
