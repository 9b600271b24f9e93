package gpt

import (
	"fmt"
	"hash/crc32"
	"math/bits"

	"sextant/internal/fault"
	"sextant/internal/pages"
	"sextant/internal/span"
)

// Bounds for what Read takes into memory. The specification has none, but no
// tool makes tables of more than 16384 entries.
const (
	maxEntries    = 16384
	maxEntryBytes = 4 << 20
)

// copyOfTable is one of the two copies of the table: a header with its entries.
type copyOfTable struct {
	header  header
	entries []byte
}

// readCopy reads the copy whose header is at lba. It returns nil and the
// reason if the copy is damaged.
func (d *disk) readCopy(lba uint64, place, entriesPlace Place) (*copyOfTable, error) {
	sector := d.sectorsSpan(lba, 1)
	b, err := readSpan(d.r, sector)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", place, err)
	}
	flaw := func(text string) error {
		return Problem{Place: place, Span: sector, Text: text, Rule: ruleHeader}
	}
	c := &copyOfTable{}
	decode(b, &c.header)
	if text := checkHeader(c.header, b, lba); text != "" {
		return nil, flaw(text)
	}
	if text := d.checkRange(c.header); text != "" {
		return nil, flaw(text)
	}
	at, err := d.entriesSpan(c.header, place)
	if err != nil {
		return nil, err
	}
	if c.entries, err = readSpan(d.r, at); err != nil {
		return nil, fmt.Errorf("read %s: %w", entriesPlace, err)
	}
	if crc32.ChecksumIEEE(c.entries) != c.header.EntriesCRC32 {
		return nil, Problem{Place: entriesPlace, Span: at, Text: "checksum does not match", Rule: ruleHeader}
	}
	d.checkReserved(c.header, b, place, sector)
	return c, nil
}

// checkHeader says what is wrong with a header as such, given its sector.
func checkHeader(h header, sector []byte, lba uint64) string {
	switch {
	case string(h.Signature[:]) != Signature:
		return "no signature"
	case h.Revision != Revision10:
		return fmt.Sprintf("revision is %#x, not 1.0", h.Revision)
	case h.HeaderSize < HeaderSize || int64(h.HeaderSize) > int64(len(sector)):
		return fmt.Sprintf("header size %d is not %d to %d", h.HeaderSize, HeaderSize, len(sector))
	case headerCRC(sector[:h.HeaderSize]) != h.HeaderCRC32:
		return "checksum does not match"
	case h.MyLBA != lba:
		return fmt.Sprintf("header claims to be at LBA %d, it is at %d", h.MyLBA, lba)
	}
	return ""
}

// checkRange says what is wrong with the numbers that all others rest on: the
// usable range, and size and number of the entries.
func (d *disk) checkRange(h header) string {
	switch {
	case h.FirstUsableLBA < 2 || h.FirstUsableLBA > h.LastUsableLBA || h.LastUsableLBA >= d.sectors:
		return fmt.Sprintf("usable range %d-%d does not lie inside 2-%d", h.FirstUsableLBA, h.LastUsableLBA, d.sectors-1)
	case h.MyLBA >= h.FirstUsableLBA && h.MyLBA <= h.LastUsableLBA:
		return "header lies in the usable range"
	case h.EntrySize < EntrySize || bits.OnesCount32(h.EntrySize) != 1:
		return fmt.Sprintf("entry size %d is not 128 times a power of two", h.EntrySize)
	case h.EntryLBA >= d.sectors:
		return fmt.Sprintf("entries at LBA %d lie outside the image of %d sectors", h.EntryLBA, d.sectors)
	}
	return ""
}

// entriesSpan gives the bytes of the entries, after checkRange. They must not
// reach into the usable range or cover the MBR or the header.
func (d *disk) entriesSpan(h header, place Place) (span.Span, error) {
	length := int64(h.EntryCount) * int64(h.EntrySize)
	if h.EntryCount > maxEntries || length > maxEntryBytes {
		return span.Span{}, fmt.Errorf("%s: %d entries of %d bytes: %w", place, h.EntryCount, h.EntrySize, fault.ErrUnsupported)
	}
	s := span.Span{Offset: int64(h.EntryLBA) * int64(d.sectorSize), Length: length}
	flaw := func(text string) error {
		return Problem{Place: place, Span: s, Text: text, Rule: ruleLayout}
	}
	if err := s.Within(d.size); err != nil {
		return s, flaw("entries: " + err.Error())
	}
	if s.Overlaps(lbaSpan(h.FirstUsableLBA, h.LastUsableLBA, d.sectorSize)) {
		return s, flaw("entries lie in the usable range")
	}
	if s.Overlaps(d.sectorsSpan(0, 2)) || s.Overlaps(d.sectorsSpan(h.MyLBA, 1)) {
		return s, flaw("entries lie on the MBR or on a header")
	}
	return s, nil
}

// checkReserved reports bytes that must be zero, and what the specification
// allows but Linux does not take.
func (d *disk) checkReserved(h header, sector []byte, place Place, at span.Span) {
	report := func(wrong bool, rule, text string) {
		if wrong {
			d.report(Problem{Place: place, Span: at, Text: text, Rule: rule})
		}
	}
	report(h.Reserved != 0, ruleHeader, "reserved bytes 20-24 are not zero")
	report(!pages.Zero(sector[h.HeaderSize:]), ruleHeader, "bytes behind the header are not zero")
	report(h.EntrySize != EntrySize, ruleLinux, fmt.Sprintf("entry size is %d, only %d is known", h.EntrySize, EntrySize))
	report(int64(h.EntryCount)*int64(h.EntrySize) < EntryCount*EntrySize, ruleLayout, "less than 16384 bytes of entries")
}
