package squashfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"sextant/internal/fault"
	"sextant/internal/span"
)

const (
	metaCacheSize = 24 << 20
	rawCacheSize  = 1 << 20
	dataCacheSize = 16 << 20

	// maxEntries is the largest number of directory entries that Tree and
	// Check take on, which limits their memory to some hundred megabytes.
	maxEntries = 1 << 22
)

// FS is an open file system. It implements fs.FS, fs.ReadDirFS, fs.StatFS and
// fs.ReadLinkFS. Its methods may be called from several goroutines.
type FS struct {
	r       io.ReaderAt
	size    int64 // bytes of the image that belong to the file system
	super   Superblock
	options []byte
	unpack  unpacker

	inodes, directories span.Span
	ids                 []uint32
	fragments           lookup
	export              lookup // count 0 if there is none
	xattrIDs            lookup // count 0 if there is none
	xattrs              span.Span
	root                *inode

	metaCache, rawCache, dataCache *cache
	rooms                          sync.Pool // to unpack metadata into

	mu     sync.Mutex
	listed int64       // bytes of all listings that were entered
	parent map[Ref]way // how each directory is reached
}

// Open reads the superblock and the lookup tables of the file system that
// starts at byte 0 of r. It refuses what Linux refuses to mount, with an error
// that wraps fault.ErrCorrupt, and images that it cannot read with one that
// wraps fault.ErrUnsupported. The size is that of r; the file system may be
// shorter. The FS reads from r as long as it is used.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	fs := &FS{
		r: r, size: size,
		metaCache: newCache(metaCacheSize), rawCache: newCache(rawCacheSize), dataCache: newCache(dataCacheSize),
		parent: make(map[Ref]way),
	}
	if err := fs.open(); err != nil {
		return nil, fmt.Errorf("open squashfs: %w", err)
	}
	return fs, nil
}

// Superblock returns the superblock as it is on disk.
func (fs *FS) Superblock() Superblock { return fs.super }

// IsSquashFS reports whether the first bytes of an image are those of a
// SquashFS superblock, of whatever version and byte order.
func IsSquashFS(head []byte) bool {
	if len(head) < 4 {
		return false
	}
	return binary.LittleEndian.Uint32(head) == magic || binary.BigEndian.Uint32(head) == magic
}

func (fs *FS) open() error {
	if err := fs.readSuperblock(); err != nil {
		return fmt.Errorf("superblock: %w", err)
	}
	limit := max(int(fs.super.BlockSize), metadataSize)
	if err := fs.readOptions(); err != nil {
		return fmt.Errorf("compressor options: %w", err)
	}
	var err error
	if fs.unpack, err = newUnpacker(fs.super.Compression, limit, fs.options); err != nil {
		return err
	}
	if err := fs.openTables(); err != nil {
		return err
	}
	if fs.root, err = fs.inode(fs.super.Root); err != nil {
		return fmt.Errorf("root directory: %w", err)
	}
	if fs.root.kind != typeDir {
		return corrupt("root directory is a %s", fs.root.kind)
	}
	return nil
}

func (fs *FS) readSuperblock() error {
	var b [superblockSize]byte
	if err := fs.readAt(b[:], 0); err != nil {
		return err
	}
	if _, err := binary.Decode(b[:], binary.LittleEndian, &fs.super); err != nil {
		return err
	}
	if err := fs.super.check(); err != nil {
		return err
	}
	if fs.super.BytesUsed > uint64(fs.size) || fs.super.BytesUsed < superblockSize {
		return corrupt("file system has %d bytes, the image %d", fs.super.BytesUsed, fs.size)
	}
	fs.size = int64(fs.super.BytesUsed)
	return nil
}

func (s *Superblock) check() error {
	switch {
	case s.Magic == 0x68737173:
		return fmt.Errorf("big-endian file system, as before version 4: %w", fault.ErrUnsupported)
	case s.Magic != magic:
		return corrupt("magic number is %#x, not %#x", s.Magic, uint32(magic))
	case s.Major != 4 || s.Minor != 0:
		return fmt.Errorf("version %d.%d, not 4.0: %w", s.Major, s.Minor, fault.ErrUnsupported)
	case s.BlockLog < minBlockLog || s.BlockLog > maxBlockLog:
		return corrupt("block size is 2^%d, not in 2^%d-2^%d", s.BlockLog, minBlockLog, maxBlockLog)
	case s.BlockSize != 1<<s.BlockLog:
		return corrupt("block size is %d and 2^%d", s.BlockSize, s.BlockLog)
	case s.Inodes == 0:
		return corrupt("no inodes")
	case s.IDs == 0:
		return corrupt("no ids")
	}
	return nil
}

// readOptions reads what the compressor was told, which is never compressed,
// and checks what Linux checks of it.
func (fs *FS) readOptions() error {
	if fs.super.Flags&CompressorOptions == 0 {
		return nil
	}
	b, err := fs.metadataStored(superblockSize)
	if err != nil {
		return err
	}
	fs.options = b
	switch fs.super.Compression {
	case XZ:
		if len(b) < 8 {
			return corrupt("%d bytes for xz", len(b))
		}
		low := binary.LittleEndian.Uint32(b)
		low &= -low
		if d := binary.LittleEndian.Uint32(b); d == 0 || d != low && d != 3*low {
			return corrupt("xz dictionary of %d bytes", d)
		}
	case LZ4:
		if len(b) < 8 {
			return corrupt("%d bytes for lz4", len(b))
		}
		if v := binary.LittleEndian.Uint32(b); v != 1 {
			return fmt.Errorf("lz4 format %d: %w", v, fault.ErrUnsupported)
		}
	}
	return nil
}

// metadataStored reads a metadata block that must not be compressed.
func (fs *FS) metadataStored(at int64) ([]byte, error) {
	fs.unpack = func(_, _ []byte) ([]byte, error) { return nil, errors.New("compressed") }
	b, err := fs.metadata(at, fs.size)
	if err != nil {
		return nil, err
	}
	return []byte(b.text), nil
}

// openTables finds the tables from the last to the first, as each must end
// where the one behind it starts.
func (fs *FS) openTables() error {
	end, err := fs.size, error(nil)
	if fs.super.XattrTable != none {
		if end, err = fs.openXattrs(); err != nil {
			return err
		}
	}
	ids := lookup{name: "id", count: int64(fs.super.IDs), size: 4, exact: true}
	if err := fs.openLookup(&ids, fs.super.IDTable, end); err != nil {
		return err
	}
	end = ids.table.Offset
	if fs.super.ExportTable != none {
		fs.export = lookup{name: "export", count: int64(fs.super.Inodes), size: 8, exact: true}
		if err := fs.openLookup(&fs.export, fs.super.ExportTable, end); err != nil {
			return err
		}
		end = fs.export.table.Offset
	}
	if fs.super.Fragments != 0 {
		fs.fragments = lookup{name: "fragment", count: int64(fs.super.Fragments), size: 16}
		if err := fs.openLookup(&fs.fragments, fs.super.FragmentTable, end); err != nil {
			return err
		}
		end = fs.fragments.table.Offset
	}
	if err := fs.openMainTables(end); err != nil {
		return err
	}
	return fs.readIDs(&ids)
}

func (fs *FS) openMainTables(end int64) error {
	s := &fs.super
	if s.DirectoryTable > uint64(end) || s.InodeTable >= s.DirectoryTable || s.InodeTable < superblockSize {
		return corrupt("inode table at %d, directory table at %d, next table at %d", s.InodeTable, s.DirectoryTable, end)
	}
	fs.inodes = span.Between(int64(s.InodeTable), int64(s.DirectoryTable))
	fs.directories = span.Between(int64(s.DirectoryTable), end)
	return nil
}

// openXattrs opens the xattr table, and returns where its blocks start.
func (fs *FS) openXattrs() (start int64, err error) {
	at := fs.super.XattrTable
	const headerSize = 16
	if at > uint64(fs.size)-headerSize {
		return 0, corrupt("xattr table at %d of %d bytes", at, fs.size)
	}
	var b [headerSize]byte
	if err := fs.readAt(b[:], int64(at)); err != nil {
		return 0, err
	}
	var t xattrTable
	if _, err := binary.Decode(b[:], binary.LittleEndian, &t); err != nil {
		return 0, err
	}
	if t.Count == 0 {
		return 0, corrupt("xattr table is empty")
	}
	fs.xattrIDs = lookup{name: "xattr", count: int64(t.Count), size: 16, header: headerSize, exact: true}
	if err := fs.openLookup(&fs.xattrIDs, at+headerSize, fs.size); err != nil {
		return 0, err
	}
	if t.Start >= uint64(fs.xattrIDs.table.Offset) {
		return 0, corrupt("xattrs at %d, their table at %d", t.Start, fs.xattrIDs.table.Offset)
	}
	fs.xattrs = span.Between(int64(t.Start), fs.xattrIDs.table.Offset)
	return int64(t.Start), nil
}

func (fs *FS) readIDs(t *lookup) error {
	c, err := fs.seek(t, 0)
	if err != nil {
		return fmt.Errorf("id table: %w", err)
	}
	b := make([]byte, 4*t.count) // at most 256 KiB, as the count has 16 bits
	if err := c.read(b); err != nil {
		return fmt.Errorf("id table: %w", err)
	}
	for ; len(b) > 0; b = b[4:] {
		fs.ids = append(fs.ids, binary.LittleEndian.Uint32(b))
	}
	return nil
}

// noEOF turns the end of the image into the error that it is here.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
