package squashfs

import (
	"fmt"
	"strings"
)

const (
	magic          = 0x73717368 // "hsqs"
	superblockSize = 96
	metadataSize   = 8192 // unpacked bytes of a metadata block, at most
	metadataHeader = 2

	minBlockLog = 12
	maxBlockLog = 20

	// none stands for "there is no such table".
	none = ^uint64(0)
	// none32 stands for "no fragment" and "no extended attributes".
	none32 = ^uint32(0)

	// storedMetadata and storedBlock mark, in the size of a block, that it is
	// not compressed.
	storedMetadata = 1 << 15
	storedBlock    = 1 << 24
)

// Superblock is the first structure of the file system, at byte 0
// (squashfs_super_block). All numbers are little endian.
type Superblock struct {
	Magic          uint32      // 0
	Inodes         uint32      // 4
	MakeTime       uint32      // 8 seconds since 1970
	BlockSize      uint32      // 12
	Fragments      uint32      // 16
	Compression    Compression // 20
	BlockLog       uint16      // 22
	Flags          Flags       // 24
	IDs            uint16      // 26
	Major          uint16      // 28
	Minor          uint16      // 30
	Root           Ref         // 32
	BytesUsed      uint64      // 40
	IDTable        uint64      // 48
	XattrTable     uint64      // 56
	InodeTable     uint64      // 64
	DirectoryTable uint64      // 72
	FragmentTable  uint64      // 80
	ExportTable    uint64      // 88
}

// Compression is the number of a compressor.
type Compression uint16

// The compressors that Linux and squashfs-tools know.
const (
	Gzip Compression = 1 // zlib
	LZMA Compression = 2
	LZO  Compression = 3
	XZ   Compression = 4
	LZ4  Compression = 5
	Zstd Compression = 6
)

// String returns the compressor's name as mksquashfs takes it.
func (c Compression) String() string {
	switch c {
	case Gzip:
		return "gzip"
	case LZMA:
		return "lzma"
	case LZO:
		return "lzo"
	case XZ:
		return "xz"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("compressor %d", uint16(c))
}

// Flags are the superblock's flags. They tell how the image was made; only
// CompressorOptions changes how it is read.
type Flags uint16

// The flags.
const (
	StoredInodes Flags = 1 << iota
	StoredData
	_
	StoredFragments
	NoFragments
	AlwaysFragments
	Duplicates // looked for
	Exportable
	StoredXattrs
	NoXattrs
	CompressorOptions
	StoredIDs

	knownFlags = StoredInodes | StoredData | StoredFragments | NoFragments | AlwaysFragments |
		Duplicates | Exportable | StoredXattrs | NoXattrs | CompressorOptions | StoredIDs
)

// String lists the flags that are set, with commas between.
func (f Flags) String() string {
	var words []string
	for _, n := range []struct {
		flag Flags
		name string
	}{
		{StoredInodes, "stored inodes"},
		{StoredData, "stored data"},
		{StoredFragments, "stored fragments"},
		{NoFragments, "no fragments"},
		{AlwaysFragments, "always fragments"},
		{Duplicates, "duplicates found"},
		{Exportable, "exportable"},
		{StoredXattrs, "stored xattrs"},
		{NoXattrs, "no xattrs"},
		{CompressorOptions, "compressor options"},
		{StoredIDs, "stored ids"},
	} {
		if f&n.flag != 0 {
			words = append(words, n.name)
		}
	}
	if rest := f &^ knownFlags; rest != 0 {
		words = append(words, fmt.Sprintf("unknown %#x", uint16(rest)))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// Ref points into a table of metadata blocks: above bit 16 the offset of a
// block from the start of the table, below it the offset in the unpacked block.
type Ref uint64

func (r Ref) block() uint64 { return uint64(r) >> 16 }
func (r Ref) offset() int   { return int(r & 0xffff) }

// String gives the two parts of the reference.
func (r Ref) String() string { return fmt.Sprintf("%#x+%d", r.block(), r.offset()) }

func makeRef(block uint32, offset uint16) Ref { return Ref(uint64(block)<<16 | uint64(offset)) }

// inodeType is the first field of an inode. Directory entries hold the basic
// types only.
type inodeType uint16

const (
	typeDir inodeType = 1 + iota
	typeFile
	typeSymlink
	typeBlock
	typeChar
	typeFIFO
	typeSocket

	// extended is added to a basic type where an inode has more fields.
	extended = 7
)

// String returns the type's name.
func (t inodeType) String() string {
	names := [...]string{"dir", "file", "symlink", "block", "char", "fifo", "socket"}
	switch {
	case t >= typeDir && t <= typeSocket:
		return names[t-typeDir]
	case t > typeSocket && t <= typeSocket+extended:
		return "extended " + names[t-extended-typeDir]
	}
	return fmt.Sprintf("inode type %d", uint16(t))
}

// inodeHeader is the start of every inode (squashfs_base_inode).
type inodeHeader struct {
	Type   inodeType // 0
	Mode   uint16    // 2 permission bits
	UID    uint16    // 4 index into the id table
	GID    uint16    // 6
	Time   uint32    // 8 seconds since 1970
	Number uint32    // 12
}

type dirInode struct {
	Block  uint32 // 0 where the listing starts in the directory table
	Links  uint32 // 4
	Size   uint16 // 8 of the listing, and 3
	Offset uint16 // 10
	Parent uint32 // 12 inode number
}

type extDirInode struct {
	Links   uint32 // 0
	Size    uint32 // 4
	Block   uint32 // 8
	Parent  uint32 // 12
	Indexes uint16 // 16 dirIndex structures that follow
	Offset  uint16 // 18
	Xattr   uint32 // 20
}

type fileInode struct {
	Start    uint32 // 0 of the blocks
	Fragment uint32 // 4
	Offset   uint32 // 8 in the unpacked fragment block
	Size     uint32 // 12
}

type extFileInode struct {
	Start    uint64 // 0
	Size     uint64 // 8
	Sparse   uint64 // 16 bytes in holes
	Links    uint32 // 24
	Fragment uint32 // 28
	Offset   uint32 // 32
	Xattr    uint32 // 36
}

type symlinkInode struct {
	Links uint32 // 0
	Size  uint32 // 4 of the target that follows, then the xattr if extended
}

type deviceInode struct {
	Links  uint32 // 0
	Device uint32 // 4
}

// dirHeader starts a run of entries whose inodes lie in one metadata block
// (squashfs_dir_header).
type dirHeader struct {
	Count  uint32 // 0 less one
	Block  uint32 // 4 of the inodes
	Number uint32 // 8 to which the entries' numbers are relative
}

// dirEntry is followed by the name (squashfs_dir_entry).
type dirEntry struct {
	Offset uint16    // 0 of the inode in its block
	Number int16     // 2
	Type   inodeType // 4 basic
	Size   uint16    // 6 of the name, less one
}

// dirIndex helps to find names in a large directory; it is followed by the
// first name behind it (squashfs_dir_index).
type dirIndex struct {
	Index uint32 // 0 bytes of the listing before it
	Block uint32 // 4 in which it lies
	Size  uint32 // 8 of the name, less one
}

// fragmentEntry is an entry of the fragment table (squashfs_fragment_entry).
type fragmentEntry struct {
	Start  uint64 // 0
	Size   uint32 // 8
	Unused uint32 // 12
}

// xattrTable is what the superblock points to (squashfs_xattr_id_table).
type xattrTable struct {
	Start  uint64 // 0 of the metadata blocks with names and values
	Count  uint32 // 8
	Unused uint32 // 12
}

// xattrEntry is an entry of the xattr table: the attributes of one or more
// inodes (squashfs_xattr_id).
type xattrEntry struct {
	List  Ref    // 0
	Count uint32 // 8
	Size  uint32 // 12
}

// xattrKey is followed by the name without its prefix (squashfs_xattr_entry).
type xattrKey struct {
	Type uint16 // 0 the prefix
	Size uint16 // 2
}

// The prefixes of xattrKey. With outOfLine the value is a Ref to the value.
const (
	xattrUser = iota
	xattrTrusted
	xattrSecurity

	outOfLine = 1 << 8
)
