// Package mbr reads the partition table of a disk that has no GPT: the master
// boot record, and the chain of extended boot records behind it.
//
//	0    boot code
//	446  four entries of 16 bytes
//	510  55 AA
//
// An entry of an extended type names a range of the disk. In its first sector
// stands a table of the same form: the first entry is a logical partition, the
// second one leads to the next table. Logical partitions count from 5.
//
// There is no specification; what is here is what Linux does
// (block/partitions/msdos.c) and fdisk writes. Addresses by cylinder, head and
// sector are ignored, as everybody does. The tables inside partitions that other
// systems make (BSD, Solaris, Minix) are left out.
package mbr

import "fmt"

// Sizes of the structures in bytes.
const (
	Size      = 512
	EntrySize = 16
)

// Type is the type byte of a partition.
type Type uint8

// Types that mean something here.
const (
	Empty       Type = 0x00
	Extended    Type = 0x05
	ExtendedLBA Type = 0x0f
	LinuxExt    Type = 0x85
	GPT         Type = 0xee // the whole disk has a GPT
	ESP         Type = 0xef
)

// IsExtended reports whether the partition holds a chain of tables.
func (t Type) IsExtended() bool { return t == Extended || t == ExtendedLBA || t == LinuxExt }

// String returns the byte in hexadecimal.
func (t Type) String() string { return fmt.Sprintf("%#02x", uint8(t)) }

// entry is one place in a table. Numbers are little-endian.
type entry struct {
	Status   uint8    // 0   80 for active
	FirstCHS [3]uint8 // 1
	Type     Type     // 4
	LastCHS  [3]uint8 // 5
	First    uint32   // 8   LBA, from where the table's own rule says
	Sectors  uint32   // 12
}

// record is a sector with a table.
type record struct {
	Code      [440]uint8 // 0    boot code
	DiskID    uint32     // 440  little-endian; only in the first sector
	Copy      [2]uint8   // 444
	Entries   [4]entry   // 446
	Signature [2]uint8   // 510  55 AA
}
