package pages

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"sextant/internal/span"
)

// Zero reports whether all bytes are zero.
func Zero(b []byte) bool {
	order := binary.NativeEndian
	for len(b) >= 32 {
		if order.Uint64(b)|order.Uint64(b[8:])|order.Uint64(b[16:])|order.Uint64(b[24:]) != 0 {
			return false
		}
		b = b[32:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// ReadFull fills b from offset on. That r ends before is io.ErrUnexpectedEOF,
// so that it does not pass for the end of what is read from r.
func ReadFull(r io.ReaderAt, b []byte, offset int64) (int, error) {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return n, nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, fmt.Errorf("bytes %s: %w", span.Span{Offset: offset, Length: int64(len(b))}, err)
}
