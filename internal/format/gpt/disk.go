package gpt

import (
	"encoding/binary"
	"hash/crc32"
)

// Fixed numbers of the format.
const (
	Signature     = "EFI PART"
	Revision10    = 0x00010000 // revision 1.0, the only one there is
	HeaderSize    = 92         // bytes of a revision 1.0 header
	EntrySize     = 128        // bytes of an entry in every table in use
	EntryCount    = 128        // entries that Write makes room for
	NameUnits     = 36         // UTF-16 code units of a partition name
	MBRSize       = 512
	MBRMagic      = 0xAA55
	ProtectiveMBR = 0xEE // OS type of the record that covers a GPT disk
)

// diskGUID is a GUID as it lies on disk: three little-endian numbers, then
// eight bytes (UEFI appendix A).
type diskGUID struct {
	TimeLow  uint32
	TimeMid  uint16
	TimeHigh uint16
	Rest     [8]byte
}

func (d diskGUID) guid() GUID {
	var g GUID
	binary.BigEndian.PutUint32(g[0:], d.TimeLow)
	binary.BigEndian.PutUint16(g[4:], d.TimeMid)
	binary.BigEndian.PutUint16(g[6:], d.TimeHigh)
	copy(g[8:], d.Rest[:])
	return g
}

func (g GUID) disk() diskGUID {
	return diskGUID{
		TimeLow:  binary.BigEndian.Uint32(g[0:]),
		TimeMid:  binary.BigEndian.Uint16(g[4:]),
		TimeHigh: binary.BigEndian.Uint16(g[6:]),
		Rest:     [8]byte(g[8:]),
	}
}

// header is the GPT header (UEFI table 5-5). The rest of its sector is zero.
type header struct {
	Signature      [8]byte  //  0 "EFI PART"
	Revision       uint32   //  8
	HeaderSize     uint32   // 12
	HeaderCRC32    uint32   // 16 over HeaderSize bytes, with this field zero
	Reserved       uint32   // 20 must be zero
	MyLBA          uint64   // 24
	AlternateLBA   uint64   // 32
	FirstUsableLBA uint64   // 40
	LastUsableLBA  uint64   // 48
	DiskGUID       diskGUID // 56
	EntryLBA       uint64   // 72
	EntryCount     uint32   // 80
	EntrySize      uint32   // 84
	EntriesCRC32   uint32   // 88
}

// entry is a partition entry (UEFI table 5-6). Entries can be longer; the rest
// is reserved.
type entry struct {
	Type       diskGUID          //  0 zero: unused
	UUID       diskGUID          // 16
	First      uint64            // 32
	Last       uint64            // 40 inclusive
	Attributes uint64            // 48
	Name       [NameUnits]uint16 // 56 UTF-16LE, NUL behind it if shorter
}

// mbr is the first 512 bytes of the disk (UEFI table 5-1).
type mbr struct {
	BootCode      [440]byte    //   0 belongs to a legacy boot loader
	DiskSignature uint32       // 440 unused with a GPT
	Unknown       uint16       // 444
	Records       [4]mbrRecord // 446
	Magic         uint16       // 510 0xAA55
}

// mbrRecord is one partition of an MBR (UEFI tables 5-2 and 5-4).
type mbrRecord struct {
	BootIndicator uint8   //  0
	StartCHS      [3]byte //  1
	OSType        uint8   //  4
	EndCHS        [3]byte //  5
	FirstLBA      uint32  //  8
	Sectors       uint32  // 12
}

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

// headerCRC gives the checksum of a header's bytes, the checksum's own field
// counting as zero.
func headerCRC(b []byte) uint32 {
	sum := crc32.ChecksumIEEE(b[:16])
	sum = crc32.Update(sum, crc32.IEEETable, make([]byte, 4))
	return crc32.Update(sum, crc32.IEEETable, b[20:])
}

// sealed returns the bytes of h with its checksum set.
func (h header) sealed() []byte {
	b := bytes(h)
	binary.LittleEndian.PutUint32(b[16:], headerCRC(b))
	return b
}
