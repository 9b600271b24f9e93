package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// Move puts the backup table at the end of an image that grew from its old
// size, and lets the usable range and the protective MBR reach as far. Boot
// code and entries stay as they are. Both copies must be undamaged, and equal;
// else the error says why and nothing was written.
func Move(f interface {
	io.ReaderAt
	io.WriterAt
}, from, to int64) error {
	d, err := open(f, from)
	if err != nil {
		return err
	}
	c, err := d.copies()
	if err != nil {
		return err
	}
	if len(d.problems) > 0 {
		return Err(d.problems)
	}
	sectors := uint64(to) / uint64(d.sectorSize)
	length := (uint64(len(c.primary.entries)) + uint64(d.sectorSize) - 1) / uint64(d.sectorSize)
	if sectors < d.sectors || length >= sectors {
		return errors.New("the image did not grow")
	}
	next := copies{primary: &copyOfTable{c.primary.header, c.primary.entries}, backup: &copyOfTable{c.primary.header, c.primary.entries}}
	next.backup.header.MyLBA, next.backup.header.EntryLBA = sectors-1, sectors-1-length
	next.backup.header.AlternateLBA = next.primary.header.MyLBA
	next.primary.header.AlternateLBA = sectors - 1
	for _, n := range []*copyOfTable{next.primary, next.backup} {
		n.header.HeaderSize = HeaderSize
		n.header.LastUsableLBA = sectors - 2 - length
	}
	if err := d.clear(f, c.backup); err != nil {
		return err
	}
	for _, n := range []*copyOfTable{next.backup, next.primary} {
		if err := n.write(f, d.sectorSize); err != nil {
			return err
		}
	}
	return d.stretchMBR(f, sectors)
}

// clear fills the sectors of a copy with zeros.
func (d *disk) clear(w io.WriterAt, c *copyOfTable) error {
	for _, part := range []struct{ lba, length uint64 }{
		{c.header.EntryLBA, uint64(len(padded(c.entries, d.sectorSize)))},
		{c.header.MyLBA, uint64(d.sectorSize)},
	} {
		if _, err := w.WriteAt(make([]byte, part.length), int64(part.lba)*int64(d.sectorSize)); err != nil {
			return fmt.Errorf("clear old backup table: %w", err)
		}
	}
	return nil
}

// stretchMBR lets the protective record cover a disk of that many sectors.
func (d *disk) stretchMBR(w io.WriterAt, sectors uint64) error {
	b, err := readSpan(d.r, d.sectorsSpan(0, 1))
	if err != nil {
		return fmt.Errorf("read %s: %w", PlaceMBR, err)
	}
	var m mbr
	decode(b, &m)
	for i, r := range m.Records {
		if r.OSType != ProtectiveMBR {
			continue
		}
		size := binary.LittleEndian.AppendUint32(nil, uint32(min(sectors-1, math.MaxUint32)))
		if _, err := w.WriteAt(size, int64(446+16*i+12)); err != nil {
			return fmt.Errorf("write protective MBR: %w", err)
		}
	}
	return nil
}
