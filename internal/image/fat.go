package image

import (
	"context"
	"errors"
	"io"

	"sextant/internal/fault"
	"sextant/internal/format/fat"
)

type fatFS struct{ *fat.FS }

// probeFAT reports whether a boot sector is one of a FAT, which has no magic. One
// that cannot be opened for its numbers is one all the same.
func probeFAT(r io.ReaderAt, size int64) (bool, error) {
	_, err := fat.Open(r, size)
	switch {
	case errors.Is(err, fat.ErrNoFileSystem):
		return false, nil
	case errors.Is(err, fault.ErrCorrupt), errors.Is(err, fault.ErrUnsupported):
		return true, nil
	}
	return err == nil, err
}

func openFAT(r io.ReaderAt, size int64) (FileSystem, error) {
	f, err := fat.Open(r, size)
	if err != nil {
		return nil, err
	}
	return fatFS{f}, nil
}

func (f fatFS) check(ctx context.Context) ([]flaw, error) { return flawsOf(f.Check(ctx)) }

// facts calls the serial number of the volume its UUID, as blkid does.
func (f fatFS) facts() Facts {
	g := f.Geometry()
	return Facts{
		Kind: "vfat", Size: g.Size, BlockSize: g.ClusterSize, UUID: f.Serial(), Label: f.Label(), Features: []string{g.Bits.String()},
	}
}

func (f fatFS) describe(w io.Writer) error { return f.Describe(w) }
