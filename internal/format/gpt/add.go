package gpt

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"sextant/internal/pages"
)

// File is an image that Add changes in place. *os.File is one.
type File interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Add puts one more partition into the table of an image of size bytes. With
// Number zero it takes the first unused entry. All other entries keep their
// bytes. A damaged copy of the table is repaired on the way; two copies that
// disagree are an error.
//
// At every moment one copy on disk is undamaged, so whoever reads after a
// crash sees the partition or does not see it, but always a table.
func Add(f File, size int64, p Partition) error {
	d, err := open(f, size)
	if err != nil {
		return err
	}
	c, err := d.copies()
	if err != nil {
		return err
	}
	if c.primary != nil && c.backup != nil && string(c.primary.entries) != string(c.backup.entries) {
		return Err(d.problems)
	}
	entries, err := d.withPartition(c.good(), p)
	if err != nil {
		return err
	}
	next, err := d.renewed(c, entries)
	if err != nil {
		return err
	}
	return d.replace(f, c, next)
}

// withPartition returns the entries of a copy with p among them.
func (d *disk) withPartition(c *copyOfTable, p Partition) ([]byte, error) {
	t := d.table(c)
	entries := append([]byte(nil), c.entries...)
	size := int(c.header.EntrySize)
	if p.Number == 0 {
		p.Number = freeNumber(entries, size)
	}
	if p.Number < 1 || p.Number > t.Entries {
		return nil, fmt.Errorf("no room among %d partitions", t.Entries)
	}
	slot := entries[(p.Number-1)*size:][:size]
	if !pages.Zero(slot[:16]) {
		return nil, fmt.Errorf("partition %d is in use", p.Number)
	}
	encoded, err := encodePartition(t, p)
	if err != nil {
		return nil, fmt.Errorf("partition %d: %w", p.Number, err)
	}
	for _, c := range conflicts(append(t.Partitions, p)) {
		if c.Number == p.Number || c.other == p.Number { // others had them before
			return nil, fmt.Errorf("partition %d: %s", c.Number, c.text)
		}
	}
	clear(slot)
	copy(slot, encoded)
	return entries, nil
}

// freeNumber returns the number of the first unused entry, 0 if there is none.
func freeNumber(entries []byte, size int) int {
	for i := 0; (i+1)*size <= len(entries); i++ {
		if pages.Zero(entries[i*size:][:16]) {
			return i + 1
		}
	}
	return 0
}

// renewed returns both copies with new entries. A copy that was damaged is
// made anew at its usual place.
func (d *disk) renewed(old copies, entries []byte) (copies, error) {
	h := old.good().header
	h.HeaderSize, h.Reserved = HeaderSize, 0
	h.EntriesCRC32 = crc32.ChecksumIEEE(entries)
	length := (uint64(len(entries)) + uint64(d.sectorSize) - 1) / uint64(d.sectorSize)

	primary := copyOfTable{header: h, entries: entries}
	if old.primary == nil {
		primary.header.MyLBA, primary.header.EntryLBA = 1, 2
		if 2+length > h.FirstUsableLBA {
			return copies{}, errors.New("no room for the primary entries")
		}
	}
	backup := copyOfTable{header: h, entries: entries}
	if old.backup == nil {
		backup.header.MyLBA, backup.header.EntryLBA = d.sectors-1, d.sectors-1-length
		if length >= d.sectors || backup.header.EntryLBA <= h.LastUsableLBA {
			return copies{}, errors.New("no room for the backup entries")
		}
	} else {
		backup.header.MyLBA, backup.header.EntryLBA = old.backup.header.MyLBA, old.backup.header.EntryLBA
	}
	primary.header.AlternateLBA = backup.header.MyLBA
	backup.header.AlternateLBA = primary.header.MyLBA
	return copies{&primary, &backup}, nil
}

// replace writes both copies, each to stable storage before the other. A
// damaged copy goes first, else the backup does: the other one is what a
// reader finds if the machine stops between the two.
func (d *disk) replace(f File, old, next copies) error {
	order := []*copyOfTable{next.backup, next.primary}
	if old.primary == nil {
		order = []*copyOfTable{next.primary, next.backup}
	}
	for _, c := range order {
		if err := c.write(f, d.sectorSize); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("write partition table: %w", err)
		}
	}
	return nil
}
