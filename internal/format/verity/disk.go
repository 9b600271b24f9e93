package verity

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"sextant/internal/fault"
	"sextant/internal/hexdump"
	"sextant/internal/pages"
)

// Signature begins every superblock.
const Signature = "verity\x00\x00"

// SuperblockSize is the length of the superblock in bytes. The tree begins
// with the next hash block.
const SuperblockSize = 512

// superblock is struct verity_sb of cryptsetup, all numbers little-endian.
type superblock struct {
	Signature     [8]byte   //   0 "verity\0\0"
	Version       uint32    //   8 of the superblock: 1
	HashType      uint32    //  12 0 Chrome OS, 1 normal
	UUID          [16]byte  //  16 in the order of its text form
	Algorithm     [32]byte  //  32 name, NUL behind it
	DataBlockSize uint32    //  64
	HashBlockSize uint32    //  68
	DataBlocks    uint64    //  72
	SaltSize      uint16    //  80
	Reserved1     [6]byte   //  82 must be zero
	Salt          [256]byte //  88
	Reserved2     [168]byte // 344 must be zero
}

// superblock returns the superblock that holds p, which must be valid.
func (p Params) superblock() superblock {
	s := superblock{
		Signature:     [8]byte([]byte(Signature)),
		Version:       1,
		HashType:      uint32(p.HashType),
		UUID:          p.UUID,
		DataBlockSize: uint32(p.DataBlockSize),
		HashBlockSize: uint32(p.HashBlockSize),
		DataBlocks:    uint64(p.DataBlocks),
		SaltSize:      uint16(len(p.Salt)),
	}
	copy(s.Algorithm[:], p.Algorithm)
	copy(s.Salt[:], p.Salt)
	return s
}

// superblockBlock returns the hash block that the superblock fills.
func (p Params) superblockBlock() []byte {
	b, err := binary.Append(make([]byte, 0, p.HashBlockSize), binary.LittleEndian, p.superblock())
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return b[:p.HashBlockSize]
}

// ReadSuperblock reads the superblock at the beginning of a hash area of size
// bytes, and checks that the area is large enough for its tree. Reserved bytes
// that are not zero are not refused, as neither cryptsetup nor systemd looks
// at them; Verify reports them.
func ReadSuperblock(hash io.ReaderAt, size int64) (Params, error) {
	s, err := readSuperblock(hash, size)
	if err != nil {
		return Params{}, err
	}
	p, err := s.params()
	if err != nil {
		return Params{}, err
	}
	g, err := p.Geometry()
	if err != nil {
		return Params{}, err
	}
	if g.Size > size {
		return Params{}, fmt.Errorf("hash area has %d bytes, its tree needs %d: %w", size, g.Size, fault.ErrCorrupt)
	}
	return p, nil
}

func readSuperblock(hash io.ReaderAt, size int64) (superblock, error) {
	var s superblock
	if size < SuperblockSize {
		return s, fmt.Errorf("hash area of %d bytes has no superblock: %w", size, fault.ErrCorrupt)
	}
	b := make([]byte, SuperblockSize)
	if _, err := pages.ReadFull(hash, b, 0); err != nil {
		return s, fmt.Errorf("read superblock: %w", err)
	}
	if _, err := binary.Decode(b, binary.LittleEndian, &s); err != nil {
		panic("internal error: " + err.Error())
	}
	return s, nil
}

// params checks the fields that Params.Geometry cannot check.
func (s superblock) params() (Params, error) {
	if string(s.Signature[:]) != Signature {
		return Params{}, fmt.Errorf("no superblock signature: %w", fault.ErrCorrupt)
	}
	if s.Version != 1 {
		return Params{}, fmt.Errorf("superblock version %d: %w", s.Version, fault.ErrUnsupported)
	}
	name, _, ended := bytes.Cut(s.Algorithm[:], []byte{0})
	if !ended {
		return Params{}, fmt.Errorf("name of the hash algorithm has no end: %w", fault.ErrCorrupt)
	}
	if int(s.SaltSize) > len(s.Salt) {
		return Params{}, fmt.Errorf("salt size %d, the limit is %d: %w", s.SaltSize, len(s.Salt), fault.ErrCorrupt)
	}
	if s.DataBlocks > math.MaxInt64 || s.DataBlockSize > MaxBlockSize || s.HashBlockSize > MaxBlockSize {
		return Params{}, fmt.Errorf("%d data blocks of %d bytes, hash blocks of %d: %w",
			s.DataBlocks, s.DataBlockSize, s.HashBlockSize, fault.ErrCorrupt)
	}
	return Params{
		HashType:      HashType(s.HashType),
		Algorithm:     Algorithm(name),
		DataBlockSize: int(s.DataBlockSize),
		HashBlockSize: int(s.HashBlockSize),
		DataBlocks:    int64(s.DataBlocks),
		Salt:          bytes.Clone(s.Salt[:s.SaltSize]),
		UUID:          s.UUID,
	}, nil
}

// Describe prints the bytes of the superblock of a hash area of size bytes,
// with what they mean. It shows a damaged one too.
func Describe(w io.Writer, hash io.ReaderAt, size int64) error {
	s, err := readSuperblock(hash, size)
	if err != nil {
		return err
	}
	b, err := binary.Append(nil, binary.LittleEndian, s)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	out := hexdump.New(w)
	out.Title("dm-verity superblock")
	at := 0
	field := func(length int, format string, args ...any) {
		out.Field(int64(at), b[at:at+length], fmt.Sprintf(format, args...))
		at += length
	}
	field(8, "signature: %q", s.Signature)
	field(4, "version: %d", s.Version)
	field(4, "hash type: %s", HashType(s.HashType))
	u := s.UUID
	field(16, "UUID: %x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
	field(32, "algorithm: %s", bytes.TrimRight(s.Algorithm[:], "\x00"))
	field(4, "data block size: %d", s.DataBlockSize)
	field(4, "hash block size: %d", s.HashBlockSize)
	field(8, "data blocks: %d", s.DataBlocks)
	field(2, "salt size: %d", s.SaltSize)
	field(6, "reserved")
	field(min(int(s.SaltSize), len(s.Salt)), "salt")
	out.Rest(int64(at), b[at:])
	return out.Err()
}
