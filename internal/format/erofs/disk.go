package erofs

import (
	"encoding/binary"
	"fmt"

	"sextant/internal/tree"
)

// Fixed places and sizes (erofs_fs.h).
const (
	Magic            = 0xE0F5E1E2 // EROFS_SUPER_MAGIC_V1
	SuperBlockOffset = 1024       // EROFS_SUPER_OFFSET
	SlotSize         = 32         // bytes from one nid to the next

	superBlockSize  = 128
	extraSlotSize   = 16 // EROFS_SB_EXTSLOT_SIZE
	compactSize     = 32
	extendedSize    = 64
	direntSize      = 12
	xattrHeaderSize = 12
	xattrEntrySize  = 4
	chunkEntrySize  = 4
	chunkIndexSize  = 8
	nullBlock       = 0xffffffff // EROFS_NULL_ADDR in 32 bits: a hole
	minBlockBits    = 9
	maxBlockBits    = 16
	maxSharedXattrs = 255 // XattrHeader.SharedCount is a byte
	maxXattrValue   = 0xffff
	maxXattrName    = 255                        // XATTR_NAME_MAX
	maxXattrBody    = xattrHeaderSize + 4*0xfffe // Inode.XattrCount has 16 bits
	maxSymlink      = 4095                       // PATH_MAX without its NUL
	maxVolumeName   = 15                         // older kernels insist on a NUL
	maxFileSize     = 1 << 62                    // so that sums do not overflow
	metaboxBit      = 1 << 63                    // EROFS_DIRENT_NID_METABOX_BIT
)

// FeatureCompat is a set of features that a reader may ignore.
type FeatureCompat uint32

// The compatible features (EROFS_FEATURE_COMPAT_*).
const (
	CompatChecksum         FeatureCompat = 1 << iota // the superblock carries a checksum
	CompatModTime                                    // timestamps are modification times
	CompatXattrFilter                                // XattrHeader.NameFilter means something
	CompatSharedInMetabox                            // shared xattrs lie in the metabox
	CompatPlainXattrPrefix                           // long xattr prefixes lie outside the packed inode
	CompatInodeShareXattrs                           // an xattr holds the digest of the content
)

// String gives the names of the features.
func (f FeatureCompat) String() string {
	return flagNames(uint32(f), "sb_chksum", "mtime", "xattr_filter", "shared_ea_in_metabox",
		"plain_xattr_pfx", "ishare_xattrs")
}

// FeatureIncompat is a set of features that a reader must know.
type FeatureIncompat uint32

// The incompatible features (EROFS_FEATURE_INCOMPAT_*). Some bits mean two
// things, because they came with the same kernel release.
const (
	IncompatZeroPadding   FeatureIncompat = 1 << iota // compressed data is padded in front
	IncompatCompression                               // COMPR_CFGS, BIG_PCLUSTER
	IncompatChunkedFile                               // chunk-based inodes
	IncompatDeviceTable                               // DEVICE_TABLE, COMPR_HEAD2
	IncompatTailPacking                               // ZTAILPACKING
	IncompatFragments                                 // FRAGMENTS, DEDUPE
	IncompatXattrPrefixes                             // long xattr name prefixes
	Incompat48Bit                                     // 48-bit block addresses
	IncompatMetabox                                   // metadata inside a special inode
)

// String gives the names of the features.
func (f FeatureIncompat) String() string {
	return flagNames(uint32(f), "zero_padding", "compr_cfgs", "chunked_file", "device_table",
		"ztailpacking", "fragments", "xattr_prefixes", "48bit", "metabox")
}

func flagNames(flags uint32, names ...string) string {
	list := ""
	for bit := range 32 {
		switch {
		case flags&(1<<bit) == 0:
		case bit < len(names):
			list += " " + names[bit]
		default:
			list += fmt.Sprintf(" %#x", 1<<bit)
		}
	}
	if list == "" {
		return "none"
	}
	return list[1:]
}

// SuperBlock is struct erofs_super_block without its extension slots.
type SuperBlock struct {
	Magic           uint32          //   0
	Checksum        uint32          //   4 CRC-32C without final inversion, of the rest of the block
	FeatureCompat   FeatureCompat   //   8
	BlockBits       uint8           //  12 log2 of the block size
	ExtraSlots      uint8           //  13 16-byte slots behind these 128 bytes
	RootNID         uint16          //  14 upper half of the block count with 48BIT
	Inodes          uint64          //  16
	BuildTime       int64           //  24 seconds; the time of compact inodes ("epoch" since 48BIT)
	BuildTimeNsec   uint32          //  32
	Blocks          uint32          //  36
	MetaBlock       uint32          //  40 where nid 0 is
	XattrBlock      uint32          //  44 where shared xattr 0 is
	UUID            UUID            //  48
	VolumeName      [16]byte        //  64
	FeatureIncompat FeatureIncompat //  80
	Compression     uint16          //  84 algorithms, or the LZ4 window
	ExtraDevices    uint16          //  86
	DeviceSlot      uint16          //  88 first slot of the device table
	DirBlockBits    uint8           //  90 must be zero: directory blocks are blocks
	XattrPrefixes   uint8           //  91
	XattrPrefixAt   uint32          //  92 in units of 4 bytes
	PackedNID       uint64          //  96
	XattrFilterSeed uint8           // 104 must be zero
	SharePrefixID   uint8           // 105
	_               [2]byte         // 106
	BuildTimeOffset uint32          // 108 seconds from BuildTime to when the image was made
	RootNID64       uint64          // 112 with 48BIT
	_               uint64          // 120
}

// UUID is a file system's identifier, in the byte order of its text.
type UUID [16]byte

// String gives the UUID in the usual form.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// DataLayout is how the data of an inode is stored (EROFS_INODE_*).
type DataLayout uint8

// The data layouts.
const (
	FlatPlain         DataLayout = iota // blocks in one run
	CompressedFull                      // compressed, 8-byte indexes
	FlatInline                          // blocks in one run, the last behind the inode
	CompressedCompact                   // compressed, packed indexes
	ChunkBased                          // a table of chunks behind the inode
)

// Compressed reports whether the data is compressed.
func (l DataLayout) Compressed() bool { return l == CompressedFull || l == CompressedCompact }

// String gives the layout's name.
func (l DataLayout) String() string {
	switch l {
	case FlatPlain:
		return "flat-plain"
	case CompressedFull:
		return "compressed-full"
	case FlatInline:
		return "flat-inline"
	case CompressedCompact:
		return "compressed-compact"
	case ChunkBased:
		return "chunk-based"
	}
	return fmt.Sprintf("layout %d", uint8(l))
}

// Format holds an on-disk inode's version and data layout.
type Format uint16

// The bits of a Format.
const (
	formatExtended    Format = 1 << 0
	formatLayoutShift        = 1
	formatLayoutMask  Format = 7 << formatLayoutShift
	formatBit4        Format = 1 << 4 // NLINK_1 of files, DOT_OMITTED of directories; both with 48BIT
	formatKnown              = formatExtended | formatLayoutMask | formatBit4
)

func formatOf(layout DataLayout, extended bool) Format {
	f := Format(layout) << formatLayoutShift
	if extended {
		f |= formatExtended
	}
	return f
}

// Layout returns the data layout.
func (f Format) Layout() DataLayout { return DataLayout(f & formatLayoutMask >> formatLayoutShift) }

// Extended reports whether the inode has 64 bytes.
func (f Format) Extended() bool { return f&formatExtended != 0 }

// String gives both parts in words.
func (f Format) String() string {
	if f.Extended() {
		return "extended " + f.Layout().String()
	}
	return "compact " + f.Layout().String()
}

// CompactInode is struct erofs_inode_compact.
type CompactInode struct {
	Format     Format    //  0
	XattrCount uint16    //  2 0, or 1 + 4-byte units behind the xattr header
	Mode       tree.Mode //  4
	Nlink      uint16    //  6
	Size       uint32    //  8
	ModTime    uint32    // 12 seconds from SuperBlock.BuildTime; kernels without 48BIT ignore it
	Union      uint32    // 16 first block, device number, or chunk format
	Ino        uint32    // 20
	UID        uint16    // 24
	GID        uint16    // 26
	_          uint32    // 28
}

// ExtendedInode is struct erofs_inode_extended.
type ExtendedInode struct {
	Format      Format    //  0
	XattrCount  uint16    //  2 as in CompactInode
	Mode        tree.Mode //  4
	BlockHigh   uint16    //  6 upper half of Union's block with 48BIT
	Size        uint64    //  8
	Union       uint32    // 16 as in CompactInode
	Ino         uint32    // 20
	UID         uint32    // 24
	GID         uint32    // 28
	ModTime     int64     // 32
	ModTimeNsec uint32    // 40
	Nlink       uint32    // 44
	_           [16]byte  // 48
}

// Dirent is struct erofs_dirent. The names follow the last Dirent of a block.
type Dirent struct {
	NID        uint64   //  0
	NameOffset uint16   //  8 from the start of the block
	FileType   FileType // 10
	_          uint8    // 11
}

// FileType is the type in a directory entry (EROFS_FT_*).
type FileType uint8

// The file types of directory entries.
const (
	UnknownType FileType = iota
	RegularType
	DirType
	CharType
	BlockType
	FIFOType
	SocketType
	SymlinkType
)

// fileTypeOf returns the directory entry's type for an inode's mode.
func fileTypeOf(mode tree.Mode) FileType {
	switch mode.Type() {
	case tree.TypeRegular:
		return RegularType
	case tree.TypeDir:
		return DirType
	case tree.TypeChar:
		return CharType
	case tree.TypeBlock:
		return BlockType
	case tree.TypeFIFO:
		return FIFOType
	case tree.TypeSocket:
		return SocketType
	case tree.TypeSymlink:
		return SymlinkType
	}
	return UnknownType
}

// String gives the type in a word.
func (t FileType) String() string {
	names := [...]string{"unknown", "file", "dir", "char", "block", "fifo", "socket", "symlink"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// XattrHeader is struct erofs_xattr_ibody_header. SharedCount 4-byte shared
// xattr numbers follow, then the inode's own entries.
type XattrHeader struct {
	NameFilter  uint32  // 0
	SharedCount uint8   // 4
	_           [7]byte // 5
}

// XattrEntry is struct erofs_xattr_entry. Name and value follow, then zeros
// up to a multiple of four bytes.
type XattrEntry struct {
	NameLength uint8       // 0 without the prefix
	Prefix     XattrPrefix // 1
	ValueSize  uint16      // 2
}

// XattrPrefix stands for the start of an xattr's name (EROFS_XATTR_INDEX_*).
type XattrPrefix uint8

// The prefixes that are built in. POSIX ACLs have no name behind the prefix.
const (
	PrefixUser XattrPrefix = 1 + iota
	PrefixACLAccess
	PrefixACLDefault
	PrefixTrusted
	PrefixLustre
	PrefixSecurity

	prefixLong XattrPrefix = 0x80 // the rest is an index of long prefixes
)

// String gives the text that the prefix stands for, and "" for an unknown one.
func (p XattrPrefix) String() string {
	switch p {
	case PrefixUser:
		return "user."
	case PrefixACLAccess:
		return "system.posix_acl_access"
	case PrefixACLDefault:
		return "system.posix_acl_default"
	case PrefixTrusted:
		return "trusted."
	case PrefixLustre:
		return "lustre."
	case PrefixSecurity:
		return "security."
	}
	return ""
}

// The bits of a chunk-based inode's format, which is in the lower half of its
// Union (EROFS_CHUNK_FORMAT_*).
const (
	chunkBitsMask = 0x1f // log2 of blocks per chunk
	chunkIndexes  = 0x20 // 8-byte entries with a device number
	chunk48Bit    = 0x40
	chunkKnown    = 0x7f
)

// ChunkIndex is struct erofs_inode_chunk_index.
type ChunkIndex struct {
	BlockHigh uint16 // 0
	Device    uint16 // 2
	Block     uint32 // 4
}

// put encodes v, one of the structs above, at the start of p.
func put(p []byte, v any) {
	if _, err := binary.Encode(p, binary.LittleEndian, v); err != nil {
		panic("internal error: " + err.Error())
	}
}

// take decodes v, a pointer to one of the structs above, from the start of p.
func take(p []byte, v any) {
	if _, err := binary.Decode(p, binary.LittleEndian, v); err != nil {
		panic("internal error: " + err.Error())
	}
}

// Device numbers are stored as the kernel's new_encode_dev makes them: 12 bits
// of major and 20 of minor number, the lower eight of the latter apart.
const (
	maxMajor = 1<<12 - 1
	maxMinor = 1<<20 - 1
)

func encodeDevice(d tree.Device) uint32 {
	return d.Minor&0xff | d.Major<<8 | d.Minor&^0xff<<12
}

func decodeDevice(n uint32) tree.Device {
	return tree.Device{Major: n >> 8 & maxMajor, Minor: n&0xff | n>>12&0xfff00}
}
