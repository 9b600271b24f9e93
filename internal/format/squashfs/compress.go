package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"sextant/internal/fault"
	"sextant/internal/format/lz4"
)

// unpacker unpacks one block into dst, up to dst's capacity, and returns what
// it wrote. A block that holds more is an error. It may be called at the same
// time from several goroutines.
type unpacker func(dst, src []byte) ([]byte, error)

// newUnpacker returns the unpacker for a file system whose largest block has
// limit bytes.
func newUnpacker(c Compression, limit int, options []byte) (unpacker, error) {
	switch c {
	case Gzip:
		return new(zlibPool).unpack, nil
	case XZ:
		return newXZ(limit, options).unpack, nil
	case LZ4:
		return unpackLZ4, nil
	case Zstd:
		return newZstd(limit)
	case LZO, LZMA:
		return nil, fmt.Errorf("compressor %s: %w", c, fault.ErrUnsupported)
	}
	return nil, fmt.Errorf("%s is not known: %w", c, fault.ErrCorrupt)
}

// zlibPool keeps zlib readers, as each has tables of 40 KiB.
type zlibPool struct{ sync.Pool }

func (p *zlibPool) unpack(dst, src []byte) ([]byte, error) {
	in := bytes.NewReader(src)
	z, ok := p.Get().(io.ReadCloser)
	if !ok {
		var err error
		if z, err = zlib.NewReader(in); err != nil {
			return nil, err
		}
	} else if err := z.(zlib.Resetter).Reset(in, nil); err != nil {
		return nil, err
	}
	defer p.Put(z)
	return readAll(dst, z)
}

// readAll reads to the end, which must come within dst's capacity. It is not
// made of io.ReadFull, as that gives the end of the data and a stream that
// breaks off the same error.
func readAll(dst []byte, r io.Reader) ([]byte, error) {
	dst = dst[:0]
	var more [1]byte // the checksum is only looked at with the end
	for empty := 0; empty < 100; {
		room := dst[len(dst):cap(dst)]
		if len(room) == 0 {
			room = more[:]
		}
		n, err := r.Read(room)
		if len(dst)+n > cap(dst) {
			return nil, errTooLong
		}
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			empty++
		}
	}
	return nil, io.ErrNoProgress
}

// badBlock returns the unpacker's err, as corruption unless it says what it is.
func (c Compression) badBlock(err error) error {
	if errors.Is(err, fault.ErrCorrupt) || errors.Is(err, fault.ErrUnsupported) {
		return fmt.Errorf("unpack %s: %w", c, err)
	}
	return corrupt("unpack %s: %w", c, err)
}

var errTooLong = errors.New("unpacks to more than a block")

func unpackLZ4(dst, src []byte) ([]byte, error) {
	n, err := lz4.Decode(dst[:cap(dst)], src)
	if err != nil {
		return nil, err
	}
	return dst[:n], nil
}

func newZstd(limit int) (unpacker, error) {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(uint64(limit)))
	if err != nil {
		return nil, err
	}
	return func(dst, src []byte) ([]byte, error) {
		out, err := d.DecodeAll(src, dst[:0])
		if err == nil && len(out) > cap(dst) {
			err = errTooLong
		}
		return out, err
	}, nil
}
