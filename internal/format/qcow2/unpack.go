package qcow2

import (
	stdbytes "bytes"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// unpackers are decompressors that wait for work, with their buffers.
type unpackers struct{ pool sync.Pool }

type unpacker struct {
	in     []byte
	unpack func(cluster, in []byte) error
}

// unpack decompresses a cluster. A disk that ends in the middle of one still
// has all of it in the file.
func (m *Image) unpack(cluster []byte, p piece) error {
	u, err := m.packers.take(m.h3.Compression)
	if err != nil {
		return err
	}
	defer m.packers.pool.Put(u)
	if int64(cap(u.in)) < p.packed {
		u.in = make([]byte, p.packed)
	}
	u.in = u.in[:p.packed]
	if err := m.readStored(u.in, p.at); err != nil {
		return err
	}
	if err := u.unpack(cluster, u.in); err != nil {
		return corrupt("compressed data: %w", err)
	}
	return nil
}

func (u *unpackers) take(c Compression) (*unpacker, error) {
	if waiting, ok := u.pool.Get().(*unpacker); ok {
		return waiting, nil
	}
	if c == Zstd {
		return newZstd()
	}
	r := flate.NewReader(stdbytes.NewReader(nil))
	return &unpacker{unpack: func(cluster, in []byte) error {
		if err := r.(flate.Resetter).Reset(stdbytes.NewReader(in), nil); err != nil {
			return err
		}
		// Behind the cluster's data lies that of the next one, or nothing.
		_, err := io.ReadFull(r, cluster)
		return err
	}}, nil
}

// newZstd makes a decompressor of frames whose window is no larger than the
// largest cluster needs.
func newZstd() (*unpacker, error) {
	limit := zstd.WithDecoderMaxWindow(4 << MaxClusterBits)
	whole, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true), limit)
	if err != nil {
		return nil, err
	}
	stream, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), limit)
	if err != nil {
		return nil, err
	}
	return &unpacker{unpack: func(cluster, in []byte) error {
		// To unpack a frame at once takes half the time, but it must be known
		// where it ends, as behind it lies the next cluster's data.
		if end := frameEnd(in); end > 0 {
			out, err := whole.DecodeAll(in[:end], cluster[:0:len(cluster)])
			if err == nil && len(out) == len(cluster) {
				return nil
			}
		}
		if err := stream.Reset(stdbytes.NewReader(in)); err != nil {
			return err
		}
		_, err := io.ReadFull(stream, cluster)
		return err
	}}, nil
}

// frameEnd returns where the zstd frame that begins b ends, 0 if it is none or
// does not end in b (RFC 8878, 3.1.1).
func frameEnd(b []byte) int {
	var h zstd.Header
	if h.Decode(b) != nil || h.Skippable || h.HeaderSize > len(b) {
		return 0
	}
	at := h.HeaderSize
	for last := false; !last; {
		if at+3 > len(b) {
			return 0
		}
		block := int(b[at]) | int(b[at+1])<<8 | int(b[at+2])<<16
		last = block&1 != 0
		size := block >> 3
		if block>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		at += 3 + size
	}
	if h.HasCheckSum {
		at += 4
	}
	if at > len(b) {
		return 0
	}
	return at
}
