// Package image opens what build makes, and what others make:
//
//	file ─ GPT ─ roles ─┬─ signature ──┐
//	                    ├─ hash tree ──┼─ report
//	                    └─ file system ┘
//
// An Image is read-only and reads what it is asked for, so looking into a large
// one is cheap.
package image

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/span"
)

// Image is a disk image, or a bare file system without a partition table.
type Image struct {
	r    io.ReaderAt
	file *os.File // nil if it was not opened by path
	Size int64    // bytes

	// Table is nil for a bare file system.
	Table    *gpt.Table
	Problems []gpt.Problem // of the table

	// Parts are the partitions; a bare file system is one without a type.
	Parts []Part
}

// Part is a partition.
type Part struct {
	gpt.Partition
	Type dps.Type // with no name if the type is unknown
	Span span.Span
}

// Name tells which partition it is, for messages.
func (p *Part) Name() string {
	if p.Number == 0 {
		return "image"
	}
	if p.Type.Name == "" {
		return fmt.Sprintf("partition %d", p.Number)
	}
	return fmt.Sprintf("partition %d (%s)", p.Number, p.Type.Name)
}

// Open opens the image at path.
func Open(path string) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m, err := openFile(f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

func openFile(f *os.File) (*Image, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, errors.New("is a directory, not an image")
	}
	// A block device has no size in its inode.
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	m, err := Read(f, size)
	if err != nil {
		return nil, err
	}
	m.file = f
	return m, nil
}

// Read opens an image of size bytes. Bytes that are neither a partition table
// nor a file system wrap fault.ErrCorrupt.
func Read(r io.ReaderAt, size int64) (*Image, error) {
	if size == 0 {
		return nil, fmt.Errorf("is empty: %w", fault.ErrCorrupt)
	}
	m := &Image{r: r, Size: size}
	table, problems, err := gpt.Read(r, size)
	switch {
	case err == nil:
		m.Table, m.Problems = table, problems
		m.addPartitions()
		return m, nil
	case !errors.Is(err, gpt.ErrNoTable):
		return nil, err
	}
	if _, kindErr := fileSystemKind(r, size); kindErr != nil {
		return nil, fmt.Errorf("neither a partition table nor a file system: %w", fault.ErrCorrupt)
	}
	m.Parts = []Part{{Span: span.Span{Length: size}}}
	return m, nil
}

func (m *Image) addPartitions() {
	for _, p := range m.Table.Partitions {
		part := Part{Partition: p, Span: m.Table.Span(p)}
		part.Type, _ = dps.TypeOf(p.Type)
		m.Parts = append(m.Parts, part)
	}
}

// Close closes the file.
func (m *Image) Close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}

// Section returns the bytes of a partition.
func (m *Image) Section(p *Part) *io.SectionReader {
	return io.NewSectionReader(m.r, p.Span.Offset, p.Span.Length)
}

// Volume is a data partition with what protects it.
type Volume struct {
	Data      *Part
	Hash      *Part // nil without dm-verity
	Signature *Part // nil without signature
}

// Free returns the parts of the disk that partitions may use and none does, in
// order. A bare file system has none.
func (m *Image) Free() []span.Span {
	if m.Table == nil {
		return nil
	}
	sector := int64(m.Table.SectorSize)
	return gaps(m.Parts, span.Between(int64(m.Table.FirstUsable)*sector, (int64(m.Table.LastUsable)+1)*sector))
}

// gaps returns what no partition covers, in order.
func gaps(parts []Part, all span.Span) []span.Span {
	var list []span.Span
	at := all.Offset
	for {
		next := span.Span{Offset: all.End()}
		for _, p := range parts {
			if p.Span.End() > at && p.Span.Offset < next.Offset {
				next = p.Span
			}
		}
		if next.Offset > at {
			list = append(list, span.Between(at, min(next.Offset, all.End())))
		}
		if next.End() <= at || next.Offset >= all.End() {
			return list
		}
		at = next.End()
	}
}

// RootHash returns the root hash that the UUIDs of data and hash partition
// stand for: 32 bytes, as systemd guesses it (dissect-image.c).
func (v Volume) RootHash() []byte {
	return append(append([]byte{}, v.Data.UUID[:]...), v.Hash.UUID[:]...)
}

// Volumes returns the root and the /usr partition, of each the one for this
// machine's architecture if there are several.
func (m *Image) Volumes() []Volume {
	if m.Table == nil {
		return []Volume{{Data: &m.Parts[0]}}
	}
	var list []Volume
	for _, role := range []dps.Designator{dps.Root, dps.Usr} {
		data := m.find(role, native())
		if data == nil {
			continue
		}
		hash, _ := role.Verity()
		sig, _ := role.VeritySig()
		list = append(list, Volume{
			Data: data, Hash: m.find(hash, data.Type.Architecture), Signature: m.find(sig, data.Type.Architecture),
		})
	}
	return list
}

func native() dps.Architecture {
	a, _ := dps.FromGo(runtime.GOARCH)
	return a
}

// find returns the first partition of a role, one for the architecture before
// all others.
func (m *Image) find(role dps.Designator, architecture dps.Architecture) *Part {
	var found *Part
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Type.Designator != role {
			continue
		}
		if p.Type.Architecture == architecture {
			return p
		}
		if found == nil {
			found = p
		}
	}
	return found
}
