package gpt

import (
	"fmt"
	"io"
	"slices"

	"sextant/internal/hexdump"
	"sextant/internal/pages"
	"sextant/internal/span"
)

// Describe prints the bytes of the MBR, of both headers and of all used
// entries, with what they mean. It shows damaged copies too, as far as their
// numbers can be followed; only an image without any header is an error.
func Describe(w io.Writer, r io.ReaderAt, size int64) error {
	d, err := open(r, size)
	if err != nil {
		return err
	}
	out := hexdump.New(w)
	if err := d.describeMBR(out); err != nil {
		return err
	}
	primary, err := d.describeCopy(out, PlacePrimary, 1)
	if err != nil {
		return err
	}
	backupLBA := d.sectors - 1
	if a := primary.AlternateLBA; primary.plausible() && a > 1 && a < d.sectors {
		backupLBA = a
	}
	if _, err := d.describeCopy(out, PlaceBackup, backupLBA); err != nil {
		return err
	}
	return out.Err()
}

func (d *disk) describeMBR(out *hexdump.Printer) error {
	b, err := readSpan(d.r, span.Span{Offset: 0, Length: MBRSize})
	if err != nil {
		return fmt.Errorf("read %s: %w", PlaceMBR, err)
	}
	var m mbr
	decode(b, &m)
	out.Title("%s", PlaceMBR)
	out.Rest(0, b[:446])
	for i, r := range m.Records {
		at := 446 + 16*i
		if r == (mbrRecord{}) {
			out.Rest(int64(at), b[at:][:16])
			continue
		}
		out.Field(int64(at), b[at:][:16], fmt.Sprintf("record %d: type %#02x, %d sectors from LBA %d", i+1, r.OSType, r.Sectors, r.FirstLBA))
	}
	out.Field(510, b[510:], fmt.Sprintf("signature: %#04x", m.Magic))
	return nil
}

// describeCopy prints a header and its entries.
func (d *disk) describeCopy(out *hexdump.Printer, place Place, lba uint64) (header, error) {
	at := d.sectorsSpan(lba, 1)
	b, err := readSpan(d.r, at)
	if err != nil {
		return header{}, fmt.Errorf("read %s: %w", place, err)
	}
	var h header
	decode(b, &h)
	out.Title("%s, LBA %d", place, lba)
	describeHeader(out, h, b, at.Offset)
	if !h.plausible() || d.checkRange(h) != "" {
		return h, nil
	}
	entries, err := d.entriesSpan(h, place)
	if err != nil {
		return h, nil // Read tells why; here the header's bytes say it
	}
	return h, d.describeEntries(out, h, entries)
}

func describeHeader(out *hexdump.Printer, h header, b []byte, offset int64) {
	at := int64(0)
	field := func(length int64, format string, args ...any) {
		out.Field(offset+at, b[at:at+length], fmt.Sprintf(format, args...))
		at += length
	}
	field(8, "signature: %q", h.Signature)
	field(4, "revision: %d.%d", h.Revision>>16, h.Revision&0xFFFF)
	field(4, "header size: %d", h.HeaderSize)
	sum := "wrong"
	if h.HeaderSize >= HeaderSize && int(h.HeaderSize) <= len(b) && headerCRC(b[:h.HeaderSize]) == h.HeaderCRC32 {
		sum = "right"
	}
	field(4, "header CRC32: %s", sum)
	field(4, "reserved")
	field(8, "this LBA: %d", h.MyLBA)
	field(8, "alternate LBA: %d", h.AlternateLBA)
	field(8, "first usable LBA: %d", h.FirstUsableLBA)
	field(8, "last usable LBA: %d", h.LastUsableLBA)
	field(16, "disk GUID: %s", h.DiskGUID.guid())
	field(8, "entries at LBA: %d", h.EntryLBA)
	field(4, "entry count: %d", h.EntryCount)
	field(4, "entry size: %d", h.EntrySize)
	field(4, "entries CRC32: %#08x", h.EntriesCRC32)
	out.Rest(offset+at, b[at:])
}

func (d *disk) describeEntries(out *hexdump.Printer, h header, at span.Span) error {
	b, err := readSpan(d.r, at)
	if err != nil {
		return fmt.Errorf("read partition entries: %w", err)
	}
	size := int64(h.EntrySize)
	for i := range int64(h.EntryCount) {
		slot := b[i*size:][:size]
		if !pages.Zero(slot) {
			out.Title("partition %d", i+1)
			describeEntry(out, slot, at.Offset+i*size)
		}
	}
	return nil
}

func describeEntry(out *hexdump.Printer, b []byte, offset int64) {
	var e entry
	decode(b, &e)
	name, _ := decodeName(e.Name)
	out.Field(offset, b[:16], "type: "+e.Type.guid().String())
	out.Field(offset+16, b[16:32], "UUID: "+e.UUID.guid().String())
	out.Field(offset+32, b[32:40], fmt.Sprintf("first LBA: %d", e.First))
	out.Field(offset+40, b[40:48], fmt.Sprintf("last LBA: %d", e.Last))
	out.Field(offset+48, b[48:56], fmt.Sprintf("attributes: %s", Attributes(e.Attributes)))
	used := 2 * NameUnits
	if end := slices.Index(e.Name[:], 0); end >= 0 {
		used = 2 * (end + 1)
	}
	out.Field(offset+56, b[56:56+used], fmt.Sprintf("name: %q", name))
	out.Rest(offset+56+int64(used), b[56+used:])
}
