package image

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"

	"sextant/internal/fault"
	"sextant/internal/format/erofs"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// FileSystem is a file system that can be read.
type FileSystem interface {
	fs.FS
	Tree() (*tree.Tree, error)
}

// Kind names a file system: "erofs", "squashfs", "ext4", "vfat", "btrfs", "xfs".
type Kind string

// format is a file system that can be told from others, and perhaps read.
type format struct {
	kind   Kind
	offset int64 // of the magic
	magic  string

	// probe tells a file system without a magic; it may be nil.
	probe func(r io.ReaderAt, size int64) (bool, error)

	// open is nil for file systems that are recognised only.
	open func(r io.ReaderAt, size int64) (FileSystem, error)
}

func formats() []format {
	return []format{
		{kind: "erofs", offset: erofs.SuperBlockOffset, magic: string(binary.LittleEndian.AppendUint32(nil, erofs.Magic)), open: openEROFS},
		{kind: "squashfs", magic: "hsqs", open: openSquashFS},
		{kind: "ext4", offset: 1024 + 0x38, magic: "\x53\xef", open: openExt4},
		{kind: "btrfs", offset: 0x10040, magic: "_BHRfS_M"},
		{kind: "xfs", magic: "XFSB"},
		{kind: "f2fs", offset: 1024, magic: "\x10\x20\xf5\xf2"},
		{kind: "LUKS", magic: "LUKS\xba\xbe"},
		{kind: "vfat", probe: probeFAT, open: openFAT},
	}
}

// recognise finds the format of a file system by its magic.
func recognise(r io.ReaderAt, size int64) (format, error) {
	for _, f := range formats() {
		buf := make([]byte, len(f.magic))
		if f.offset+int64(len(buf)) > size {
			continue
		}
		if _, err := r.ReadAt(buf, f.offset); err != nil && err != io.EOF {
			return format{}, err
		}
		if string(buf) != f.magic {
			continue
		}
		if f.probe == nil {
			return f, nil
		}
		if found, err := f.probe(r, size); found || err != nil {
			return f, err
		}
	}
	return format{}, fmt.Errorf("no file system that is known: %w", fault.ErrCorrupt)
}

// FileSystem opens the file system of a partition.
func (m *Image) FileSystem(p *Part) (FileSystem, Kind, error) {
	return openFileSystem(m.Section(p), p.Span.Length)
}

// openFileSystem opens the file system in the first size bytes of r. One that
// is recognised and cannot be read wraps fault.ErrUnsupported.
func openFileSystem(r io.ReaderAt, size int64) (FileSystem, Kind, error) {
	f, err := recognise(r, size)
	if err != nil {
		return nil, "", err
	}
	if f.open == nil {
		return nil, f.kind, fmt.Errorf("file system %s can be read by mounting it as root only: %w", f.kind, fault.ErrUnsupported)
	}
	fsys, err := f.open(r, size)
	if err != nil {
		return nil, f.kind, err
	}
	return fsys, f.kind, nil
}

// flaw is what a check of a file system found.
type flaw struct {
	err      error
	harmless bool // the same files are read all the same
}

// checkable is a file system that can be walked to its end.
type checkable interface {
	FileSystem

	// check returns an error only if it could not look.
	check(ctx context.Context) ([]flaw, error)
}

type erofsFS struct{ *erofs.FS }

func openEROFS(r io.ReaderAt, size int64) (FileSystem, error) {
	f, err := erofs.Open(r, size)
	if err != nil {
		return nil, err
	}
	return erofsFS{f}, nil
}

func (f erofsFS) check(ctx context.Context) (list []flaw, err error) {
	found, err := f.Check(ctx)
	for _, finding := range found {
		list = append(list, flaw{err: finding})
	}
	return list, err
}

// Size returns the bytes that the file system takes. mksquashfs fills its
// last 4096.
func (f squashFS) Size() int64 {
	return span.AlignUp(int64(f.Superblock().BytesUsed), 4096)
}
