package qcow2

import (
	stdbytes "bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"sextant/internal/fault"
)

// unpackers are decompressors that wait for work, with their buffers.
type unpackers struct{ pool sync.Pool }

type unpacker struct {
	in    []byte
	plain io.Reader
	reset func(io.Reader) error
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
	if err := u.reset(stdbytes.NewReader(u.in)); err != nil {
		return fmt.Errorf("compressed data: %w: %w", err, fault.ErrCorrupt)
	}
	// Behind the cluster's data lies that of the next one, or nothing.
	if _, err := io.ReadFull(u.plain, cluster); err != nil {
		return fmt.Errorf("compressed data: %w: %w", err, fault.ErrCorrupt)
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
	return &unpacker{plain: r, reset: func(in io.Reader) error { return r.(flate.Resetter).Reset(in, nil) }}, nil
}

// newZstd makes a decompressor of frames whose window is no larger than the
// largest cluster needs.
func newZstd() (*unpacker, error) {
	r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(4<<MaxClusterBits))
	if err != nil {
		return nil, err
	}
	return &unpacker{plain: r, reset: r.Reset}, nil
}
