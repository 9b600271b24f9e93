// Package image opens what build makes, and what others make:
//
//	file ─ GPT ─ roles ─┬─ signature ──┐
//	                    ├─ hash tree ──┼─ report
//	                    └─ file system ┘
//
// An Image is read-only and reads what it is asked for, so looking into a large
// one is cheap. Files are read, not mapped into memory: one that becomes shorter
// meanwhile is an error that wraps io.ErrUnexpectedEOF.
//
// Whatever is in an image, Verify needs at most 64 MiB of memory and 8 KiB for
// each name in it, and less than half a minute for each GiB of the image and of
// its compressed data. Names are limited by the size of the image, and to four
// millions in SquashFS, whose metadata is compressed; compressed data of EROFS is
// decoded up to 64 GiB and the size of the image.
package image

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/span"
)

// Image is a disk image, a bare file system without a partition table, or a
// directory.
type Image struct {
	r    io.ReaderAt
	file *os.File // nil if it was not opened by path
	Path string   // "" if it was not opened by path
	Size int64    // bytes, 0 for a directory

	// Dir says that the image is a directory, or a btrfs subvolume. It has
	// neither table nor parts.
	Dir bool

	// Device says that the image is a block device.
	Device bool

	// Beside is what lies beside a file.
	Beside Sidecar

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

// Open opens the image at path: a file, a block device or a directory. A named
// pipe or the like is an error.
func Open(path string) (*Image, error) {
	info, err := os.Stat(path) // opening a pipe would wait for a writer
	if err != nil {
		return nil, err
	}
	device := info.Mode()&(fs.ModeDevice|fs.ModeCharDevice) == fs.ModeDevice
	if !info.Mode().IsRegular() && !info.IsDir() && !device {
		return nil, fmt.Errorf("is neither a file nor a directory nor a block device: %w", fault.ErrUnsupported)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m := &Image{Dir: true}
	if !info.IsDir() {
		if m, err = openFile(f); err != nil {
			f.Close()
			return nil, err
		}
	}
	m.file, m.Path, m.Device = f, path, device
	if !m.Dir && !m.Device {
		m.Beside, err = readSidecar(path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return m, nil
}

func openFile(f *os.File) (*Image, error) {
	// A block device has no size in its inode.
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	return Read(f, size)
}

// The errors about bytes that are no image.
const (
	errEmpty   = fault.Corrupt("is empty")
	errUnknown = fault.Corrupt("neither a partition table nor a file system")
)

// Read opens an image of size bytes. Bytes that are neither a partition table
// nor a file system wrap fault.ErrCorrupt.
func Read(r io.ReaderAt, size int64) (*Image, error) {
	if size == 0 {
		return nil, errEmpty
	}
	m := &Image{r: whole{r}, Size: size}
	table, problems, err := gpt.Read(r, size)
	switch {
	case err == nil:
		m.Table, m.Problems = table, problems
		m.addPartitions()
		return m, nil
	case !errors.Is(err, gpt.ErrNoTable):
		return nil, err
	}
	if _, kindErr := recognise(r, size); kindErr != nil {
		return nil, errUnknown
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

// Whole returns all bytes of the image.
func (m *Image) Whole() *io.SectionReader { return io.NewSectionReader(m.r, 0, m.Size) }

// Section returns the bytes of a partition.
func (m *Image) Section(p *Part) *io.SectionReader {
	return io.NewSectionReader(m.r, p.Span.Offset, p.Span.Length)
}

// Free returns the parts of the disk that partitions may use and none does, in
// order. A bare file system has none.
func (m *Image) Free() []span.Span {
	if m.Table == nil {
		return nil
	}
	var taken []span.Span
	for _, p := range m.Parts {
		taken = append(taken, p.Span)
	}
	sector := int64(m.Table.SectorSize)
	return uncovered(taken, span.Between(int64(m.Table.FirstUsable)*sector, (int64(m.Table.LastUsable)+1)*sector))
}

// uncovered returns what none of taken covers, in order.
func uncovered(taken []span.Span, all span.Span) (list []span.Span) {
	taken = slices.SortedFunc(slices.Values(taken), func(a, b span.Span) int { return cmp.Compare(a.Offset, b.Offset) })
	at := all.Offset
	for _, s := range taken {
		if start := min(s.Offset, all.End()); start > at {
			list = append(list, span.Between(at, start))
		}
		at = max(at, s.End())
	}
	if at < all.End() {
		list = append(list, span.Between(at, all.End()))
	}
	return list
}

// whole makes an image that ends early an error: whoever reads has been told
// how large it is, and nothing asks for bytes behind that.
type whole struct{ io.ReaderAt }

func (w whole) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.ReaderAt.ReadAt(p, off)
	if n < len(p) && (err == nil || errors.Is(err, io.EOF)) {
		err = fmt.Errorf("image ends at byte %d, it became shorter: %w", off+int64(n), io.ErrUnexpectedEOF)
	}
	return n, err
}

// File returns the open file, nil if the image was not opened by path.
func (m *Image) File() *os.File { return m.file }
