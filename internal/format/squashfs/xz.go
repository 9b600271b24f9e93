package squashfs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"

	"sextant/internal/fault"
	"sextant/internal/pages"
)

// xzDecoder unpacks blocks that are complete .xz files, as described in "The
// .xz File Format" 1.2.1. The container is read here and not by a library, as
// that would allocate the dictionary that the block asks for, up to 4 GiB.
type xzDecoder struct {
	maxDict uint64
}

// xzDictionary returns the largest dictionary that Linux grants a block: that
// of the compressor options, or one block (fs/squashfs/xz_wrapper.c).
func xzDictionary(limit int, options []byte) uint64 {
	if len(options) >= 4 {
		return uint64(binary.LittleEndian.Uint32(options))
	}
	return uint64(limit)
}

const (
	xzHeaderSize = 12
	xzFooterSize = 12
)

var (
	xzMagic  = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	errXz    = errors.New("not an xz stream")
	errXzSum = errors.New("xz checksum does not match")
)

// xzRecord is what the index says about a block.
type xzRecord struct{ unpadded, unpacked uint64 }

func (d xzDecoder) unpack(dst, src []byte) ([]byte, error) {
	if len(src) < xzHeaderSize || !bytes.Equal(src[:6], xzMagic) || src[6] != 0 {
		return nil, errXz
	}
	if crc32.ChecksumIEEE(src[6:8]) != binary.LittleEndian.Uint32(src[8:]) {
		return nil, errXzSum
	}
	flags := src[6:8]
	rest := src[xzHeaderSize:]
	out := dst[:0]
	var records []xzRecord
	for len(rest) > 0 && rest[0] != 0 {
		n, data, err := d.block(out[len(out):cap(out)], rest, flags[1])
		if err != nil {
			return nil, err
		}
		records = append(records, xzRecord{uint64(n), uint64(len(data))})
		out = out[:len(out)+len(data)]
		rest = rest[min(len(rest), alignUp4(n)):]
	}
	return out, checkXzIndex(rest, flags, records)
}

func alignUp4(n int) int { return (n + 3) &^ 3 }

// block unpacks one block at the start of src into dst, up to its length, and
// returns the block's size without padding.
func (d xzDecoder) block(dst, src []byte, check byte) (size int, data []byte, err error) {
	headerSize := (int(src[0]) + 1) * 4
	if headerSize > len(src) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	header := src[:headerSize]
	if crc32.ChecksumIEEE(header[:headerSize-4]) != binary.LittleEndian.Uint32(header[headerSize-4:]) {
		return 0, nil, errXzSum
	}
	h, err := d.parseHeader(header[1 : headerSize-4])
	if err != nil {
		return 0, nil, err
	}
	packed, err := lzma2Size(src[headerSize:])
	if err != nil {
		return 0, nil, err
	}
	if data, err = unpackLZMA2(dst, src[headerSize:][:packed]); err != nil {
		return 0, nil, err
	}
	if h.packed >= 0 && int64(packed) != h.packed || h.unpacked >= 0 && int64(len(data)) != h.unpacked {
		return 0, nil, errors.New("xz block has another size than its header says")
	}
	for _, f := range h.filters {
		f.decode(data)
	}
	n := alignUp4(packed) - packed
	sum, err := xzCheck(check, data)
	if err != nil {
		return 0, nil, err
	}
	tail := src[headerSize+packed:]
	if len(tail) < n+len(sum) {
		return 0, nil, io.ErrUnexpectedEOF
	}
	if !pages.Zero(tail[:n]) || !bytes.Equal(tail[n:n+len(sum)], sum) {
		return 0, nil, errXzSum
	}
	// The check follows the padding; both count as padding in the caller's
	// sum, as all known checks are multiples of four bytes long.
	return headerSize + packed + len(sum), data, nil
}

// lzma2Size returns the size of a row of LZMA2 chunks, by their headers.
func lzma2Size(b []byte) (int, error) {
	for n := 0; n < len(b); {
		header, data := 0, 0
		switch control := b[n]; {
		case control == 0:
			return n + 1, nil
		case control < 3:
			header = 3
		case control < 0x80:
			return 0, errXz
		case control < 0xc0:
			header = 5
		default:
			header = 6
		}
		if n+header > len(b) {
			break
		}
		if header == 3 {
			data = int(binary.BigEndian.Uint16(b[n+1:])) + 1
		} else {
			data = int(binary.BigEndian.Uint16(b[n+3:])) + 1
		}
		n += header + data
	}
	return 0, io.ErrUnexpectedEOF
}

// unpackLZMA2 unpacks chunks into dst, up to its length. It uses a dictionary
// as large as that, which is enough for any block that fits. The decoder must
// take all of src, which it does not look after itself.
func unpackLZMA2(dst, src []byte) ([]byte, error) {
	in := bytes.NewReader(src)
	config := lzma.Reader2Config{DictCap: max(len(dst), lzma.MinDictCap)}
	r, err := config.NewReader2(in)
	if err != nil {
		return nil, err
	}
	data, err := readAll(dst[:0:len(dst)], r)
	if err != nil {
		return nil, err
	}
	if !r.EOS() || in.Len() > 0 {
		return nil, errors.New("xz chunks have other sizes than their headers say")
	}
	return data, nil
}

// xzHeader is a block header. Sizes are -1 where it does not tell.
type xzHeader struct {
	packed, unpacked int64
	filters          []bcjFilter // in the order in which to undo them
}

func (d xzDecoder) parseHeader(b []byte) (xzHeader, error) {
	h := xzHeader{packed: -1, unpacked: -1}
	flags := b[0]
	if flags&0x3c != 0 {
		return h, errXz
	}
	in := bytes.NewReader(b[1:])
	for _, f := range []struct {
		bit byte
		to  *int64
	}{{0x40, &h.packed}, {0x80, &h.unpacked}} {
		if flags&f.bit != 0 {
			v, err := xzNumber(in)
			if err != nil {
				return h, err
			}
			*f.to = int64(v)
		}
	}
	for n := int(flags&3) + 1; n > 0; n-- {
		if err := d.parseFilter(&h, in, n == 1); err != nil {
			return h, err
		}
	}
	if !pages.Zero(b[len(b)-in.Len():]) {
		return h, errXz
	}
	return h, nil
}

const xzLZMA2 = 0x21

// parseFilter reads one filter of a block header. The last is LZMA2, those
// before it convert branches in machine code.
func (d xzDecoder) parseFilter(h *xzHeader, in *bytes.Reader, last bool) error {
	id, err := xzNumber(in)
	if err != nil {
		return err
	}
	size, err := xzNumber(in)
	if err != nil {
		return err
	}
	if size > uint64(in.Len()) {
		return io.ErrUnexpectedEOF
	}
	properties := make([]byte, size)
	in.Read(properties)
	if last != (id == xzLZMA2) {
		return fmt.Errorf("xz filter %#x at the wrong place: %w", id, fault.ErrCorrupt)
	}
	if last {
		return d.checkDictionary(properties)
	}
	f, err := newBCJ(id, properties)
	if err != nil {
		return err
	}
	h.filters = append([]bcjFilter{f}, h.filters...)
	return nil
}

func (d xzDecoder) checkDictionary(properties []byte) error {
	if len(properties) != 1 || properties[0] > 40 {
		return errXz
	}
	bits := uint64(properties[0])
	size := (2 | bits&1) << (bits/2 + 11)
	if size > d.maxDict {
		return fmt.Errorf("xz dictionary has %d bytes, Linux grants %d", size, d.maxDict)
	}
	return nil
}

// xzNumber reads a number of seven bits to the byte, nine bytes at most, which
// keeps it below 1<<63.
func xzNumber(in *bytes.Reader) (uint64, error) {
	var v uint64
	for i := range 9 {
		b, err := in.ReadByte()
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errXz
}

func xzCheck(kind byte, data []byte) ([]byte, error) {
	switch kind {
	case 0:
		return nil, nil
	case 1:
		return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)), nil
	case 4:
		var h hash.Hash64 = crc64.New(crc64.MakeTable(crc64.ECMA))
		h.Write(data)
		return binary.LittleEndian.AppendUint64(nil, h.Sum64()), nil
	case 10:
		sum := sha256.Sum256(data)
		return sum[:], nil
	}
	return nil, fmt.Errorf("xz check %d: %w", kind, fault.ErrUnsupported)
}

// checkXzIndex compares the index and the footer, which end the stream, with
// what was read. b starts at the index.
func checkXzIndex(b, flags []byte, records []xzRecord) error {
	in := bytes.NewReader(b)
	if c, err := in.ReadByte(); err != nil || c != 0 {
		return io.ErrUnexpectedEOF
	}
	if n, err := xzNumber(in); err != nil || n != uint64(len(records)) {
		return errors.New("xz index counts other blocks")
	}
	for _, r := range records {
		unpadded, err1 := xzNumber(in)
		unpacked, err2 := xzNumber(in)
		if err1 != nil || err2 != nil || r != (xzRecord{unpadded, unpacked}) {
			return errors.New("xz index gives other sizes")
		}
	}
	n := alignUp4(len(b) - in.Len())
	if len(b) < n+4+xzFooterSize {
		return io.ErrUnexpectedEOF
	}
	if crc32.ChecksumIEEE(b[:n]) != binary.LittleEndian.Uint32(b[n:]) {
		return errXzSum
	}
	footer := b[n+4:][:xzFooterSize]
	if crc32.ChecksumIEEE(footer[4:10]) != binary.LittleEndian.Uint32(footer) {
		return errXzSum
	}
	backward := (uint64(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
	if backward != uint64(n)+4 || !bytes.Equal(footer[8:10], flags) || string(footer[10:]) != "YZ" {
		return errors.New("xz footer does not belong to the stream")
	}
	return nil
}
