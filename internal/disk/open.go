package disk

import (
	"fmt"
	"io"
	"iter"
	"os"

	"sextant/internal/fault"
	"sextant/internal/format/qcow2"
	"sextant/internal/format/vhd"
	"sextant/internal/format/vhdx"
	"sextant/internal/span"
)

// Disk is a disk that is open for reading. Goroutines may share it, but for
// Extents, of which one may run at a time.
type Disk struct {
	Format  Format
	Content Content

	// SectorSize is what the container says, 0 if it says nothing.
	SectorSize int

	file *os.File
	container
}

// container is what the formats have in common.
type container interface {
	io.ReaderAt
	Size() int64
	Segments() iter.Seq2[span.Mapped, error]
}

// Open opens the disk in the file, block device or directory at path. What
// breaks its format wraps fault.ErrCorrupt; what is refused wraps
// fault.ErrUnsupported and says why.
func Open(path string) (*Disk, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	// To open anything else may wait forever.
	if mode := info.Mode(); !mode.IsDir() && !mode.IsRegular() && (mode&os.ModeDevice == 0 || mode&os.ModeCharDevice != 0) {
		return nil, fmt.Errorf("%s: neither a file, a block device nor a directory: %w", path, fault.ErrUnsupported)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	d := &Disk{file: f}
	if err := d.open(); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// unit is what should be read as a whole, as it may be compressed as one.
func (d *Disk) unit() int64 {
	if image, ok := d.container.(*qcow2.Image); ok {
		return image.ClusterSize()
	}
	return 1
}

// Close closes the file.
func (d *Disk) Close() error { return d.file.Close() }

func (d *Disk) open() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		d.Format, d.container, d.Content = Directory, directory{d.file.Name()}, Content{Kind: FileSystem, Name: "directory"}
		return nil
	}
	size, err := d.file.Seek(0, io.SeekEnd) // a block device has no size for Stat
	if err != nil {
		return err
	}
	if err := d.openContainer(size); err != nil {
		return err
	}
	d.Content, err = Recognise(d, d.Size())
	return err
}

// openContainer opens the format that the first bytes name, or the last ones.
func (d *Disk) openContainer(size int64) (err error) {
	start := make([]byte, 8)
	n, err := d.file.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return err
	}
	start = start[:n]
	isVHD, err := vhd.Has(d.file, size)
	if err != nil {
		return err
	}
	switch {
	case n >= 4 && string(start[:4]) == qcow2.Magic:
		d.Format = QCOW2
		d.container, err = qcow2.Open(d.file, size)
	case string(start) == vhdx.Signature:
		err = d.openVHDX(size)
	case isVHD:
		err = d.openVHD(size)
	default:
		if err := refuseForeign(d.file); err != nil {
			return err
		}
		d.Format, d.container = Raw, raw{d.file, size}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.Format, err)
	}
	return nil
}

func (d *Disk) openVHDX(size int64) error {
	d.Format = VHDX
	x, err := vhdx.Open(d.file, size)
	if err != nil {
		return err
	}
	d.container, d.SectorSize = x, int(x.SectorSize())
	return nil
}

func (d *Disk) openVHD(size int64) error {
	d.Format = VHD
	v, err := vhd.Open(d.file, size)
	if err != nil {
		return err
	}
	if v.Kind() == vhd.Fixed {
		d.Format = VHDFixed
	}
	d.container, d.SectorSize = v, vhd.SectorSize
	return nil
}

// Extents returns the ranges of the disk that hold data, ascending and apart:
// neither what the container leaves out nor what is a hole of its file, unless
// holes are less than a 64th of the file. It stops after an error.
func (d *Disk) Extents() iter.Seq2[span.Span, error] {
	return func(yield func(span.Span, error) bool) {
		for m, err := range d.extents() {
			if !yield(m.Span, err) {
				return
			}
		}
	}
}

// extents returns Extents with their places in the file.
func (d *Disk) extents() iter.Seq2[span.Mapped, error] {
	return func(yield func(span.Mapped, error) bool) {
		h, err := newHoles(d.file)
		if err != nil {
			yield(span.Mapped{}, err)
			return
		}
		for m, err := range d.Segments() {
			if err != nil {
				yield(span.Mapped{}, err)
				return
			}
			if !h.data(m, yield) {
				return
			}
		}
	}
}

// raw is a disk that is the file.
type raw struct {
	f    *os.File
	size int64
}

func (r raw) ReadAt(p []byte, offset int64) (int, error) { return r.f.ReadAt(p, offset) }

func (r raw) Size() int64 { return r.size }

func (r raw) Segments() iter.Seq2[span.Mapped, error] {
	return func(yield func(span.Mapped, error) bool) {
		if r.size > 0 {
			yield(span.Mapped{Span: span.Span{Length: r.size}}, nil)
		}
	}
}

// directory is a disk without bytes.
type directory struct{ path string }

func (d directory) ReadAt([]byte, int64) (int, error) {
	return 0, &os.PathError{Op: "read", Path: d.path, Err: fault.ErrUnsupported}
}

func (d directory) Size() int64 { return 0 }

func (d directory) Segments() iter.Seq2[span.Mapped, error] {
	return func(func(span.Mapped, error) bool) {}
}
