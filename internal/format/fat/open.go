package fat

import (
	"fmt"
	"io"

	"sextant/internal/pages"
)

// FS is an open file system. It implements fs.FS, fs.ReadDirFS, fs.StatFS and
// fs.ReadLinkFS. All methods may be used at the same time.
//
// Names are found in whatever case, and by their short alias too; listings have
// the long name as it is written. No file is a symbolic link.
type FS struct {
	r     io.ReaderAt
	bpb   BPB
	bpb32 BPB32 // of a FAT32
	tail  BPBTail
	geo   *Geometry
	table *table
}

// Open reads the boot sector of the file system in the first size bytes of r. It
// returns ErrNoFileSystem if there is none, fault.ErrCorrupt for one whose
// numbers cannot be, and fault.ErrUnsupported for what the package leaves out.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	f, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("open FAT: %w", err)
	}
	return f, nil
}

func open(r io.ReaderAt, size int64) (*FS, error) {
	if size < BootSize {
		return nil, notFAT("%d bytes", size)
	}
	b := make([]byte, BootSize)
	if _, err := pages.ReadFull(r, b, 0); err != nil {
		return nil, fmt.Errorf("read boot sector: %w", err)
	}
	f := &FS{r: r}
	decode(b, &f.bpb)
	decode(b[bpb32At:], &f.bpb32)
	geo, err := newGeometry(&f.bpb, &f.bpb32, size)
	if err != nil {
		return nil, err
	}
	f.geo = geo
	decode(b[f.tailAt():], &f.tail)
	if f.geo.Bits != 32 {
		f.bpb32 = BPB32{}
	}
	f.table = newTable(r, geo)
	return f, nil
}

// tailAt is where the BPBTail begins.
func (f *FS) tailAt() int64 {
	if f.geo.Bits == 32 {
		return tailAt32
	}
	return tailAt16
}

// Geometry returns where things lie.
func (f *FS) Geometry() Geometry { return *f.geo }

// BPB returns the BIOS parameter block.
func (f *FS) BPB() BPB { return f.bpb }

// Size returns the number of bytes that the file system takes.
func (f *FS) Size() int64 { return f.geo.Size }

// Serial returns the serial number that the volume got when it was made, as
// "12AB-34CD", and "" if it has none.
func (f *FS) Serial() string {
	if s := f.tail.ExtSignature; s != extSignature && s != extSignatureShort {
		return ""
	}
	return fmt.Sprintf("%04X-%04X", f.tail.VolumeID>>16, f.tail.VolumeID&0xFFFF)
}

// Dirty reports whether the volume was in use when it was last written: by the
// boot sector, as Linux says it, or by the FAT, as Windows does.
func (f *FS) Dirty() (bool, error) {
	if f.tail.State&StateDirty != 0 {
		return true, nil
	}
	return f.flagged(clean16, clean32)
}

// flagged reports whether a flag is missing that the entry of cluster 1 has in a
// volume that is in order. FAT12 has none.
func (f *FS) flagged(flag16, flag32 uint32) (bool, error) {
	flags, err := f.table.entry(1)
	switch {
	case err != nil || f.geo.Bits == 12:
		return false, err
	case f.geo.Bits == 16:
		return flags&flag16 == 0, nil
	}
	return flags&flag32 == 0, nil
}
