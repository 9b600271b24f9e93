package gpt

import (
	"io"

	"sextant/internal/span"
)

// Reserved returns the bytes that the table of an image of size bytes takes
// itself: the MBR, and of both copies the header's sector and the entries. Of
// a damaged copy, whose header cannot be believed, these are the places where
// Write puts it. The errors are those of Read.
func Reserved(r io.ReaderAt, size int64) ([]span.Span, error) {
	d, err := open(r, size)
	if err != nil {
		return nil, err
	}
	c, err := d.copies()
	if err != nil {
		return nil, err
	}
	last := d.sectors - 1
	list := []span.Span{{Length: MBRSize}}
	list = append(list, d.reserved(c.primary, 1, 2)...)
	return append(list, d.reserved(c.backup, last, last-d.entrySectors())...), nil
}

// reserved gives the header and the entries of a copy, or of what should be
// one, with the header and the entries at the given LBAs.
func (d *disk) reserved(c *copyOfTable, header, entries uint64) []span.Span {
	if c == nil {
		return []span.Span{d.sectorsSpan(header, 1), d.sectorsSpan(entries, d.entrySectors())}
	}
	at := int64(c.header.EntryLBA) * int64(d.sectorSize)
	return []span.Span{d.sectorsSpan(c.header.MyLBA, 1), {Offset: at, Length: int64(len(c.entries))}}
}

// entrySectors is the number of sectors that 128 entries take.
func (d *disk) entrySectors() uint64 {
	return uint64(span.AlignUp(EntryCount*EntrySize, int64(d.sectorSize))) / uint64(d.sectorSize)
}
