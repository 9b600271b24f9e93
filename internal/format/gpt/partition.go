package gpt

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// table makes a Table of a good copy.
func (d *disk) table(c *copyOfTable) *Table {
	h := c.header
	t := &Table{
		DiskGUID:    h.DiskGUID.guid(),
		SectorSize:  d.sectorSize,
		FirstUsable: h.FirstUsableLBA,
		LastUsable:  h.LastUsableLBA,
		Entries:     int(h.EntryCount),
	}
	start := int64(h.EntryLBA) * int64(d.sectorSize)
	for i := range t.Entries {
		slot := span.Span{Offset: int64(i) * int64(h.EntrySize), Length: int64(h.EntrySize)}
		at := span.Span{Offset: start + slot.Offset, Length: slot.Length}
		if p, used := d.partition(t, i+1, c.entries[slot.Offset:slot.End()], at); used {
			t.Partitions = append(t.Partitions, p)
		}
	}
	for _, c := range conflicts(t.Partitions) {
		d.report(Problem{Place: PlacePartition, Number: c.Number, Span: t.Span(c.Partition), Text: c.text, Rule: ruleEntry})
	}
	return t
}

// partition decodes one entry. It reports false for one that is unused or
// cannot be used.
func (d *disk) partition(t *Table, number int, b []byte, at span.Span) (Partition, bool) {
	var e entry
	decode(b, &e)
	p := Partition{
		Number: number,
		Type:   e.Type.guid(), UUID: e.UUID.guid(),
		First: e.First, Last: e.Last,
		Attributes: Attributes(e.Attributes),
	}
	if p.Type.IsZero() {
		return p, false
	}
	report := func(text string) {
		d.report(Problem{Place: PlacePartition, Number: number, Span: at, Text: text, Rule: ruleEntry})
	}
	var valid bool
	if p.Name, valid = decodeName(e.Name); !valid {
		report("name is not valid UTF-16")
	}
	if !pages.Zero(b[EntrySize:]) {
		report("bytes behind the name are not zero")
	}
	if p.First > p.Last || p.First < t.FirstUsable || p.Last > t.LastUsable {
		report(fmt.Sprintf("sectors %d-%d do not lie inside %d-%d, partition left out", p.First, p.Last, t.FirstUsable, t.LastUsable))
		return p, false
	}
	return p, true
}

// conflict is a partition that cannot be beside another one.
type conflict struct {
	Partition
	other int // number
	text  string
}

// conflicts finds partitions that overlap or share a UUID. It sorts them, as
// comparing each with each takes too long for 16384.
func conflicts(partitions []Partition) []conflict {
	byStart := slices.Clone(partitions)
	slices.SortStableFunc(byStart, func(a, b Partition) int {
		return cmp.Compare(a.First, b.First)
	})
	var found []conflict
	uuids := make(map[GUID]int)
	var reach Partition // of those before, the one that ends last
	for i, p := range byStart {
		if i > 0 && p.First <= reach.Last {
			found = append(found, conflict{p, reach.Number, fmt.Sprintf("overlaps partition %d", reach.Number)})
		}
		if i == 0 || p.Last > reach.Last {
			reach = p
		}
		if other, taken := uuids[p.UUID]; taken {
			found = append(found, conflict{p, other, fmt.Sprintf("has the UUID of partition %d", other)})
		}
		uuids[p.UUID] = p.Number
	}
	return found
}

// checkMBR reports what is wrong with the protective MBR. libblkid and the
// kernel see no GPT behind an MBR without a protective record.
func (d *disk) checkMBR() error {
	at := span.Span{Offset: 0, Length: MBRSize}
	b, err := readSpan(d.r, at)
	if err != nil {
		return fmt.Errorf("read %s: %w", PlaceMBR, err)
	}
	var m mbr
	decode(b, &m)
	for _, text := range m.faults(d.sectors) {
		d.report(Problem{Place: PlaceMBR, Span: at, Text: text, Rule: ruleMBR, Hidden: !m.protects()})
	}
	return nil
}

// protects reports whether Linux looks for a GPT behind m.
func (m mbr) protects() bool {
	protective := func(r mbrRecord) bool { return r.OSType == ProtectiveMBR }
	return m.Magic == MBRMagic && slices.ContainsFunc(m.Records[:], protective)
}

// faults says what keeps m from being the protective MBR of a disk.
func (m mbr) faults(sectors uint64) []string {
	if m.Magic != MBRMagic {
		return []string{"no signature; Linux ignores the partition table"}
	}
	var faults []string
	protective := 0
	for i, r := range m.Records {
		switch {
		case r.OSType == ProtectiveMBR:
			protective++
			faults = append(faults, r.faults(i+1, sectors)...)
		case r != mbrRecord{}:
			faults = append(faults, fmt.Sprintf("record %d of type %#02x, a hybrid MBR", i+1, r.OSType))
		}
	}
	switch protective {
	case 0:
		return []string{"no protective record; Linux ignores the partition table"}
	case 1:
		return faults
	}
	return append(faults, fmt.Sprintf("%d protective records", protective))
}

// faults checks a record of type 0xEE. The CHS fields are not checked, as no
// two tools agree on them.
func (r mbrRecord) faults(number int, sectors uint64) []string {
	var faults []string
	if r.BootIndicator != 0 {
		faults = append(faults, fmt.Sprintf("record %d: boot indicator is %#02x", number, r.BootIndicator))
	}
	if r.FirstLBA != 1 {
		faults = append(faults, fmt.Sprintf("record %d: begins at LBA %d, not 1", number, r.FirstLBA))
	}
	if want := uint32(min(sectors-1, math.MaxUint32)); r.Sectors != want && r.Sectors != math.MaxUint32 {
		faults = append(faults, fmt.Sprintf("record %d: covers %d sectors, not %d", number, r.Sectors, want))
	}
	return faults
}
