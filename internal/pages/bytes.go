package pages

import (
	"encoding/binary"
	"io"
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
	switch {
	case n == len(b):
		return n, nil
	case err == nil || err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}
