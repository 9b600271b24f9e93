package xz

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"math"

	"github.com/ulikunitz/xz/lzma"

	"sextant/internal/pages"
)

// blockHeader is what a block's header says (3.1).
type blockHeader struct {
	size       int
	packed     int64 // bytes, -1 if it is not told
	unpacked   int64 // bytes, -1 if it is not told
	filters    []filter
	dictionary int64 // of LZMA2, which follows the filters
}

// filter is one entry of the list of filters.
type filter struct {
	id         filterID
	properties []byte
}

// block is a block that is being read.
type block struct {
	header   blockHeader
	plain    io.Reader // behind all filters
	unpacked int64     // bytes so far
	sum      hash.Hash
}

// Read unpacks bytes, up to the end of the chunks.
func (b *block) Read(p []byte) (int, error) {
	n, err := b.plain.Read(p)
	b.sum.Write(p[:n])
	b.unpacked += int64(n)
	if b.header.unpacked >= 0 && b.unpacked > b.header.unpacked {
		return n, corrupt("block unpacks to more bytes than the %d that its header says", b.header.unpacked)
	}
	return n, err
}

// startBlock reads the header of a block, whose first byte was read.
func (r *Reader) startBlock(size byte) error {
	var room [maxBlockHead]byte
	b := room[:(int(size)+1)*4]
	b[0] = size
	if err := r.full(b[1:]); err != nil {
		return err
	}
	rest := b[:len(b)-crc32.Size]
	if crc32.ChecksumIEEE(rest) != binary.LittleEndian.Uint32(b[len(rest):]) {
		return corrupt("checksum of a block header does not match")
	}
	h, err := parseBlockHeader(rest[1:])
	if err != nil {
		return err
	}
	if h.size = len(b); h.packed == 0 || h.packed > maxUnpadded-int64(h.size)-int64(r.check().size()) {
		return corrupt("block has %d packed bytes", h.packed)
	}
	if h.dictionary > r.options.Dictionary {
		return unsupported("dictionary of %d bytes, at most %d are granted", h.dictionary, r.options.Dictionary)
	}
	r.lzma2.start(r.in, r.dictionary(h), h.packed)
	plain, err := undo(h.filters, &r.lzma2)
	if err != nil {
		return err
	}
	r.block = &block{header: h, plain: plain, sum: r.check().hash()}
	return nil
}

func (r *Reader) check() check { return check(r.flags[1]) }

// dictionary returns how large a dictionary the block needs: no larger than
// the bytes that it unpacks to.
func (r *Reader) dictionary(h blockHeader) int {
	size := min(h.dictionary, math.MaxInt-1)
	if h.unpacked >= 0 {
		size = min(size, h.unpacked)
	}
	if r.options.Unpacked > 0 {
		size = min(size, r.options.Unpacked)
	}
	return max(int(size), lzma.MinDictCap)
}

// endBlock reads what follows the chunks of a block.
func (r *Reader) endBlock() error {
	b, packed := r.block, r.lzma2.packed
	r.block = nil
	if b.header.packed >= 0 && packed != b.header.packed {
		return corrupt("block has %d packed bytes, its header says %d", packed, b.header.packed)
	}
	if b.header.unpacked >= 0 && b.unpacked != b.header.unpacked {
		return corrupt("block unpacks to %d bytes, its header says %d", b.unpacked, b.header.unpacked)
	}
	want := sum(b.sum)
	tail := make([]byte, padding(packed)+len(want))
	if err := r.full(tail); err != nil {
		return err
	}
	zeros, got := tail[:padding(packed)], tail[padding(packed):]
	if !pages.Zero(zeros) {
		return corrupt("padding of a block is not zero")
	}
	if !bytes.Equal(got, want) {
		return corrupt("checksum of a block does not match")
	}
	r.blocks.add(int64(b.header.size)+packed+int64(len(want)), b.unpacked)
	return nil
}

// parseBlockHeader reads a header between its size and its checksum.
func parseBlockHeader(b []byte) (blockHeader, error) {
	h := blockHeader{packed: -1, unpacked: -1}
	in := bytes.NewReader(b[1:])
	flags := blockFlags(b[0])
	if flags&reservedFlags != 0 {
		return h, unsupported("block flags %#x", byte(flags))
	}
	for _, size := range []struct {
		flag blockFlags
		to   *int64
	}{{hasPacked, &h.packed}, {hasUnpacked, &h.unpacked}} {
		if flags&size.flag == 0 {
			continue
		}
		var err error
		if *size.to, err = readNumber(in); err != nil {
			return h, inHeader(err)
		}
	}
	for range flags&filterCount + 1 {
		f, err := parseFilter(in)
		if err != nil {
			return h, err
		}
		h.filters = append(h.filters, f)
	}
	if !pages.Zero(b[len(b)-in.Len():]) {
		return h, unsupported("block header has more than its filters")
	}
	return h, h.takeLZMA2()
}

// inHeader tells a header that is too short from a file that is.
func inHeader(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("block header is too short for what it says")
	}
	return err
}

func parseFilter(in *bytes.Reader) (filter, error) {
	id, err := readNumber(in)
	if err != nil {
		return filter{}, inHeader(err)
	}
	size, err := readNumber(in)
	if err != nil {
		return filter{}, inHeader(err)
	}
	if size > int64(in.Len()) {
		return filter{}, corrupt("properties of filter %#x have %d bytes, %d are left in the header", id, size, in.Len())
	}
	f := filter{filterID(id), make([]byte, size)}
	in.Read(f.properties)
	return f, nil
}

// takeLZMA2 takes the last filter from the list, which must be LZMA2.
func (h *blockHeader) takeLZMA2() error {
	last := len(h.filters) - 1
	for i, f := range h.filters[:last] {
		if f.id == filterLZMA2 {
			return corrupt("LZMA2 is filter %d of %d", i+1, last+1)
		}
	}
	f := h.filters[last]
	h.filters = h.filters[:last]
	if f.id != filterLZMA2 {
		return unsupported("last filter %#x", uint64(f.id))
	}
	if len(f.properties) != 1 {
		return corrupt("LZMA2 has %d bytes of properties", len(f.properties))
	}
	size, err := lzma.DecodeDictCap(f.properties[0])
	if err != nil {
		return unsupported("dictionary size %#x", f.properties[0])
	}
	h.dictionary = size
	return nil
}
