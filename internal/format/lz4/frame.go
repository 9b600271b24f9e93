package lz4

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"sextant/internal/fault"
)

const (
	// Magic begins a legacy frame, as a number of four bytes, little-endian.
	Magic = 0x184C2102

	// BlockSize is what a block of a legacy frame unpacks to at most, in bytes.
	BlockSize = 8 << 20

	// maxPacked is the size of a block that does not become smaller
	// (LZ4_COMPRESSBOUND).
	maxPacked = BlockSize + BlockSize/255 + 16
)

// Reader unpacks legacy frames that follow each other. It needs 17 MB.
type Reader struct {
	r        *bufio.Reader
	src, dst []byte
	unread   []byte // of dst
	err      error
}

// NewReader returns a reader of the frames that begin in r, with Magic. It takes
// no byte behind them: they end where r does, or Linux sees their end, with a
// size of 0 or fewer bytes than a size has. So what follows can be padding or,
// behind that, something else.
func NewReader(r *bufio.Reader) *Reader { return &Reader{r: r} }

// Read unpacks. What breaks the format wraps fault.ErrCorrupt.
func (z *Reader) Read(p []byte) (int, error) {
	if z.dst == nil {
		z.dst = make([]byte, BlockSize)
		z.err = z.magic()
	}
	for len(z.unread) == 0 && z.err == nil {
		z.unread, z.err = z.block()
	}
	n := copy(p, z.unread)
	z.unread = z.unread[n:]
	if n > 0 || len(p) == 0 {
		return n, nil
	}
	return 0, z.err
}

func (z *Reader) magic() error {
	n, err := z.number()
	switch {
	case err == io.EOF || err == nil && n != Magic:
		return fault.Corrupt("not an LZ4 legacy frame")
	case err != nil:
		return err
	}
	z.r.Discard(4)
	return nil
}

// number returns the next number and leaves it there. The end of the file is
// io.EOF, also in the middle of one.
func (z *Reader) number() (uint32, error) {
	b, err := z.r.Peek(4)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

// block unpacks the next block. It has no bytes where another frame begins.
func (z *Reader) block() ([]byte, error) {
	size, err := z.number()
	switch {
	case err != nil:
		return nil, err
	case size == 0:
		return nil, io.EOF
	case size != Magic && size > maxPacked:
		return nil, fmt.Errorf("LZ4 block of %d bytes, which are more than %d: %w", size, maxPacked, fault.ErrCorrupt)
	}
	z.r.Discard(4)
	if size == Magic {
		return nil, nil
	}
	if cap(z.src) < int(size) {
		z.src = make([]byte, size)
	}
	n, err := io.ReadFull(z.r, z.src[:size])
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("LZ4 block has %d of %d bytes: %w: %w", n, size, io.ErrUnexpectedEOF, fault.ErrCorrupt)
	case err != nil:
		return nil, err
	}
	if n, err = Decode(z.dst, z.src[:size]); err != nil {
		return nil, fmt.Errorf("%w: %w", err, fault.ErrCorrupt)
	}
	return z.dst[:n], nil
}
