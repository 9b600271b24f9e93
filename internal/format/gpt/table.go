package gpt

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"sextant/internal/span"
)

// Attributes are the 64 attribute bits of a partition.
type Attributes uint64

const (
	Required   Attributes = 1 << 0 // the platform needs this partition
	NoBlockIO  Attributes = 1 << 1 // firmware makes no Block IO device of it
	LegacyBoot Attributes = 1 << 2 // legacy BIOS bootable

	// The three below belong to the Discoverable Partitions Specification;
	// UEFI leaves the bits 48 to 63 to each partition type.

	GrowFS   Attributes = 1 << 59 // grow the file system when mounting
	ReadOnly Attributes = 1 << 60 // mount read-only
	NoAuto   Attributes = 1 << 63 // do not mount automatically
)

// String lists the bits that are set, named ones by name.
func (a Attributes) String() string {
	var set []string
	for bit := range 64 {
		if a&(1<<bit) != 0 {
			set = append(set, attributeName(bit))
		}
	}
	return strings.Join(set, ",")
}

func attributeName(bit int) string {
	switch Attributes(1) << bit {
	case Required:
		return "required"
	case NoBlockIO:
		return "no-block-io"
	case LegacyBoot:
		return "legacy-boot"
	case GrowFS:
		return "growfs"
	case ReadOnly:
		return "read-only"
	case NoAuto:
		return "no-auto"
	}
	return fmt.Sprintf("bit-%d", bit)
}

// Partition is one used entry of the table.
type Partition struct {
	// Number is the place in the table, from 1 on. In a table to be written
	// zero means the place behind the previous partition.
	Number int

	Type GUID
	UUID GUID

	// First and Last are the first and the last LBA, the last one inclusive.
	First, Last uint64

	Attributes Attributes

	// Name is the label, at most 36 UTF-16 code units.
	Name string
}

// Table is a GUID partition table. LBAs count sectors of SectorSize bytes.
type Table struct {
	DiskGUID   GUID
	SectorSize int

	// FirstUsable and LastUsable are the first and the last LBA that a
	// partition may use.
	FirstUsable, LastUsable uint64

	// Entries is how many partitions the table has room for.
	Entries int

	// Partitions lists the used entries in table order.
	Partitions []Partition
}

// New returns an empty table with room for 128 partitions, laid out for an
// image of size bytes as libfdisk does it: in images of more than 4 MiB the
// first usable LBA is the one at 1 MiB. The sector size is 512, 1024, 2048 or
// 4096.
func New(size int64, sectorSize int) (*Table, error) {
	if !slices.Contains(sectorSizes(), sectorSize) {
		return nil, fmt.Errorf("sector size %d is not 512, 1024, 2048 or 4096", sectorSize)
	}
	if size%int64(sectorSize) != 0 {
		return nil, fmt.Errorf("size %d is not a multiple of the sector size %d", size, sectorSize)
	}
	t := &Table{SectorSize: sectorSize, Entries: EntryCount}
	reserved := t.entrySectors() + 1 // a header and its entries
	sectors := uint64(size) / uint64(sectorSize)
	if size < 0 || sectors < 2*reserved+2 {
		return nil, fmt.Errorf("size %d leaves no room for a partition", size)
	}
	t.FirstUsable = 1 + reserved
	// The rule of libfdisk (util-linux libfdisk/src/alignment.c): partitions
	// begin at 1 MiB, unless that is a quarter of the disk or more.
	if mib := uint64(1<<20) / uint64(sectorSize); sectors > 4*mib {
		t.FirstUsable = mib
	}
	t.LastUsable = sectors - 1 - reserved
	return t, nil
}

// SizeFor returns the size in bytes of the smallest image in which end, a byte
// offset, is still in front of the backup table that New and Write make. The
// sector size is one that New accepts.
func SizeFor(end int64, sectorSize int) int64 {
	backup := int64(sectorSize) + span.AlignUp(EntryCount*EntrySize, int64(sectorSize))
	return span.AlignUp(end, int64(sectorSize)) + backup
}

// Span gives the bytes of p, a partition of t.
func (t *Table) Span(p Partition) span.Span {
	return lbaSpan(p.First, p.Last, t.SectorSize)
}

// entrySectors is the number of sectors that the entries of a table that we
// write take.
func (t *Table) entrySectors() uint64 {
	return uint64(span.AlignUp(int64(t.Entries)*EntrySize, int64(t.SectorSize))) / uint64(t.SectorSize)
}

// lbaSpan gives the bytes from first to last, both inclusive.
func lbaSpan(first, last uint64, sectorSize int) span.Span {
	return span.Between(int64(first)*int64(sectorSize), int64(last+1)*int64(sectorSize))
}

// sectorSizes lists the sector sizes that a table can have.
func sectorSizes() []int { return []int{512, 1024, 2048, 4096} }

// encodeName turns a label into the 36 code units of an entry.
func encodeName(name string) ([NameUnits]uint16, error) {
	var units [NameUnits]uint16
	if !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return units, fmt.Errorf("name %q is not UTF-8 text without NUL", name)
	}
	encoded := utf16.Encode([]rune(name))
	if len(encoded) > NameUnits {
		return units, fmt.Errorf("name %q takes %d UTF-16 code units, the limit is %d", name, len(encoded), NameUnits)
	}
	copy(units[:], encoded)
	return units, nil
}

// decodeName is the way back. It reports whether the code units were valid
// UTF-16; each that is not becomes U+FFFD.
func decodeName(units [NameUnits]uint16) (name string, valid bool) {
	used := units[:]
	if end := slices.Index(used, 0); end >= 0 {
		used = used[:end]
	}
	runes := utf16.Decode(used)
	return string(runes), slices.Equal(utf16.Encode(runes), used)
}
