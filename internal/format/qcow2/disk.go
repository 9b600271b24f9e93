package qcow2

import (
	"encoding/binary"
)

// Magic begins every image.
const Magic = "QFI\xfb"

// Limits of the format, and those that QEMU sets itself.
const (
	MinClusterBits         = 9
	MaxClusterBits         = 21 // QEMU's
	MinExtendedClusterBits = 14 // with extended L2 entries
	DefaultClusterBits     = 16
	Subclusters            = 32 // of a cluster, with extended L2 entries

	headerSize2    = 72       // bytes of a version 2 header
	headerSize3    = 104      // at least, of version 3
	maxL1Size      = 32 << 20 // bytes, QEMU's
	maxRefcountTab = 8 << 20  // bytes, QEMU's
	maxBackingName = 1023
)

// header is the version 2 header, which version 3 continues with header3.
type header struct {
	Magic                 [4]byte //  0 "QFI\xfb"
	Version               uint32  //  4 2 or 3
	BackingFileOffset     uint64  //  8 0: none
	BackingFileSize       uint32  // 16
	ClusterBits           uint32  // 20
	Size                  uint64  // 24 of the disk, in bytes
	CryptMethod           uint32  // 32 0: none, 1: AES, 2: LUKS
	L1Size                uint32  // 36 entries
	L1TableOffset         uint64  // 40
	RefcountTableOffset   uint64  // 48
	RefcountTableClusters uint32  // 56
	NbSnapshots           uint32  // 60
	SnapshotsOffset       uint64  // 64
}

// header3 follows the header from version 3 on.
type header3 struct {
	Incompatible  Incompatible //  72
	Compatible    uint64       //  80 bit 0: lazy refcounts
	Autoclear     uint64       //  88 bit 0: bitmaps, bit 1: raw external data
	RefcountOrder uint32       //  96 2^n bits for a refcount
	HeaderLength  uint32       // 100
	Compression   Compression  // 104 not there if HeaderLength is 104
	Padding       [7]byte      // 105 must be zero
}

// Incompatible are the features that a reader has to know.
type Incompatible uint64

// The incompatible features that have a meaning.
const (
	Dirty            Incompatible = 1 << iota // refcounts may be wrong
	Corrupt                                   // anything may be wrong
	ExternalDataFile                          // the data is in another file
	CompressionType                           // not deflate
	ExtendedL2                                // subclusters
)

// Compression is how compressed clusters are compressed.
type Compression uint8

// The compressions.
const (
	Deflate Compression = 0
	Zstd    Compression = 1
)

// extension begins each header extension; its data is padded to 8 bytes.
type extension struct {
	Type   uint32
	Length uint32
}

// The types of header extensions that matter here.
const (
	extEnd          = 0
	extFeatureNames = 0x6803f857
)

// featureName is one entry of the feature name table.
type featureName struct {
	Type uint8 // 0: incompatible
	Bit  uint8
	Name [46]byte // NUL behind it if shorter
}

// The bits of L1 and L2 entries.
const (
	entryOffset     = 0x00fffffffffffe00
	entryUsedOnce   = 1 << 63
	entryCompressed = 1 << 62
	entryZero       = 1 << 0
	l1Reserved      = 0x7f000000000001ff
	l2Reserved      = 0x3f000000000001fe
)

// bytes encodes a structure of this file.
func bytes(v any) []byte {
	b, err := binary.Append(nil, binary.BigEndian, v)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return b
}

// decode fills a structure of this file from b, which must be long enough.
func decode(b []byte, v any) {
	if _, err := binary.Decode(b, binary.BigEndian, v); err != nil {
		panic("internal error: " + err.Error())
	}
}
