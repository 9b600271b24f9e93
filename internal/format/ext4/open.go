package ext4

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"sextant/internal/pages"
)

// FS is an open file system. It implements fs.FS, fs.ReadDirFS, fs.StatFS and
// fs.ReadLinkFS. All methods may be used at the same time.
//
// Open and Stat follow symbolic links; an absolute target begins at the image's
// root and ".." stops there. Names that are not UTF-8 are listed but, as io/fs
// demands, not opened; Tree has them.
type FS struct {
	image  io.ReaderAt
	super  SuperBlock
	geo    *Geometry
	seed   Seed
	blocks *blockCache

	lastGroup atomic.Pointer[group] // inodes that follow each other share it

	changed map[uint64][]byte // metadata blocks that an Editor has not written yet, else nil
}

// ErrNoFileSystem says that an image does not begin with an ext4 superblock. It
// comes together with fault.ErrCorrupt.
var ErrNoFileSystem = errors.New("no ext4 superblock")

// Open reads the superblock of the file system in the first size bytes of r. It
// returns ErrNoFileSystem if there is none, fault.ErrCorrupt for one whose
// checksum or numbers are wrong, and fault.ErrUnsupported for one with features
// that a reader must know and this one does not.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	f, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("open ext4: %w", err)
	}
	return f, nil
}

func open(r io.ReaderAt, size int64) (*FS, error) {
	if size < SuperBlockOffset+SuperBlockSize {
		return nil, fmt.Errorf("%w: %w", ErrNoFileSystem, corrupt("%d bytes", size))
	}
	raw := make([]byte, SuperBlockSize)
	if _, err := pages.ReadFull(r, raw, SuperBlockOffset); err != nil {
		return nil, fmt.Errorf("read superblock: %w", err)
	}
	f := &FS{image: r, super: DecodeSuperBlock(raw)}
	if f.super.Magic != Magic {
		return nil, fmt.Errorf("%w: %w", ErrNoFileSystem, corrupt("magic number %#x", f.super.Magic))
	}
	geo, err := f.super.Geometry()
	if f.super.checksums() && f.super.ChecksumType == checksumCRC32C && ChecksumSuperBlock(raw) != f.super.Checksum {
		return nil, corrupt("superblock: checksum does not match")
	}
	if err != nil {
		return nil, fmt.Errorf("superblock: %w", err)
	}
	if geo.Blocks > uint64(size/geo.BlockSize) {
		return nil, corrupt("file system has %d blocks of %d bytes, the image %d bytes", geo.Blocks, geo.BlockSize, size)
	}
	f.geo = geo
	f.seed = f.super.Seed()
	f.blocks = newBlockCache(cacheBytes / int(geo.BlockSize))
	return f, nil
}

// DecodeSuperBlock fills a superblock from its 1024 bytes.
func DecodeSuperBlock(b []byte) SuperBlock {
	var sb SuperBlock
	decode(b, &sb)
	return sb
}

// SuperBlock returns a copy of the superblock.
func (f *FS) SuperBlock() SuperBlock { return f.super }

// Geometry returns where things lie.
func (f *FS) Geometry() Geometry { return *f.geo }

// Size returns the number of bytes that the file system takes.
func (f *FS) Size() int64 { return int64(f.geo.Blocks) * f.geo.BlockSize }

// Dirty reports whether the journal holds changes that a mount would replay
// first, or files that a mount would delete. What FS reads is the state without
// them.
func (f *FS) Dirty() bool {
	return f.super.FeatureIncompat&IncompatRecover != 0 ||
		f.super.FeatureROCompat&ROCompatOrphanPresent != 0 || f.super.LastOrphan != 0
}
