package mbr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// maxLogical is how many logical partitions are read: Linux stops at 255
// partitions of a disk (DISK_MAX_PARTS).
const maxLogical = 251

// ErrNoTable says that a disk does not begin with a partition table. It wraps
// nothing: many disks have none.
var ErrNoTable = errors.New("no master boot record")

// Partition is one partition of a table.
type Partition struct {
	Number int // 1 to 4, logical ones from 5
	Type   Type
	Active bool
	Span   span.Span // bytes
}

// Table is a partition table.
type Table struct {
	// DiskID is what PARTUUIDs of the disk begin with.
	DiskID     uint32
	Partitions []Partition
}

// PartUUID returns the PARTUUID that Linux gives to p, a partition of t.
func (t *Table) PartUUID(p Partition) string { return fmt.Sprintf("%08x-%02x", t.DiskID, p.Number) }

// Read reads the table of a disk of size bytes, whose sectors have sectorSize
// bytes: the table does not say. Extended partitions themselves are not in the
// result. A sector without the signature, one that is a file system's, and one
// that stands for a GPT is ErrNoTable; a table that leads out of the disk or in
// circles wraps fault.ErrCorrupt.
func Read(r io.ReaderAt, size int64, sectorSize int) (*Table, error) {
	d := &disk{r: r, size: size, sector: int64(sectorSize), table: &Table{}}
	first, err := d.record(0)
	if err != nil {
		return nil, err
	}
	if !first.plausible() {
		return nil, ErrNoTable
	}
	d.table.DiskID = first.DiskID
	for i, e := range first.Entries {
		if e.Type == Empty || e.Sectors == 0 {
			continue
		}
		if err := d.primary(i+1, e); err != nil {
			return nil, err
		}
	}
	for _, e := range first.Entries {
		if e.Type.IsExtended() && e.Sectors > 0 {
			if err := d.logical(e); err != nil {
				return nil, err
			}
		}
	}
	if len(d.table.Partitions) == 0 {
		return nil, ErrNoTable
	}
	return d.table, nil
}

// plausible reports whether the record is a table and none that only protects a
// GPT. A FAT has the signature too, but code where the entries would be.
func (r *record) plausible() bool {
	if r.Signature != [2]uint8{0x55, 0xaa} {
		return false
	}
	for _, e := range r.Entries {
		if e.Status&0x7f != 0 || e.Type == GPT {
			return false
		}
	}
	return true
}

// disk is a disk while its tables are read.
type disk struct {
	r            io.ReaderAt
	size, sector int64
	table        *Table
}

func (d *disk) record(at int64) (*record, error) {
	if err := (span.Span{Offset: at, Length: Size}).Within(d.size); err != nil {
		if at == 0 {
			return nil, ErrNoTable
		}
		return nil, fmt.Errorf("partition table: %w: %w", err, fault.ErrCorrupt)
	}
	raw := make([]byte, Size)
	if n, err := d.r.ReadAt(raw, at); n < Size {
		return nil, fmt.Errorf("read partition table at byte %d: %w", at, err)
	}
	var rec record
	if _, err := binary.Decode(raw, binary.LittleEndian, &rec); err != nil {
		panic("internal error: " + err.Error())
	}
	return &rec, nil
}

func (d *disk) primary(number int, e entry) error {
	s, err := d.span(number, int64(e.First), e)
	if err != nil || e.Type.IsExtended() {
		return err
	}
	d.add(number, e, s)
	return nil
}

// span gives the bytes of an entry whose first sector is known.
func (d *disk) span(number int, first int64, e entry) (span.Span, error) {
	s := span.Span{Offset: first * d.sector, Length: int64(e.Sectors) * d.sector}
	if err := s.Within(d.size); err != nil {
		return s, fmt.Errorf("partition %d: %w: %w", number, err, fault.ErrCorrupt)
	}
	return s, nil
}

func (d *disk) add(number int, e entry, s span.Span) {
	d.table.Partitions = append(d.table.Partitions, Partition{Number: number, Type: e.Type, Active: e.Status == 0x80, Span: s})
}

// logical follows the chain of an extended partition. The partition of a table
// begins relative to that table, the next table relative to the extended
// partition.
func (d *disk) logical(extended entry) error {
	at := int64(extended.First)
	for range maxLogical {
		rec, err := d.record(at * d.sector)
		if err != nil {
			return err
		}
		if rec.Signature != [2]uint8{0x55, 0xaa} {
			return nil
		}
		if err := d.logicalEntries(rec, at); err != nil {
			return err
		}
		next, ok := rec.next()
		if !ok {
			return nil
		}
		at = int64(extended.First) + int64(next.First)
	}
	return fmt.Errorf("more than %d logical partitions: %w", maxLogical, fault.ErrCorrupt)
}

func (d *disk) logicalEntries(rec *record, at int64) error {
	for _, e := range rec.Entries {
		if e.Type == Empty || e.Sectors == 0 || e.Type.IsExtended() {
			continue
		}
		number := 5
		for _, p := range d.table.Partitions {
			if p.Number >= 5 {
				number++
			}
		}
		s, err := d.span(number, at+int64(e.First), e)
		if err != nil {
			return err
		}
		d.add(number, e, s)
	}
	return nil
}

// next returns the entry that leads to the next table.
func (r *record) next() (entry, bool) {
	for _, e := range r.Entries {
		if e.Type.IsExtended() && e.Sectors > 0 {
			return e, true
		}
	}
	return entry{}, false
}
