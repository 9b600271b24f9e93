package gpt

import (
	"errors"
	"fmt"
	"io"

	"sextant/internal/fault"
	"sextant/internal/pages"
	"sextant/internal/span"
)

// Read reads the table of an image of size bytes. It finds the sector size,
// prefers the primary copy, and takes the backup where that is damaged. What
// is wrong but does not hinder is on the list of problems.
//
// Every partition of the result lies inside the image and inside the usable
// range; entries for which that is not so are a problem and left out, as the
// kernel does. Partitions may overlap: that is a problem on the list.
//
// Without any GPT the error is ErrNoTable, with no undamaged copy it wraps
// fault.ErrCorrupt, and for a table larger than anybody makes
// fault.ErrUnsupported.
func Read(r io.ReaderAt, size int64) (*Table, []Problem, error) {
	d, err := open(r, size)
	if err != nil {
		return nil, nil, err
	}
	c, err := d.copies()
	if err != nil {
		return nil, nil, err
	}
	if err := d.checkMBR(); err != nil {
		return nil, nil, err
	}
	t := d.table(c.good())
	return t, d.problems, nil
}

// disk is an image while its table is read.
type disk struct {
	r          io.ReaderAt
	size       int64
	sectorSize int
	sectors    uint64
	problems   []Problem
}

func (d *disk) report(p Problem) { d.problems = append(d.problems, p) }

// open finds the sector size of an image.
func open(r io.ReaderAt, size int64) (*disk, error) {
	sectorSize, err := probe(r, size)
	if err != nil {
		return nil, err
	}
	return &disk{r: r, size: size, sectorSize: sectorSize, sectors: uint64(size) / uint64(sectorSize)}, nil
}

// probe finds the sector size by the place of a header: behind the first
// sector, or else in the last one. As in systemd (src/shared/dissect-image.c,
// probe_sector_size), two sizes with a header in place are one too many, as
// two programs could then see two tables.
func probe(r io.ReaderAt, size int64) (int, error) {
	for _, backup := range []bool{false, true} {
		var found []int
		for _, sectorSize := range sectorSizes() {
			ok, err := headerAt(r, size, sectorSize, backup)
			if err != nil {
				return 0, err
			}
			if ok {
				found = append(found, sectorSize)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return 0, fmt.Errorf("GPT headers for sectors of %d and of %d bytes: %w", found[0], found[1], fault.ErrCorrupt)
		}
	}
	return 0, ErrNoTable
}

// headerAt reports whether the second or the last sector looks like a GPT
// header that belongs there. It asks what systemd asks (src/shared/gpt.c,
// gpt_header_has_signature), which leaves the checksum out.
func headerAt(r io.ReaderAt, size int64, sectorSize int, backup bool) (bool, error) {
	sectors := size / int64(sectorSize)
	if sectors < 3 {
		return false, nil
	}
	lba := int64(1)
	if backup {
		lba = sectors - 1
	}
	b, err := readSpan(r, span.Span{Offset: lba * int64(sectorSize), Length: HeaderSize})
	if err != nil {
		return false, fmt.Errorf("read sector %d: %w", lba, err)
	}
	var h header
	decode(b, &h)
	return h.plausible() && h.MyLBA == uint64(lba), nil
}

// plausible reports whether h begins as a header does.
func (h header) plausible() bool {
	return string(h.Signature[:]) == Signature && h.Revision == Revision10 &&
		h.HeaderSize >= HeaderSize && h.HeaderSize <= 4096
}

// readSpan reads bytes that the caller has found to lie inside the image.
func readSpan(r io.ReaderAt, s span.Span) ([]byte, error) {
	b := make([]byte, s.Length)
	if _, err := pages.ReadFull(r, b, s.Offset); err != nil {
		return nil, err
	}
	return b, nil
}

// copies holds the two copies of the table; one that is damaged is nil.
type copies struct{ primary, backup *copyOfTable }

// good returns the copy that counts.
func (c copies) good() *copyOfTable {
	if c.primary != nil {
		return c.primary
	}
	return c.backup
}

// copies reads both copies. A damaged one is a problem, two are an error.
func (d *disk) copies() (copies, error) {
	primary, primaryErr := d.readCopy(1, PlacePrimary, PlacePrimaryEntries)
	backupLBA := d.sectors - 1
	if primary != nil {
		backupLBA = d.backupLBA(primary.header)
	}
	backup, backupErr := d.readCopy(backupLBA, PlaceBackup, PlaceBackupEntries)
	c := copies{primary, backup}
	switch {
	case primary == nil && backup == nil:
		return c, primaryErr
	case primary == nil:
		d.reportDamage(PlacePrimary, primaryErr)
	case backup == nil:
		d.reportDamage(PlaceBackup, backupErr)
	default:
		d.compare(primary, backup)
	}
	return c, nil
}

// reportDamage turns the reason why a copy cannot be used into a problem.
func (d *disk) reportDamage(place Place, err error) {
	var p Problem
	if !errors.As(err, &p) {
		p = Problem{Place: place, Text: err.Error(), Rule: ruleLayout}
	}
	d.report(p)
}

// backupLBA says where the backup header of a primary header is.
func (d *disk) backupLBA(primary header) uint64 {
	last := d.sectors - 1
	if primary.AlternateLBA == last {
		return last
	}
	d.report(Problem{
		Place: PlacePrimary, Span: d.sectorsSpan(1, 1), Rule: ruleLayout,
		Text: fmt.Sprintf("backup header is said to be at LBA %d, the last LBA is %d", primary.AlternateLBA, last),
	})
	if primary.AlternateLBA < last && primary.AlternateLBA > primary.LastUsableLBA {
		return primary.AlternateLBA
	}
	return last
}

// compare reports where two undamaged copies tell different things.
func (d *disk) compare(primary, backup *copyOfTable) {
	p, b := primary.header, backup.header
	for _, field := range []struct {
		name string
		same bool
	}{
		{"position of the other header", b.AlternateLBA == p.MyLBA},
		{"disk GUID", p.DiskGUID == b.DiskGUID},
		{"usable range", p.FirstUsableLBA == b.FirstUsableLBA && p.LastUsableLBA == b.LastUsableLBA},
		{"entry size or count", p.EntrySize == b.EntrySize && p.EntryCount == b.EntryCount},
		{"entries", string(primary.entries) == string(backup.entries)},
	} {
		if !field.same {
			d.report(Problem{
				Place: PlaceBackup, Span: d.sectorsSpan(b.MyLBA, 1), Rule: ruleLayout,
				Text: field.name + " differs from the primary's",
			})
		}
	}
}

// sectorsSpan gives the bytes of count sectors.
func (d *disk) sectorsSpan(lba, count uint64) span.Span {
	return lbaSpan(lba, lba+count-1, d.sectorSize)
}
