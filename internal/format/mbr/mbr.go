// Package mbr reads the partition tables of PCs before GPT.
//
//	sector 0             boot code, disk signature
//	    byte 446         four records of 16 bytes: primary partitions
//	    byte 510         0x55, 0xAA
//	...
//	extended partition   for each logical partition a sector of the same layout, with
//	                     the partition in its first record and the next sector in its second
//
// Numbers are little-endian and count sectors. Partitions 1 to 4 are the
// records of sector 0, logical ones count from 5 in the order of the chain, as
// in Linux. Addresses of cylinders, heads and sectors are not looked at.
//
// A single record of type 0xEE stands for a GPT; Read says so and has no
// partitions then. Left out: writing, and the tables of BSD, Solaris and Minix
// inside of partitions.
//
// Source: Linux, block/partitions/msdos.c; UEFI Specification 2.10, 5.2.
package mbr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// ErrNoTable says that there is no MBR, or one that is no partition table.
var ErrNoTable = fmt.Errorf("no MBR partition table: %w", fault.ErrCorrupt)

// Type says what a partition is for.
type Type uint8

// The types that have a meaning of their own.
const (
	Extended      Type = 0x05
	ExtendedLBA   Type = 0x0f
	ExtendedLinux Type = 0x85
	LinuxSwap     Type = 0x82
	Linux         Type = 0x83
	LinuxLVM      Type = 0x8e
	EFISystem     Type = 0xef
	LinuxRAID     Type = 0xfd
	Protective    Type = 0xee // stands for a GPT
)

// String gives the type in the usual form, 0x83.
func (t Type) String() string { return fmt.Sprintf("%#02x", uint8(t)) }

// IsExtended reports whether a partition of this type holds logical ones.
func (t Type) IsExtended() bool { return t == Extended || t == ExtendedLBA || t == ExtendedLinux }

// Table is a partition table.
type Table struct {
	SectorSize int
	Signature  uint32 // from which the PARTUUIDs are made

	// Protective says that the disk has a GPT, or had one.
	Protective bool

	Partitions []Partition // by number; extended ones among them
}

// Partition is one partition.
type Partition struct {
	Number   int
	Type     Type
	Bootable bool
	First    uint32 // sector
	Sectors  uint32
}

// Span returns where a partition lies, in bytes.
func (t *Table) Span(p Partition) span.Span {
	return span.Span{Offset: int64(p.First) * int64(t.SectorSize), Length: int64(p.Sectors) * int64(t.SectorSize)}
}

// PartUUID returns what Linux calls PARTUUID of a partition.
func (t *Table) PartUUID(p Partition) string { return fmt.Sprintf("%08x-%02x", t.Signature, p.Number) }

const (
	recordsAt    = 446
	recordSize   = 16
	magicAt      = 510
	signatureAt  = 440
	sectorBytes  = 512 // of each sector, whatever its size, that have a meaning
	firstLogical = 5

	// maxLogical is as many as anybody makes; a chain that is longer may be
	// a ring.
	maxLogical = 256
)

// record is one record of a table.
type record struct {
	BootIndicator uint8   //  0 0x80: bootable
	StartCHS      [3]byte //  1
	Type          Type    //  4 zero: unused
	EndCHS        [3]byte //  5
	First         uint32  //  8
	Sectors       uint32  // 12
}

// Read reads the table of a disk of size bytes with sectors of sectorSize.
// Every partition of the result lies inside the disk, each logical one inside
// its extended one, and none overlaps another. A table for which that is not
// so wraps fault.ErrCorrupt. What only looks like a table, such as the boot
// sector of a file system, is ErrNoTable.
func Read(r io.ReaderAt, size int64, sectorSize int) (*Table, error) {
	if sectorSize != 512 && sectorSize != 4096 {
		return nil, fmt.Errorf("sectors of %d bytes: %w", sectorSize, fault.ErrUnsupported)
	}
	d := &disk{r: r, size: size, t: &Table{SectorSize: sectorSize}}
	b, records, err := d.sector(0)
	if err != nil {
		return nil, err
	}
	if !plausible(records[:]) {
		return nil, ErrNoTable
	}
	d.t.Signature = binary.LittleEndian.Uint32(b[signatureAt:])
	for i, rec := range records {
		if rec.Type == Protective {
			d.t.Protective, d.t.Partitions = true, nil
			return d.t, nil
		}
		if rec.unused() {
			continue
		}
		if err := d.add(i+1, rec, 0, span.Span{Length: size}); err != nil {
			return nil, err
		}
	}
	if err := d.readLogical(); err != nil {
		return nil, err
	}
	if err := d.checkOverlaps(); err != nil {
		return nil, err
	}
	return d.t, nil
}

// disk is a disk while its table is read.
type disk struct {
	r    io.ReaderAt
	size int64
	t    *Table
}

func (r record) unused() bool { return r.Type == 0 || r.Sectors == 0 }

// plausible reports whether the records are those of a partition table: the
// boot indicators are what they can be, and something is there.
func plausible(records []record) bool {
	used := 0
	for _, r := range records {
		if r.BootIndicator&0x7f != 0 {
			return false
		}
		if !r.unused() {
			used++
		}
	}
	return used > 0
}

// sector reads a table at a sector.
func (d *disk) sector(lba int64) (b []byte, records [4]record, err error) {
	at := span.Span{Offset: lba * int64(d.t.SectorSize), Length: sectorBytes}
	if at.Within(d.size) != nil {
		return nil, records, ErrNoTable
	}
	b = make([]byte, sectorBytes)
	if n, err := d.r.ReadAt(b, at.Offset); n < len(b) {
		return nil, records, err
	}
	if b[magicAt] != 0x55 || b[magicAt+1] != 0xaa {
		return nil, records, ErrNoTable
	}
	if _, err := binary.Decode(b[recordsAt:], binary.LittleEndian, &records); err != nil {
		panic("internal error: " + err.Error())
	}
	return b, records, nil
}

// add adds a partition whose record counts from the sector base, and which
// must lie in bounds.
func (d *disk) add(number int, r record, base int64, bounds span.Span) error {
	p := Partition{number, r.Type, r.BootIndicator == 0x80, uint32(base + int64(r.First)), r.Sectors}
	at := d.t.Span(p)
	if base+int64(r.First) > 1<<32-1 || at.Offset < bounds.Offset || at.Length > bounds.End()-at.Offset || r.First == 0 {
		return fmt.Errorf("partition %d: bytes %s lie outside %s, or on the table: %w", number, at, bounds, fault.ErrCorrupt)
	}
	d.t.Partitions = append(d.t.Partitions, p)
	return nil
}

// readLogical follows the chain of the first extended partition, as Linux
// does; there should be no other.
func (d *disk) readLogical() error {
	for _, p := range d.t.Partitions {
		if p.Type.IsExtended() {
			return d.followChain(p)
		}
	}
	return nil
}

func (d *disk) followChain(extended Partition) error {
	bounds := d.t.Span(extended)
	number, lba := firstLogical, int64(extended.First)
	for range maxLogical {
		_, records, err := d.sector(lba)
		if errors.Is(err, ErrNoTable) && number == firstLogical {
			return nil // an extended partition that was never filled
		}
		if err != nil {
			return fmt.Errorf("logical partition %d: %w", number, err)
		}
		if r := records[0]; !r.unused() {
			if err := d.add(number, r, lba, bounds); err != nil {
				return err
			}
			number++
		}
		next := records[1]
		if next.unused() || !next.Type.IsExtended() {
			return nil
		}
		lba = int64(extended.First) + int64(next.First)
		if at := (span.Span{Offset: lba * int64(d.t.SectorSize), Length: sectorBytes}); at.Offset < bounds.Offset || at.End() > bounds.End() {
			return fmt.Errorf("logical partition %d: its table lies outside the extended partition: %w", number, fault.ErrCorrupt)
		}
	}
	return fmt.Errorf("more than %d logical partitions, or a ring of them: %w", maxLogical, fault.ErrCorrupt)
}

// checkOverlaps looks for sectors that two partitions claim. Logical ones
// share those of their extended one.
func (d *disk) checkOverlaps() error {
	for i, a := range d.t.Partitions {
		for _, b := range d.t.Partitions[:i] {
			inside := a.Number >= firstLogical && b.Type.IsExtended()
			if !inside && d.t.Span(a).Overlaps(d.t.Span(b)) {
				return fmt.Errorf("partition %d overlaps partition %d: %w", a.Number, b.Number, fault.ErrCorrupt)
			}
		}
	}
	return nil
}
