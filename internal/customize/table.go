package customize

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/format/mbr"
	"sextant/internal/probe"
	"sextant/internal/span"
)

// Part is a partition of the base, or the whole of a base that is a bare file
// system.
type Part struct {
	Number     int // 0 for a bare file system
	Type       dps.Type
	Label      string // of the partition; that of the file system is in Content
	UUID       string // PARTUUID as Linux writes it
	Attributes gpt.Attributes
	Span       span.Span
	Content    probe.Content

	// hash is the partition with the hash tree that protects this one.
	hash *Part
}

// Name tells which partition it is, for messages.
func (p *Part) Name() string {
	switch {
	case p.Number == 0:
		return "the image"
	case p.Type.Name != "" && p.Type.Designator != dps.LinuxGeneric:
		return fmt.Sprintf("partition %d (%s)", p.Number, p.Type.Name)
	case p.Label != "":
		return fmt.Sprintf("partition %d (%s)", p.Number, p.Label)
	}
	return fmt.Sprintf("partition %d", p.Number)
}

// readParts finds the partitions of the disk, and what they hold.
func (b *Base) readParts() error {
	b.SectorSize = 512
	table, problems, err := gpt.Read(b.disk, b.Size)
	switch {
	case err == nil:
		for _, p := range problems {
			b.Warnings = append(b.Warnings, "partition table: "+p.Text)
		}
		b.Parts, b.SectorSize = gptParts(table), table.SectorSize
	case errors.Is(err, gpt.ErrNoTable):
		err = b.otherParts()
	}
	if err != nil {
		return err
	}
	for _, p := range b.Parts {
		if p.Content, err = probe.Probe(section(b.disk, p), p.Span.Length); err != nil {
			return fmt.Errorf("%s: %w", p.Name(), err)
		}
	}
	return protect(b.disk, b.Parts)
}

func section(r io.ReaderAt, p *Part) *io.SectionReader {
	return io.NewSectionReader(r, p.Span.Offset, p.Span.Length)
}

func gptParts(t *gpt.Table) (parts []*Part) {
	for _, p := range t.Partitions {
		part := &Part{Number: p.Number, Label: p.Name, UUID: strings.ToLower(p.UUID.String()), Attributes: p.Attributes, Span: t.Span(p)}
		part.Type, _ = dps.TypeOf(p.Type)
		parts = append(parts, part)
	}
	return parts
}

// otherParts reads a disk without GPT: one with a master boot record, or a bare
// file system. Where the first sector could be both, a partition with something
// in it decides.
func (b *Base) otherParts() error {
	content, err := probe.Probe(b.disk, b.Size)
	if err != nil {
		return err
	}
	err = b.mbrParts()
	switch {
	case err == nil && (content.Kind == "" || filled(b.disk, b.Parts)):
		return nil
	case content.Kind != "":
		b.Parts, b.SectorSize = []*Part{{Span: span.Span{Length: b.Size}}}, 512
		return nil
	case errors.Is(err, mbr.ErrNoTable):
		return fmt.Errorf("neither a partition table nor a file system: %w", fault.ErrCorrupt)
	}
	return err
}

// mbrParts reads the master boot record. It does not say how large sectors are:
// they are 512 bytes, unless only with 4096 there is something in the
// partitions.
func (b *Base) mbrParts() error {
	small, err := mbrPartsOf(b.disk, b.Size, 512)
	if err == nil && !filled(b.disk, small) {
		if large, err := mbrPartsOf(b.disk, b.Size, 4096); err == nil && filled(b.disk, large) {
			b.Parts, b.SectorSize = large, 4096
			return nil
		}
	}
	b.Parts = small
	return err
}

func mbrPartsOf(r io.ReaderAt, size int64, sector int) (parts []*Part, err error) {
	t, err := mbr.Read(r, size, sector)
	if err != nil {
		return nil, err
	}
	for _, p := range t.Partitions {
		// The types of such a table mean nothing to systemd.
		parts = append(parts, &Part{Number: p.Number, UUID: t.PartUUID(p), Span: p.Span})
	}
	return parts, nil
}

// filled reports whether one of the partitions has something in it that is
// known.
func filled(r io.ReaderAt, parts []*Part) bool {
	for _, p := range parts {
		if c, err := probe.Probe(section(r, p), p.Span.Length); err == nil && c.Kind != "" {
			return true
		}
	}
	return false
}
