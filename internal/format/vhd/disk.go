package vhd

import (
	"encoding/binary"
)

// Fixed numbers of the format.
const (
	Cookie     = "conectix" // begins the footer
	SectorSize = 512
	FooterSize = 512
	BlockSize  = 2 << 20 // of the disks that Create makes

	// MaxSize is the largest disk that Hyper-V and QEMU take: 2040 GiB.
	MaxSize = 0xff000000 * SectorSize

	// oldFooterSize is that of programs before Virtual PC 2004.
	oldFooterSize = 511

	dynamicCookie     = "cxsparse"
	dynamicHeaderSize = 1024
	version1          = 0x00010000
	featureReserved   = 2 // the bit that is always set
	noOffset          = 1<<64 - 1
	noBlock           = 1<<32 - 1
	epoch             = 946684800 // 2000-01-01 00:00:00 UTC, from which time stamps count
)

// Kind is the type of a disk.
type Kind uint32

// The kinds of disks.
const (
	Fixed        Kind = 2
	Dynamic      Kind = 3
	Differencing Kind = 4
)

// String gives the kind as a word.
func (k Kind) String() string {
	switch k {
	case Fixed:
		return "fixed"
	case Dynamic:
		return "dynamic"
	case Differencing:
		return "differencing"
	}
	return "unknown"
}

// footer is the hard disk footer.
type footer struct {
	Cookie             [8]byte  //  0 "conectix"
	Features           uint32   //  8 bit 0: temporary, bit 1: always set
	Version            uint32   // 12 1.0
	DataOffset         uint64   // 16 of the dynamic header; all ones in fixed disks
	TimeStamp          uint32   // 24 seconds since 2000
	CreatorApplication [4]byte  // 28
	CreatorVersion     uint32   // 32
	CreatorHostOS      [4]byte  // 36 "Wi2k" or "Mac "
	OriginalSize       uint64   // 40
	CurrentSize        uint64   // 48
	Geometry           geometry // 56
	Kind               Kind     // 60
	Checksum           uint32   // 64
	UniqueID           [16]byte // 68
	SavedState         uint8    // 84
	Reserved           [427]byte
}

// geometry is a size in cylinders, heads and sectors for each track.
type geometry struct {
	Cylinders uint16
	Heads     uint8
	Sectors   uint8
}

// dynamicHeader is the dynamic disk header.
type dynamicHeader struct {
	Cookie          [8]byte  //  0 "cxsparse"
	DataOffset      uint64   //  8 unused, all ones
	TableOffset     uint64   // 16 of the block allocation table
	HeaderVersion   uint32   // 24 1.0
	MaxTableEntries uint32   // 28
	BlockSize       uint32   // 32 without the bitmap
	Checksum        uint32   // 36
	ParentUniqueID  [16]byte // 40 this and what follows: differencing disks
	ParentTimeStamp uint32   // 56
	Reserved        uint32   // 60
	ParentName      [512]byte
	ParentLocators  [8][24]byte
	Reserved2       [256]byte
}

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

// checksum returns the complement of the sum of all bytes but the four of the
// checksum itself, which are at offset.
func checksum(b []byte, offset int) uint32 {
	sum := uint32(0)
	for i, c := range b {
		if i < offset || i >= offset+4 {
			sum += uint32(c)
		}
	}
	return ^sum
}

// The offsets of the checksums in their structures.
const (
	footerChecksum  = 64
	dynamicChecksum = 36
)

// sealed returns the bytes of a structure with its checksum set.
func sealed(v any, offset int) []byte {
	b := bytes(v)
	binary.BigEndian.PutUint32(b[offset:], checksum(b, offset))
	return b
}

// geometryOf returns the largest geometry that is no larger than the sectors
// (appendix of the specification).
func geometryOf(sectors int64) geometry {
	const most = 65535 * 16 * 255
	sectors = min(sectors, most)
	perTrack, heads := int64(255), int64(16)
	tracks := sectors / perTrack
	if sectors < 65535*16*63 {
		perTrack = 17
		tracks = sectors / perTrack
		heads = max(4, (tracks+1023)/1024)
		if tracks >= heads*1024 || heads > 16 {
			perTrack, heads = 31, 16
			tracks = sectors / perTrack
		}
		if tracks >= heads*1024 {
			perTrack, heads = 63, 16
			tracks = sectors / perTrack
		}
	}
	return geometry{uint16(tracks / heads), uint8(heads), uint8(perTrack)}
}
