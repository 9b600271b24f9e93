package xz

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"sextant/internal/fault"
)

// Magic begins every stream (2.1.1.1).
const Magic = "\xfd7zXZ\x00"

const (
	footerMagic  = "YZ"
	headerSize   = 12
	footerSize   = 12
	alignment    = 4 // of blocks, index and padding between streams
	maxUnpadded  = 1<<63 - 4
	maxBlockHead = 1024
)

// streamHeader begins a stream (2.1.1).
type streamHeader struct {
	Magic [6]byte     // 0
	Flags streamFlags // 6
	CRC32 uint32      // 8 of the flags
}

// streamFooter ends a stream (2.1.2).
type streamFooter struct {
	CRC32        uint32      //  0 of the next two
	BackwardSize uint32      //  4 bytes of the index / 4 - 1
	Flags        streamFlags //  8 as in the header
	Magic        [2]byte     // 10
}

// streamFlags are zero, and the check (2.1.1.2).
type streamFlags [2]byte

func (f streamFlags) sum() uint32 { return crc32.ChecksumIEEE(f[:]) }

func (f *streamFooter) sum() uint32 {
	b := binary.LittleEndian.AppendUint32(nil, f.BackwardSize)
	return crc32.ChecksumIEEE(append(b, f.Flags[:]...))
}

// blockFlags follow the size of a block's header (3.1.2).
type blockFlags byte

const (
	filterCount   blockFlags = 0x03 // of filters, less one
	reservedFlags blockFlags = 0x3c
	hasPacked     blockFlags = 0x40
	hasUnpacked   blockFlags = 0x80
)

// filterID names a filter (5.3).
type filterID uint64

const (
	filterDelta    filterID = 0x03
	filterX86      filterID = 0x04
	filterPowerPC  filterID = 0x05
	filterIA64     filterID = 0x06
	filterARM      filterID = 0x07
	filterARMThumb filterID = 0x08
	filterSPARC    filterID = 0x09
	filterARM64    filterID = 0x0a
	filterRISCV    filterID = 0x0b
	filterLZMA2    filterID = 0x21
)

// check is a kind of checksum over a block's unpacked bytes (3.4).
type check byte

const (
	checkNone   check = 0x0
	checkCRC32  check = 0x1
	checkCRC64  check = 0x4
	checkSHA256 check = 0xa
)

// size returns the bytes of a checksum, -1 for a kind that is reserved.
func (c check) size() int {
	switch c {
	case checkNone:
		return 0
	case checkCRC32:
		return crc32.Size
	case checkCRC64:
		return crc64.Size
	case checkSHA256:
		return sha256.Size
	}
	return -1
}

// hash returns what computes the checksum. The table of CRC-64 is made when it
// is first needed, by the standard library.
func (c check) hash() hash.Hash {
	switch c {
	case checkCRC32:
		return crc32.NewIEEE()
	case checkCRC64:
		return crc64.New(crc64.MakeTable(crc64.ECMA))
	case checkSHA256:
		return sha256.New()
	}
	return noHash{}
}

// noHash is the checksum of no bytes.
type noHash struct{ hash.Hash }

func (noHash) Write(p []byte) (int, error) { return len(p), nil }

func (noHash) Sum(b []byte) []byte { return b }

// sum returns the checksum as it is stored.
func sum(h hash.Hash) []byte {
	switch h := h.(type) {
	case hash.Hash32:
		return binary.LittleEndian.AppendUint32(nil, h.Sum32())
	case hash.Hash64:
		return binary.LittleEndian.AppendUint64(nil, h.Sum64())
	}
	return h.Sum(nil)
}

// padding returns how many bytes are missing to a multiple of four.
func padding(n int64) int { return int(-n & (alignment - 1)) }

// readNumber reads a number of seven bits to the byte, nine bytes at most. The
// shortest form is the only one (1.2).
func readNumber(r io.ByteReader) (int64, error) {
	var v int64
	for i := range 9 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, truncated(err)
		}
		if b == 0 && i > 0 {
			return 0, corrupt("number has a zero byte at its end")
		}
		v |= int64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, corrupt("number has more than 63 bits")
}

// appendNumber appends v as readNumber reads it.
func appendNumber(b []byte, v int64) []byte { return binary.AppendUvarint(b, uint64(v)) }

func corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrCorrupt)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrUnsupported)...)
}

// truncated returns err, as corruption if it is the end of the input.
func truncated(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return corrupt("%w", io.ErrUnexpectedEOF)
	}
	return err
}
