package fat

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	// BootSize is how many bytes of the boot sector mean something.
	BootSize = 512

	// DirEntrySize is the size of a directory entry of either kind.
	DirEntrySize = 32

	// firstCluster is the number of the first one. The entries before it hold
	// the media byte and the flags.
	firstCluster = 2

	// dirMax is the largest directory in bytes: 65536 entries, as Linux and
	// Windows read no more.
	dirMax = 65536 * DirEntrySize

	// SizeMax is the largest file in bytes, as its size has 32 bits.
	SizeMax = 1<<32 - 1
)

// BPB is the begin of the boot sector (the specification, "Boot Sector and
// BPB").
type BPB struct {
	Jump              [3]byte //  0
	OEMName           [8]byte //  3
	BytesPerSector    uint16  // 11
	SectorsPerCluster uint8   // 13
	ReservedSectors   uint16  // 14
	FATs              uint8   // 16
	RootEntries       uint16  // 17 zero for FAT32
	TotalSectors16    uint16  // 19
	Media             uint8   // 21
	FATSectors16      uint16  // 22 zero for FAT32
	SectorsPerTrack   uint16  // 24
	Heads             uint16  // 26
	HiddenSectors     uint32  // 28
	TotalSectors32    uint32  // 32 if TotalSectors16 is zero
}

// BPB32 follows the BPB of a FAT32.
type BPB32 struct {
	FATSectors     uint32   // 36
	ExtFlags       ExtFlags // 40
	Version        uint16   // 42 zero
	RootCluster    uint32   // 44
	FSInfoSector   uint16   // 48
	BackupBoot     uint16   // 50 sector with a copy of the boot sector
	ReservedUnused [12]byte // 52
}

// BPBTail follows the BPB of FAT12 and FAT16 and the BPB32 of FAT32.
type BPBTail struct {
	Drive         uint8    //  0
	State         State    //  1 used by Windows NT and Linux
	ExtSignature  uint8    //  2 0x29: the rest is valid
	VolumeID      uint32   //  3
	VolumeLabel   [11]byte //  7
	FileSystemTag [8]byte  // 18 "FAT16   " and the like; says nothing
}

// Where parts of the boot sector begin.
const (
	bpb32At         = 36
	tailAt16        = 36
	tailAt32        = 64
	bootSignatureAt = 510

	extSignature      = 0x29
	extSignatureShort = 0x28 // VolumeID alone
)

// ExtFlags of a FAT32 tell which FAT counts.
type ExtFlags uint16

// The bits of ExtFlags.
const (
	ActiveFAT   ExtFlags = 0x000F // its number, if NotMirrored
	NotMirrored ExtFlags = 0x0080 // only the active FAT is kept up to date
)

// String says which FAT counts.
func (f ExtFlags) String() string {
	if f&NotMirrored == 0 {
		return "all FATs alike"
	}
	return fmt.Sprintf("FAT %d alone", f&ActiveFAT)
}

// State tells in what state a volume was left.
type State uint8

// The bits of State.
const (
	StateDirty State = 0x01 // in use, or not unmounted
	StateError State = 0x02 // Windows NT: the surface is to be tested
)

// String names the bits.
func (s State) String() string {
	return bitNames(uint32(s), []string{"dirty", "surface test"}, "clean")
}

// FSInfo is a sector of a FAT32 with hints for writers.
type FSInfo struct {
	LeadSignature   uint32    //   0
	Reserved1       [480]byte //   4
	StructSignature uint32    // 484
	FreeCount       uint32    // 488 clusters, 0xFFFFFFFF: not known
	NextFree        uint32    // 492 where to look for a free one, 0xFFFFFFFF: not known
	Reserved2       [12]byte  // 496
	TrailSignature  uint32    // 508
}

const (
	leadSignature   = 0x41615252
	structSignature = 0x61417272
	trailSignature  = 0xAA550000
	unknown32       = 0xFFFFFFFF

	freeCountAt = 488
)

// Attributes are the attributes of a directory entry.
type Attributes uint8

// The bits of Attributes.
const (
	ReadOnly Attributes = 0x01
	Hidden   Attributes = 0x02
	System   Attributes = 0x04
	VolumeID Attributes = 0x08 // the entry's name is the volume's label
	Dir      Attributes = 0x10
	Archive  Attributes = 0x20 // changed since the last backup

	longName     Attributes = 0x0F // all four: part of a long name
	longNameMask Attributes = 0x3F
)

// String names the bits.
func (a Attributes) String() string {
	if a&longNameMask == longName {
		return "long name"
	}
	return bitNames(uint32(a), []string{"read-only", "hidden", "system", "volume label", "directory", "archive"}, "none")
}

func (a Attributes) isLong() bool { return a&longNameMask == longName }

// CaseFlags say which half of a short name is shown in lower case. They are
// Windows NT's.
type CaseFlags uint8

// The bits of CaseFlags.
const (
	LowerBase      CaseFlags = 0x08
	LowerExtension CaseFlags = 0x10
)

// String names the bits.
func (c CaseFlags) String() string {
	return bitNames(uint32(c)>>3, []string{"lower base", "lower extension"}, "none")
}

// bitNames names the bits of v that names has one for, and gives the others in
// hexadecimal.
func bitNames(v uint32, names []string, none string) string {
	var list []string
	for i, name := range names {
		if v&(1<<i) != 0 {
			list = append(list, name)
			v &^= 1 << i
		}
	}
	if v != 0 {
		list = append(list, fmt.Sprintf("%#x", v))
	}
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

// DirEntry is a directory entry with a short name.
type DirEntry struct {
	Name          ShortName  //  0
	Attributes    Attributes // 11
	Case          CaseFlags  // 12
	CreateHundred uint8      // 13 hundredths of a second, 0 to 199
	CreateTime    Time       // 14
	CreateDate    Date       // 16
	AccessDate    Date       // 18
	ClusterHi     uint16     // 20 FAT32 only
	WriteTime     Time       // 22
	WriteDate     Date       // 24
	ClusterLo     uint16     // 26
	Size          uint32     // 28 of a directory zero
}

// LongEntry is a directory entry with a piece of a long name. They come in
// front of the entry they belong to, the last piece first.
type LongEntry struct {
	Order      uint8      //  0 from 1 on; lastLong marks the last piece
	Name1      [5]uint16  //  1 UTF-16
	Attributes Attributes // 11
	Type       uint8      // 12 zero
	Checksum   uint8      // 13 of the short name
	Name2      [6]uint16  // 14
	ClusterLo  uint16     // 26 zero
	Name3      [2]uint16  // 28
}

const (
	lastLong   = 0x40
	longOrder  = 0x1F
	longUnits  = 13  // UTF-16 units in an entry
	longMax    = 255 // UTF-16 units in a name
	longPieces = (longMax + longUnits - 1) / longUnits

	markEnd     = 0x00 // first byte: no entry here nor behind
	markDeleted = 0xE5
	markKanji   = 0x05 // stands for 0xE5 as the first byte of a name
)

// decodeEntry is decode for the structure that there are most of: reflection
// takes ten times as long.
func decodeEntry(b []byte) (e DirEntry) {
	le := binary.LittleEndian
	copy(e.Name[:], b)
	e.Attributes, e.Case, e.CreateHundred = Attributes(b[11]), CaseFlags(b[12]), b[13]
	e.CreateTime, e.CreateDate = Time(le.Uint16(b[14:])), Date(le.Uint16(b[16:]))
	e.AccessDate, e.ClusterHi = Date(le.Uint16(b[18:])), le.Uint16(b[20:])
	e.WriteTime, e.WriteDate = Time(le.Uint16(b[22:])), Date(le.Uint16(b[24:]))
	e.ClusterLo, e.Size = le.Uint16(b[26:]), le.Uint32(b[28:])
	return e
}

// decodeLong is the same for a piece of a long name.
func decodeLong(b []byte) (l LongEntry) {
	le := binary.LittleEndian
	l.Order, l.Attributes, l.Type, l.Checksum = b[0], Attributes(b[11]), b[12], b[13]
	l.ClusterLo = le.Uint16(b[26:])
	for i := range l.Name1 {
		l.Name1[i] = le.Uint16(b[1+2*i:])
	}
	for i := range l.Name2 {
		l.Name2[i] = le.Uint16(b[14+2*i:])
	}
	for i := range l.Name3 {
		l.Name3[i] = le.Uint16(b[28+2*i:])
	}
	return l
}

// decode fills a structure of this file from b, which must be long enough.
func decode(b []byte, v any) {
	if _, err := binary.Decode(b, binary.LittleEndian, v); err != nil {
		panic("internal error: " + err.Error())
	}
}

// encode gives the bytes of a structure of this file.
func encode(v any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return b
}
