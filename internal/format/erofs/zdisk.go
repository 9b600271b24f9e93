package erofs

import "fmt"

// Fixed sizes of compressed data (erofs_fs.h).
const (
	mapHeaderSize = 8
	fullIndexGap  = 8        // between the map header and full indexes
	fullIndexSize = 8        // of an LclusterIndex
	maxPcluster   = 1 << 20  // Z_EROFS_PCLUSTER_MAX_SIZE: encoded bytes
	maxDecoded    = 12 << 20 // Z_EROFS_PCLUSTER_MAX_DSIZE: decoded bytes
)

// SuperBlockExtension is what follows the superblock in its first extra slot.
type SuperBlockExtension struct {
	MetaboxNID uint64 // 0 with METABOX
	_          uint64 // 8
}

// Algorithm is a compression algorithm (Z_EROFS_COMPRESSION_*).
type Algorithm uint8

// The algorithms.
const (
	LZ4 Algorithm = iota
	LZMA
	Deflate
	Zstd
)

// Two ways to store a pcluster as it is. They have no number on disk, where
// four bits are for that.
const (
	shifted    Algorithm = 16 + iota // from its start on
	interlaced                       // as in a block of the file, so the end can come first
)

// String gives the algorithm's name.
func (a Algorithm) String() string {
	switch a {
	case LZ4:
		return "lz4"
	case LZMA:
		return "lzma"
	case Deflate:
		return "deflate"
	case Zstd:
		return "zstd"
	case shifted, interlaced:
		return "not compressed"
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// LZ4Config is struct z_erofs_lz4_cfgs.
type LZ4Config struct {
	MaxDistance       uint16   // 0
	MaxPclusterBlocks uint16   // 2
	_                 [10]byte // 4
}

// LZMAConfig is struct z_erofs_lzma_cfgs.
type LZMAConfig struct {
	DictSize uint32  // 0
	Format   uint16  // 4 0: MicroLZMA
	_        [8]byte // 6
}

// DeflateConfig is struct z_erofs_deflate_cfgs.
type DeflateConfig struct {
	WindowBits uint8   // 0
	_          [5]byte // 1
}

// ZstdConfig is struct z_erofs_zstd_cfgs.
type ZstdConfig struct {
	Format    uint8   // 0 0: frames as in RFC 8878
	WindowLog uint8   // 1 log2 of the window's size, less 10
	_         [4]byte // 2
}

// MapHeader is struct z_erofs_map_header, which stands in front of the indexes
// of a compressed file.
type MapHeader struct {
	Low        uint32     // 0 fragment's offset, inline size in the upper half, or extent count
	Advise     MapAdvise  // 4
	Algorithms Algorithms // 6 with extents, this and ClusterBits are more of the count
	Cluster    uint8      // 7 log2 of blocks per lcluster; bit 7: the file is a fragment
}

// Algorithms holds the two algorithms that a file can use.
type Algorithms uint8

// Of returns the algorithm of HEAD1 (0) or HEAD2 (1) lclusters.
func (a Algorithms) Of(head int) Algorithm { return Algorithm(a >> (4 * head) & 15) }

// String gives the names of both.
func (a Algorithms) String() string { return fmt.Sprintf("%s, %s", a.Of(0), a.Of(1)) }

// clusterFragment is the bit of MapHeader.Cluster that says that the whole
// file is in the packed inode, at the offset in the header's other 63 bits.
const clusterFragment = 1 << 7

// MapAdvise is a set of flags of a compressed file (Z_EROFS_ADVISE_*).
type MapAdvise uint16

// The flags. The first has two meanings.
const (
	AdviseCompacted2B MapAdvise = 1 << iota // compact indexes: of two bytes where that goes
	AdviseBigPcluster1
	AdviseBigPcluster2
	AdviseInlinePcluster
	AdviseInterlacedPcluster
	AdviseFragmentPcluster

	AdviseExtents = AdviseCompacted2B // full indexes: they are extents instead

	adviseRecordShift = 1
	adviseRecordMask  = 3
)

// String gives the names of the flags, those of an inode without extents.
func (a MapAdvise) String() string {
	return flagNames(uint32(a), "compacted_2b/extents", "big_pcluster_1", "big_pcluster_2", "inline_pcluster",
		"interlaced_pcluster", "fragment_pcluster")
}

// recordSize returns the size of a record if the file has extents.
func (a MapAdvise) recordSize() int64 { return 4 << (a >> adviseRecordShift & adviseRecordMask) }

// LclusterIndex is struct z_erofs_lcluster_index. A Union is the block of the
// pcluster for heads. For others it is the distances to the head before, or
// the number of blocks with the flag indexBlockCount, and to the head behind.
type LclusterIndex struct {
	Advise uint16 // 0 LclusterType, flag indexPartial
	Offset uint16 // 2 where in the lcluster the decoded data starts
	Union  uint32 // 4
}

const (
	indexTypeMask   = 3
	indexPartial    = 1 << 15 // more data follows in the pcluster
	indexBlockCount = 1 << 11 // the number is not a distance but counts blocks
)

// LclusterType says what an index is about (Z_EROFS_LCLUSTER_TYPE_*).
type LclusterType uint8

// The types. In each lcluster at most one pcluster starts.
const (
	PlainLcluster   LclusterType = iota // an uncompressed pcluster starts
	Head1Lcluster                       // a compressed one starts
	NonheadLcluster                     // none starts
	Head2Lcluster                       // one starts with the file's other algorithm
)

// String gives the type in a word.
func (t LclusterType) String() string {
	return [...]string{"plain", "head1", "nonhead", "head2"}[t&indexTypeMask]
}

// Extent is struct z_erofs_extent. On disk it may be cut behind 4, 8 or 16
// bytes.
type Extent struct {
	Length    uint32   //  0 of the encoded data, 0 for a hole, and its form
	StartLow  uint32   //  4 where in the image it is
	StartHigh uint32   //  8
	FileLow   uint32   // 12 where in the file it goes
	FileHigh  uint32   // 16
	_         [12]byte // 20
}

const (
	extentLengthMask = maxPcluster<<1 - 1
	extentPartial    = 1 << 27
	extentFormShift  = 28 // 0: stored, else 1 + algorithm
	extentSize       = 32
)
