package ext4

import (
	"encoding/binary"
)

// Fixed places, sizes and numbers (fs/ext4/ext4.h).
const (
	SuperBlockOffset = 1024
	SuperBlockSize   = 1024
	Magic            = 0xEF53

	MinBlockSize = 1024
	MaxBlockSize = 65536

	RootInode      = 2
	ResizeInode    = 7
	JournalInode   = 8
	badBlocksInode = 1

	firstInode0   = 11 // first free inode number in revision 0
	inodeSize0    = 128
	inodeExtra    = 32 // bytes of Inode behind the first 128
	descSize32    = 32
	descSize64    = 64
	extentMagic   = 0xF30A
	extentLevels  = 5
	maxInitExtent = 32768 // Extent.Length above it: allocated, never written
	directBlocks  = 12
	blockAreaSize = 60 // bytes of Inode.Block

	xattrMagic     = 0xEA020000
	xattrMaxShares = 1024 // EXT4_XATTR_REFCOUNT_MAX
	orphanMagic    = 0x0b10ca04
	mmpMagic       = 0x004D4D50
	mmpClean       = 0xFF4D4D50
	direntTailType = 0xDE
	direntTailSize = 12
	direntHeader   = 8
	minDirent      = 12
	indexEntrySize = 8
	checksumCRC32C = 1
	maxNameLength  = 255
	maxLinks       = 65000
	linksUnknown   = 1 // of a directory with more than maxLinks, dir_nlink
	creatorLinux   = 0
)

// SuperBlock is struct ext4_super_block.
type SuperBlock struct {
	InodesCount         uint32          // 0x000
	BlocksCountLo       uint32          // 0x004
	ReservedBlocksLo    uint32          // 0x008
	FreeBlocksLo        uint32          // 0x00C in blocks, even with bigalloc
	FreeInodes          uint32          // 0x010
	FirstDataBlock      uint32          // 0x014
	LogBlockSize        uint32          // 0x018 block size is 1024 << this
	LogClusterSize      uint32          // 0x01C cluster size is 1024 << this
	BlocksPerGroup      uint32          // 0x020
	ClustersPerGroup    uint32          // 0x024
	InodesPerGroup      uint32          // 0x028
	MountTime           uint32          // 0x02C
	WriteTime           uint32          // 0x030
	MountCount          uint16          // 0x034
	MaxMountCount       int16           // 0x036
	Magic               uint16          // 0x038
	State               State           // 0x03A
	Errors              uint16          // 0x03C what the kernel does on errors
	MinorRevision       uint16          // 0x03E
	LastCheck           uint32          // 0x040
	CheckInterval       uint32          // 0x044
	CreatorOS           uint32          // 0x048
	Revision            uint32          // 0x04C 0: the fields from FirstInode on are not there
	ReservedUID         uint16          // 0x050
	ReservedGID         uint16          // 0x052
	FirstInode          uint32          // 0x054 first number that is not reserved
	InodeSize           uint16          // 0x058
	BlockGroup          uint16          // 0x05A the group this copy lies in
	FeatureCompat       FeatureCompat   // 0x05C
	FeatureIncompat     FeatureIncompat // 0x060
	FeatureROCompat     FeatureROCompat // 0x064
	UUID                [16]byte        // 0x068
	VolumeName          [16]byte        // 0x078
	LastMounted         [64]byte        // 0x088
	AlgorithmUsage      uint32          // 0x0C8
	PreallocBlocks      uint8           // 0x0CC
	PreallocDirBlocks   uint8           // 0x0CD
	ReservedGDTBlocks   uint16          // 0x0CE
	JournalUUID         [16]byte        // 0x0D0
	JournalInode        uint32          // 0x0E0
	JournalDevice       uint32          // 0x0E4
	LastOrphan          uint32          // 0x0E8
	HashSeed            [4]uint32       // 0x0EC
	DefaultHash         HashVersion     // 0x0FC
	JournalBackupType   uint8           // 0x0FD
	DescSize            uint16          // 0x0FE
	DefaultMountOptions uint32          // 0x100
	FirstMetaGroup      uint32          // 0x104
	MkfsTime            uint32          // 0x108
	JournalBlocks       [17]uint32      // 0x10C copy of the journal inode's Block and size
	BlocksCountHi       uint32          // 0x150
	ReservedBlocksHi    uint32          // 0x154
	FreeBlocksHi        uint32          // 0x158
	MinExtraSize        uint16          // 0x15C
	WantExtraSize       uint16          // 0x15E
	Flags               SuperFlags      // 0x160
	RAIDStride          uint16          // 0x164
	MMPInterval         uint16          // 0x166
	MMPBlock            uint64          // 0x168
	RAIDStripeWidth     uint32          // 0x170
	LogGroupsPerFlex    uint8           // 0x174
	ChecksumType        uint8           // 0x175
	EncryptionLevel     uint8           // 0x176
	Padding             uint8           // 0x177
	KBytesWritten       uint64          // 0x178
	SnapshotInode       uint32          // 0x180
	SnapshotID          uint32          // 0x184
	SnapshotReserved    uint64          // 0x188
	SnapshotList        uint32          // 0x190
	ErrorCount          uint32          // 0x194
	FirstErrorTime      uint32          // 0x198
	FirstErrorInode     uint32          // 0x19C
	FirstErrorBlock     uint64          // 0x1A0
	FirstErrorFunc      [32]byte        // 0x1A8
	FirstErrorLine      uint32          // 0x1C8
	LastErrorTime       uint32          // 0x1CC
	LastErrorInode      uint32          // 0x1D0
	LastErrorLine       uint32          // 0x1D4
	LastErrorBlock      uint64          // 0x1D8
	LastErrorFunc       [32]byte        // 0x1E0
	MountOptions        [64]byte        // 0x200
	UserQuotaInode      uint32          // 0x240
	GroupQuotaInode     uint32          // 0x244
	OverheadClusters    uint32          // 0x248
	BackupGroups        [2]uint32       // 0x24C with sparse_super2
	EncryptAlgorithms   [4]uint8        // 0x254
	EncryptSalt         [16]byte        // 0x258
	LostFoundInode      uint32          // 0x268
	ProjectQuotaInode   uint32          // 0x26C
	ChecksumSeed        uint32          // 0x270 with metadata_csum_seed
	WriteTimeHi         uint8           // 0x274
	MountTimeHi         uint8           // 0x275
	MkfsTimeHi          uint8           // 0x276
	LastCheckHi         uint8           // 0x277
	FirstErrorTimeHi    uint8           // 0x278
	LastErrorTimeHi     uint8           // 0x279
	FirstErrorCode      uint8           // 0x27A
	LastErrorCode       uint8           // 0x27B
	Encoding            uint16          // 0x27C
	EncodingFlags       uint16          // 0x27E
	OrphanFileInode     uint32          // 0x280
	Reserved            [94]uint32      // 0x284
	Checksum            uint32          // 0x3FC
}

// GroupDesc is struct ext4_group_desc. The second half is there only when
// descriptors have 64 bytes or more.
type GroupDesc struct {
	BlockBitmapLo         uint32     // 0x00
	InodeBitmapLo         uint32     // 0x04
	InodeTableLo          uint32     // 0x08
	FreeClustersLo        uint16     // 0x0C
	FreeInodesLo          uint16     // 0x0E
	UsedDirsLo            uint16     // 0x10
	Flags                 GroupFlags // 0x12
	ExcludeBitmapLo       uint32     // 0x14
	BlockBitmapChecksumLo uint16     // 0x18
	InodeBitmapChecksumLo uint16     // 0x1A
	UnusedInodesLo        uint16     // 0x1C inodes at the table's end that were never used
	Checksum              uint16     // 0x1E

	BlockBitmapHi         uint32 // 0x20
	InodeBitmapHi         uint32 // 0x24
	InodeTableHi          uint32 // 0x28
	FreeClustersHi        uint16 // 0x2C
	FreeInodesHi          uint16 // 0x2E
	UsedDirsHi            uint16 // 0x30
	UnusedInodesHi        uint16 // 0x32
	ExcludeBitmapHi       uint32 // 0x34
	BlockBitmapChecksumHi uint16 // 0x38
	InodeBitmapChecksumHi uint16 // 0x3A
	Reserved              uint32 // 0x3C
}

const groupDescChecksumOffset = 0x1E

// Inode is struct ext4_inode. The fields from ExtraSize on are there only as
// far as ExtraSize reaches, and not at all in inodes of 128 bytes.
type Inode struct {
	Mode         uint16              // 0x00
	UIDLo        uint16              // 0x02
	SizeLo       uint32              // 0x04
	AccessTime   int32               // 0x08 of an xattr inode: the value's checksum
	ChangeTime   int32               // 0x0C of an xattr inode: its users, high half
	ModTime      int32               // 0x10
	DeletionTime uint32              // 0x14 of an orphan: the next orphan
	GIDLo        uint16              // 0x18
	Links        uint16              // 0x1A
	BlocksLo     uint32              // 0x1C
	Flags        InodeFlags          // 0x20
	VersionLo    uint32              // 0x24 of an xattr inode: its users, low half
	Block        [blockAreaSize]byte // 0x28 extent tree, block pointers, or content
	Generation   uint32              // 0x64
	XattrBlockLo uint32              // 0x68
	SizeHi       uint32              // 0x6C
	FragmentAddr uint32              // 0x70
	BlocksHi     uint16              // 0x74
	XattrBlockHi uint16              // 0x76
	UIDHi        uint16              // 0x78
	GIDHi        uint16              // 0x7A
	ChecksumLo   uint16              // 0x7C
	Reserved     uint16              // 0x7E

	ExtraSize       uint16 // 0x80 bytes from here on that mean something
	ChecksumHi      uint16 // 0x82
	ChangeTimeExtra uint32 // 0x84
	ModTimeExtra    uint32 // 0x88
	AccessTimeExtra uint32 // 0x8C
	CreateTime      int32  // 0x90
	CreateTimeExtra uint32 // 0x94
	VersionHi       uint32 // 0x98
	ProjectID       uint32 // 0x9C
}

// Offsets inside Inode that checksums and ExtraSize need.
const (
	inodeChecksumLo   = 0x7C
	inodeChecksumHi   = 0x82
	endOfChecksumHi   = 0x84
	endOfModTimeExtra = 0x8C
)

// ExtentHeader is struct ext4_extent_header. It begins Inode.Block and every
// block of an extent tree.
type ExtentHeader struct {
	Magic      uint16 //  0
	Entries    uint16 //  2
	Max        uint16 //  4
	Depth      uint16 //  6 0: Extents follow, else ExtentIndexes
	Generation uint32 //  8
}

// ExtentIndex is struct ext4_extent_idx.
type ExtentIndex struct {
	Block  uint32 //  0 first logical block below
	LeafLo uint32 //  4
	LeafHi uint16 //  8
	Unused uint16 // 10
}

// Extent is struct ext4_extent.
type Extent struct {
	Block   uint32 //  0 first logical block
	Length  uint16 //  4 above 32768: allocated but never written, reads as zeros
	StartHi uint16 //  6
	StartLo uint32 //  8
}

const extentSize = 12 // of each of the three above

// DirEntry is struct ext4_dir_entry_2 without its name. Without the feature
// filetype FileType is zero, but for the checksum's entry.
type DirEntry struct {
	Inode      uint32   // 0 zero: not in use
	RecordSize uint16   // 4
	NameLength uint8    // 6
	FileType   FileType // 7
}

// IndexRoot is what follows "." and ".." in the first block of an indexed
// directory (struct dx_root_info).
type IndexRoot struct {
	ReservedZero   uint32      // 0
	Hash           HashVersion // 4
	Size           uint8       // 5 always 8
	IndirectLevels uint8       // 6
	UnusedFlags    uint8       // 7
}

// IndexEntry is struct dx_entry. The first of a node holds the limit and the
// count of entries in place of the hash.
type IndexEntry struct {
	Hash  uint32 // 0
	Block uint32 // 4 logical block of the directory
}

// XattrHeader is struct ext4_xattr_header, the begin of an xattr block.
type XattrHeader struct {
	Magic      uint32    //  0
	References uint32    //  4
	Blocks     uint32    //  8 always 1
	Hash       uint32    // 12
	Checksum   uint32    // 16
	Reserved   [3]uint32 // 20
}

// XattrEntry is struct ext4_xattr_entry without its name.
type XattrEntry struct {
	NameLength  uint8      //  0
	NameIndex   XattrIndex //  1
	ValueOffset uint16     //  2
	ValueInode  uint32     //  4 with ea_inode: holds the value
	ValueSize   uint32     //  8
	Hash        uint32     // 12
}

const (
	xattrHeaderSize     = 32
	xattrBodyHeaderSize = 4 // the magic alone, behind the inode's fields
	xattrEntrySize      = 16
	xattrChecksumOffset = 16
)

// decode fills a structure of this file from b, which must be long enough.
func decode(b []byte, v any) {
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		panic("internal error: " + err.Error())
	}
}

// encode puts a structure of this file into the begin of b, which must be long
// enough.
func encode(b []byte, v any) {
	if _, err := binary.Encode(b, binary.LittleEndian, v); err != nil {
		panic("internal error: " + err.Error())
	}
}

// put16 and put32 write one number at an offset that the caller checked.
func put16(b []byte, at int, n uint16) { binary.LittleEndian.PutUint16(b[at:], n) }
func put32(b []byte, at int, n uint32) { binary.LittleEndian.PutUint32(b[at:], n) }

// le16 and le32 read one number at an offset that the caller checked.
func le16(b []byte, at int) uint16 { return binary.LittleEndian.Uint16(b[at:]) }
func le32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

// join makes one number of the halves of a field.
func join(hi, lo uint32) uint64 { return uint64(hi)<<32 | uint64(lo) }

// split is the reverse of join.
func split(n uint64) (hi, lo uint32) { return uint32(n >> 32), uint32(n) }
