package gpt

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"sextant/internal/pages"
)

// Write puts the protective MBR, the table and its backup into an image of
// size bytes. It writes the sectors that hold them and no others. It refuses a
// table that breaks a rule: partitions that overlap, lie outside the usable
// range, share an identifier or a place in the table, or have no type.
func Write(w io.WriterAt, size int64, t *Table) error {
	entries, err := encodeTable(t, size)
	if err != nil {
		return err
	}
	last := uint64(size)/uint64(t.SectorSize) - 1
	// The backup comes first and the MBR last: who finds a table at the usual
	// place may trust that the rest is there too.
	for _, c := range []copyOfTable{
		newCopy(t, entries, last, 1, t.LastUsable+1),
		newCopy(t, entries, 1, last, 2),
	} {
		if err := c.write(w, t.SectorSize); err != nil {
			return err
		}
	}
	sector := make([]byte, t.SectorSize)
	copy(sector, bytes(protectiveMBR(last+1)))
	if _, err := w.WriteAt(sector, 0); err != nil {
		return fmt.Errorf("write protective MBR: %w", err)
	}
	return nil
}

func newCopy(t *Table, entries []byte, at, other, entryLBA uint64) copyOfTable {
	return copyOfTable{entries: entries, header: header{
		Signature:      [8]byte([]byte(Signature)),
		Revision:       Revision10,
		HeaderSize:     HeaderSize,
		MyLBA:          at,
		AlternateLBA:   other,
		FirstUsableLBA: t.FirstUsable,
		LastUsableLBA:  t.LastUsable,
		DiskGUID:       t.DiskGUID.disk(),
		EntryLBA:       entryLBA,
		EntryCount:     uint32(t.Entries),
		EntrySize:      EntrySize,
		EntriesCRC32:   crc32.ChecksumIEEE(entries),
	}}
}

// write puts the entries first and the header, which vouches for them, after
// them. It fills the last sector of each with zeros.
func (c copyOfTable) write(w io.WriterAt, sectorSize int) error {
	if _, err := w.WriteAt(padded(c.entries, sectorSize), int64(c.header.EntryLBA)*int64(sectorSize)); err != nil {
		return fmt.Errorf("write partition entries: %w", err)
	}
	if _, err := w.WriteAt(padded(c.header.sealed(), sectorSize), int64(c.header.MyLBA)*int64(sectorSize)); err != nil {
		return fmt.Errorf("write GPT header: %w", err)
	}
	return nil
}

func padded(b []byte, sectorSize int) []byte {
	if short := len(b) % sectorSize; short != 0 {
		return append(slices.Clip(b), make([]byte, sectorSize-short)...)
	}
	return b
}

// protectiveMBR covers a disk of that many sectors (UEFI table 5-3). The CHS
// fields are those of libfdisk: the end is always the largest address.
func protectiveMBR(sectors uint64) mbr {
	return mbr{Magic: MBRMagic, Records: [4]mbrRecord{{
		StartCHS: [3]byte{0x00, 0x02, 0x00},
		OSType:   ProtectiveMBR,
		EndCHS:   [3]byte{0xFF, 0xFF, 0xFF},
		FirstLBA: 1,
		Sectors:  uint32(min(sectors-1, math.MaxUint32)),
	}}}
}

// encodeTable checks t against an image of size bytes and returns the bytes of
// its entries.
func encodeTable(t *Table, size int64) ([]byte, error) {
	if err := checkLayout(t, size); err != nil {
		return nil, err
	}
	entries := make([]byte, t.Entries*EntrySize)
	partitions := numbered(t.Partitions)
	for _, p := range partitions {
		if p.Number < 1 || p.Number > t.Entries {
			return nil, fmt.Errorf("partition %d: the table has room for %d", p.Number, t.Entries)
		}
		encoded, err := encodePartition(t, p)
		if err != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Number, err)
		}
		slot := entries[(p.Number-1)*EntrySize:][:EntrySize]
		if !pages.Zero(slot) {
			return nil, fmt.Errorf("partition %d: the place is taken twice", p.Number)
		}
		copy(slot, encoded)
	}
	for _, c := range conflicts(partitions) {
		return nil, fmt.Errorf("partition %d: %s", c.Number, c.text)
	}
	return entries, nil
}

// numbered gives each partition without a number the place behind the one
// before it.
func numbered(partitions []Partition) []Partition {
	all := slices.Clone(partitions)
	number := 0
	for i := range all {
		number++
		if all[i].Number != 0 {
			number = all[i].Number
		}
		all[i].Number = number
	}
	return all
}

// checkLayout checks what Write needs to know of the table as a whole.
func checkLayout(t *Table, size int64) error {
	usual, err := New(size, t.SectorSize)
	if err != nil {
		return err
	}
	// UEFI 5.3.1 wants at least 16384 bytes of entries.
	if t.Entries < EntryCount || t.Entries > maxEntries {
		return fmt.Errorf("room for %d partitions, it must be %d to %d", t.Entries, EntryCount, maxEntries)
	}
	sectors := uint64(size) / uint64(t.SectorSize)
	reserved := t.entrySectors() + 1
	if sectors < 2*reserved+2 {
		return fmt.Errorf("size %d leaves no room for a partition", size)
	}
	if t.FirstUsable < 1+reserved || t.LastUsable > sectors-1-reserved || t.FirstUsable > t.LastUsable {
		return fmt.Errorf("usable range %d-%d does not lie inside %d-%d",
			t.FirstUsable, t.LastUsable, usual.FirstUsable, usual.LastUsable)
	}
	return nil
}

// encodePartition returns the bytes of an entry, after it checked p as such.
func encodePartition(t *Table, p Partition) ([]byte, error) {
	switch {
	case p.Type.IsZero():
		return nil, errors.New("no type")
	case p.UUID.IsZero():
		return nil, errors.New("no UUID")
	case p.First > p.Last || p.First < t.FirstUsable || p.Last > t.LastUsable:
		return nil, fmt.Errorf("sectors %d-%d do not lie inside %d-%d", p.First, p.Last, t.FirstUsable, t.LastUsable)
	}
	name, err := encodeName(p.Name)
	if err != nil {
		return nil, err
	}
	return bytes(entry{
		Type: p.Type.disk(), UUID: p.UUID.disk(),
		First: p.First, Last: p.Last,
		Attributes: uint64(p.Attributes), Name: name,
	}), nil
}
