package xz

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"io"
)

// index is the list of a stream's blocks (section 4). It keeps a hash of them,
// as there can be any number.
type index struct {
	count int64
	list  hash.Hash
}

func newIndex() index { return index{list: sha256.New()} }

// add appends a block: its bytes without padding, and those that it unpacks to.
func (x *index) add(unpadded, unpacked int64) {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], uint64(unpadded))
	binary.LittleEndian.PutUint64(b[8:], uint64(unpacked))
	x.list.Write(b[:])
	x.count++
}

// verify reads the index behind its first byte, which is zero, and compares it
// with the blocks that were read. It returns the size of the index.
func (x *index) verify(in source) (size int64, err error) {
	s := &summed{in: in}
	s.add(0)
	count, err := readNumber(s)
	if err != nil {
		return 0, err
	}
	if count != x.count {
		return 0, corrupt("index has %d blocks, the stream %d", count, x.count)
	}
	said := newIndex()
	for range count {
		unpadded, err := readNumber(s)
		if err != nil {
			return 0, err
		}
		unpacked, err := readNumber(s)
		if err != nil {
			return 0, err
		}
		said.add(unpadded, unpacked)
	}
	if string(said.list.Sum(nil)) != string(x.list.Sum(nil)) {
		return 0, corrupt("index gives other sizes than the blocks have")
	}
	for range padding(s.n) {
		if b, err := s.ReadByte(); err != nil {
			return 0, truncated(err)
		} else if b != 0 {
			return 0, corrupt("padding of the index is not zero")
		}
	}
	var stored [crc32.Size]byte
	if _, err := io.ReadFull(in, stored[:]); err != nil {
		return 0, truncated(err)
	}
	if binary.LittleEndian.Uint32(stored[:]) != s.sum {
		return 0, corrupt("checksum of the index does not match")
	}
	return s.n + crc32.Size, nil
}

// appendIndex appends the index of a stream that has one block.
func appendIndex(b []byte, unpadded, unpacked int64) []byte {
	at := len(b)
	b = append(b, 0)
	b = appendNumber(b, 1)
	b = appendNumber(b, unpadded)
	b = appendNumber(b, unpacked)
	b = append(b, make([]byte, padding(int64(len(b)-at)))...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
}

// summed counts bytes that are read, and computes their CRC-32.
type summed struct {
	in  io.ByteReader
	n   int64
	sum uint32
	one [1]byte
}

// ReadByte reads one byte.
func (s *summed) ReadByte() (byte, error) {
	b, err := s.in.ReadByte()
	if err == nil {
		s.add(b)
	}
	return b, err
}

func (s *summed) add(b byte) {
	s.n++
	s.one[0] = b
	s.sum = crc32.Update(s.sum, crc32.IEEETable, s.one[:])
}
