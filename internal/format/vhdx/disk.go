package vhdx

import (
	"encoding/binary"
	"hash/crc32"
)

// Fixed numbers of the format.
const (
	Signature = "vhdxfile" // begins the file

	MinBlockSize = 1 << 20
	MaxBlockSize = 256 << 20
	MaxSize      = 64 << 40 // bytes of a disk

	headerSize    = 4 << 10  // over which a header's checksum goes
	regionTable   = 64 << 10 // over which a region table's checksum goes
	maxRegions    = 2047
	metadataTable = 64 << 10
	maxItems      = 2047
	maxItem       = 1 << 20 // bytes of a metadata item
	align         = 1 << 20 // of everything behind the headers

	sectorsPerChunk = 1 << 23 // described by one sector bitmap block
)

// The places of what is in the first MiB.
const (
	header1At      = 64 << 10
	header2At      = 128 << 10
	regionTable1At = 192 << 10
	regionTable2At = 256 << 10
)

// GUID is an identifier in the byte order of its text form.
type GUID [16]byte

// guid is a GUID as it lies on disk: three little-endian numbers and 8 bytes.
type guid struct {
	A    uint32
	B, C uint16
	D    [8]byte
}

func (g GUID) disk() guid {
	return guid{binary.BigEndian.Uint32(g[0:]), binary.BigEndian.Uint16(g[4:]), binary.BigEndian.Uint16(g[6:]), [8]byte(g[8:])}
}

// The regions that a file must have (section 2.2.3.2).
func batRegion() guid {
	return guid{0x2dc27766, 0xf623, 0x4200, [8]byte{0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08}}
}

func metadataRegion() guid {
	return guid{0x8b7ca206, 0x4790, 0x4b9a, [8]byte{0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e}}
}

// The metadata items (section 2.6.2).
func fileParametersItem() guid {
	return guid{0xcaa16737, 0xfa36, 0x4d43, [8]byte{0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b}}
}

func diskSizeItem() guid {
	return guid{0x2fa54224, 0xcd1b, 0x4876, [8]byte{0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8}}
}

func diskIDItem() guid {
	return guid{0xbeca12ab, 0xb2e6, 0x4523, [8]byte{0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46}}
}

func logicalSectorItem() guid {
	return guid{0x8141bf1d, 0xa96f, 0x4709, [8]byte{0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f}}
}

func physicalSectorItem() guid {
	return guid{0xcda348c7, 0x445d, 0x4471, [8]byte{0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56}}
}

func parentLocatorItem() guid {
	return guid{0xa8d35f2d, 0xb30b, 0x454d, [8]byte{0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c}}
}

// fileIdentifier begins the file (section 2.2.1).
type fileIdentifier struct {
	Signature [8]byte     // 0 "vhdxfile"
	Creator   [256]uint16 // 8 UTF-16, for people only
}

// header is one of the two headers (section 2.2.2). The rest of its 4 KiB is
// reserved.
type header struct {
	Signature      [4]byte //  0 "head"
	Checksum       uint32  //  4
	SequenceNumber uint64  //  8
	FileWriteGUID  guid    // 16
	DataWriteGUID  guid    // 32
	LogGUID        guid    // 48 zero: the log is empty
	LogVersion     uint16  // 64 0
	Version        uint16  // 66 1
	LogLength      uint32  // 68
	LogOffset      uint64  // 72
}

// regionHeader begins a region table (section 2.2.3.1).
type regionHeader struct {
	Signature  [4]byte // 0 "regi"
	Checksum   uint32  // 4
	EntryCount uint32  // 8
	Reserved   uint32  // 12
}

// regionEntry is an entry of a region table (section 2.2.3.2).
type regionEntry struct {
	GUID     guid   //  0
	Offset   uint64 // 16
	Length   uint32 // 24
	Required uint32 // 28 bit 0: who does not know the region must not open the file
}

// logHeader begins a log entry (section 2.3.1.1).
type logHeader struct {
	Signature         [4]byte //  0 "loge"
	Checksum          uint32  //  4 over the whole entry
	EntryLength       uint32  //  8
	Tail              uint32  // 12 offset in the log of the oldest entry that counts
	SequenceNumber    uint64  // 16
	DescriptorCount   uint32  // 24
	Reserved          uint32  // 28
	LogGUID           guid    // 32
	FlushedFileOffset uint64  // 48 the file had at least this size
	LastFileOffset    uint64  // 56 the file needs at least this size
}

// descriptor is a zero or a data descriptor (sections 2.3.1.2, 2.3.1.3).
type descriptor struct {
	Signature      [4]byte //  0 "zero" or "desc"
	TrailingBytes  [4]byte //  4 data: the last of the sector
	LeadingBytes   [8]byte //  8 data: the first of the sector; zero: the length
	FileOffset     uint64  // 16
	SequenceNumber uint64  // 24
}

// Sizes of what is in the log.
const (
	logSector        = 4096
	logHeaderSize    = 64
	descriptorSize   = 32
	logDataLead      = 8   // bytes of a data sector that are in the descriptor instead
	logDataTrail     = 4   // also
	firstDescriptors = 126 // in the sector with the header
	moreDescriptors  = 128
)

// metadataHeader begins the metadata table (section 2.6.1.1).
type metadataHeader struct {
	Signature  [8]byte // 0 "metadata"
	Reserved   uint16
	EntryCount uint16 // 10
	Reserved2  [20]byte
}

// metadataEntry is an entry of the metadata table (section 2.6.1.2).
type metadataEntry struct {
	Item     guid      //  0
	Offset   uint32    // 16 in the metadata region
	Length   uint32    // 20
	Flags    itemFlags // 24
	Reserved uint32    // 28
}

type itemFlags uint32

const (
	itemUser     itemFlags = 1 << iota // not the system's
	itemDisk                           // about the disk, not the file
	itemRequired                       // who does not know the item must not open the file
)

// fileParameters is the metadata item of that name (section 2.6.2.1).
type fileParameters struct {
	BlockSize uint32
	Flags     parameterFlags
}

type parameterFlags uint32

const (
	leaveBlocksAllocated parameterFlags = 1 << iota // a fixed disk
	hasParent                                       // a differencing disk
)

// blockState is the state in a BAT entry (section 2.5.1.1).
type blockState uint64

const (
	notPresent       blockState = 0
	undefined        blockState = 1
	zeroBlock        blockState = 2
	unmapped         blockState = 3
	unmappedBefore1  blockState = 5 // in version 0.95 of the specification
	fullyPresent     blockState = 6
	partiallyPresent blockState = 7
)

// The parts of a BAT entry.
const (
	batState    = 0x7
	batReserved = 0xffff8
	batOffset   = 0xfffffffffff00000
)

// bytes encodes a structure of this file.
func bytes(v any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return b
}

// decode fills a structure of this file from b, which must be long enough.
func decode(b []byte, v any) {
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		panic("internal error: " + err.Error())
	}
}

// checksumAt is where the checksum is in each structure that has one.
const checksumAt = 4

// checksum returns the CRC-32C of b, the checksum's own bytes counting as zero.
func checksum(b []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Checksum(b[:checksumAt], table)
	sum = crc32.Update(sum, table, make([]byte, 4))
	return crc32.Update(sum, table, b[checksumAt+4:])
}

// sealed returns the bytes of v, size of them, with the checksum set.
func sealed(v any, size int) []byte {
	b := bytes(v)
	b = append(b, make([]byte, size-len(b))...)
	binary.LittleEndian.PutUint32(b[checksumAt:], checksum(b))
	return b
}
