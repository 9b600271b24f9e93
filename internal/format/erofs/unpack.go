package erofs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"sextant/internal/fault"
	"sextant/internal/format/lz4"
	"sextant/internal/span"
)

var errMore = errors.New("there is more behind the decoded data")

// unpacker decodes pclusters, one at a time.
type unpacker struct {
	src   []byte
	in    bytes.Reader
	lzma  *lzma
	flate io.ReadCloser
	zstd  *zstd.Decoder
}

// unpack fills dst from the encoded bytes of p, which has as many.
func (f *FS) unpack(dst []byte, src source, p pcluster) error {
	u, ok := f.unpacker.Get().(*unpacker)
	if !ok {
		u = new(unpacker)
	}
	defer f.unpacker.Put(u)
	if n := int(p.stored.Length); cap(u.src) < n {
		u.src = make([]byte, n)
	}
	in := u.src[:p.stored.Length]
	if err := src.readAt(in, p.stored.Offset); err != nil {
		return err
	}
	// The encoded data ends where the blocks do, with zeros in front.
	if p.algorithm != LZ4 || f.super.FeatureIncompat&IncompatZeroPadding != 0 {
		in = bytes.TrimLeft(in, "\x00")
	}
	more, err := u.decode(dst, in, p)
	// LZ4 without padding has it at the end.
	if more && !p.partial && (p.algorithm != LZ4 || f.super.FeatureIncompat&IncompatZeroPadding != 0) {
		err = errMore
	}
	if err != nil {
		return fmt.Errorf("%w: %s at %s: %w", fault.ErrCorrupt, p.algorithm, p.stored, err)
	}
	return nil
}

// decode fills dst from src. More is whether that is not all of src.
func (u *unpacker) decode(dst, src []byte, p pcluster) (more bool, err error) {
	switch p.algorithm {
	case LZ4:
		n, used, err := lz4.DecodeStart(dst, src)
		if err == nil && n < len(dst) {
			err = io.ErrUnexpectedEOF
		}
		return used < len(src), err
	case LZMA:
		if u.lzma == nil {
			u.lzma = new(lzma)
		}
		used, err := u.lzma.unpack(dst, src)
		return used < len(src), err
	case Deflate:
		return u.inflate(dst, src)
	case Zstd:
		return u.unpackZstd(dst, src, p.partial)
	}
	panic("internal error: " + p.algorithm.String())
}

func (u *unpacker) inflate(dst, src []byte) (more bool, err error) {
	u.in.Reset(src)
	if u.flate == nil {
		u.flate = flate.NewReader(&u.in)
	} else if err := u.flate.(flate.Resetter).Reset(&u.in, nil); err != nil {
		return false, err
	}
	return readExactly(dst, u.flate, &u.in)
}

// readExactly fills dst from r. More is whether r does not end there, or its
// source not with it.
func readExactly(dst []byte, r io.Reader, src *bytes.Reader) (more bool, err error) {
	if n, err := io.ReadFull(r, dst); err != nil {
		return false, fmt.Errorf("after %d of %d bytes: %w", n, len(dst), err)
	}
	var one [1]byte
	if n, err := io.ReadFull(r, one[:]); n > 0 || err != io.EOF {
		return true, nil
	}
	return src.Len() > 0, nil
}

// zstdWindow is how far back zstd may refer. mkfs.erofs stays far below.
const zstdWindow = 16 << 20

func (u *unpacker) unpackZstd(dst, src []byte, partial bool) (more bool, err error) {
	if u.zstd == nil {
		u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecodeAllCapLimit(true))
		if err != nil {
			return false, err
		}
	}
	if !partial {
		out, err := u.zstd.DecodeAll(src, dst[:0:len(dst)])
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			return true, nil
		}
		if err == nil && len(out) < len(dst) {
			err = io.ErrUnexpectedEOF
		}
		return false, err
	}
	u.in.Reset(src)
	if err := u.zstd.Reset(&u.in); err != nil {
		return false, err
	}
	defer u.zstd.Reset(nil) // gives back what DecodeAll waits for
	return readExactly(dst, u.zstd, &u.in)
}

// cacheSize is how many unpacked bytes an FS keeps. It is more than one
// pcluster can have.
const cacheSize = 16 << 20

// unpackedCache keeps the last pclusters that were not read as a whole.
type unpackedCache struct {
	mu   sync.Mutex
	list []unpacked // the last used one last
	size int
}

type unpacked struct {
	key  unpackedKey
	data []byte
}

// unpackedKey tells pclusters apart. Two files can use the same bytes, but not
// all of them.
type unpackedKey struct {
	stored    span.Span
	length    int64
	algorithm Algorithm
	src       source
}

func (c *unpackedCache) find(key unpackedKey) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := len(c.list) - 1; k >= 0; k-- {
		if u := c.list[k]; u.key == key {
			copy(c.list[k:], c.list[k+1:])
			c.list[len(c.list)-1] = u
			return u.data
		}
	}
	return nil
}

func (c *unpackedCache) add(key unpackedKey, data []byte) {
	const most = 64 // keeps find fast
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, unpacked{key, data})
	c.size += len(data)
	drop := 0
	for ; c.size > cacheSize || len(c.list)-drop > most; drop++ {
		c.size -= len(c.list[drop].data)
		c.list[drop] = unpacked{}
	}
	c.list = c.list[drop:]
}

// readUnpacked fills dst from the decoded bytes of p, from their offset off on.
func (f *FS) readUnpacked(dst []byte, src source, p pcluster, off int64) error {
	key := unpackedKey{p.stored, p.Length, p.algorithm, src}
	data := f.unpacked.find(key)
	if data == nil {
		data = make([]byte, p.Length)
		if err := f.unpack(data, src, p); err != nil {
			return err
		}
		f.unpacked.add(key, data)
	}
	copy(dst, data[off:])
	return nil
}
