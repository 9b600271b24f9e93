package erofs

import (
	"encoding/binary"
	"errors"
)

var errLZ4 = errors.New("the LZ4 data is broken")

// unpackLZ4 decodes an LZ4 block until dst is full or src ends, and returns how
// many bytes of each it came to. Libraries decode whole blocks only; a file
// that shares data with another may need the start of one.
func unpackLZ4(dst, src []byte) (d, s int, err error) {
	for s < len(src) {
		token := src[s]
		s++
		literals, ok := lz4Length(src, &s, int(token>>4))
		if !ok || literals > len(src)-s {
			return d, s, errLZ4
		}
		if literals > len(dst)-d {
			literals = len(dst) - d
		}
		copy(dst[d:], src[s:s+literals])
		d, s = d+literals, s+literals
		if d == len(dst) || s == len(src) {
			return d, s, nil
		}
		if len(src)-s < 2 {
			return d, s, errLZ4
		}
		distance := int(binary.LittleEndian.Uint16(src[s:]))
		s += 2
		length, ok := lz4Length(src, &s, int(token&15))
		if !ok || distance == 0 || distance > d {
			return d, s, errLZ4
		}
		d = repeat(dst, d, distance, length+4)
		if d == len(dst) {
			// The block ends with literals, of which there can be none.
			if s == len(src)-1 && src[s] == 0 {
				s++
			}
			return d, s, nil
		}
	}
	return d, s, nil
}

// lz4Length reads the rest of a length that starts with the four bits n.
func lz4Length(src []byte, s *int, n int) (length int, ok bool) {
	if n < 15 {
		return n, true
	}
	for *s < len(src) {
		b := src[*s]
		*s++
		if n += int(b); b < 255 {
			return n, true
		}
	}
	return 0, false
}

// repeat appends length bytes to dst[:d] that are distance before, as far as
// they fit, and returns the new d. The two may overlap.
func repeat(dst []byte, d, distance, length int) int {
	end := min(d+length, len(dst))
	if end-d <= distance {
		return d + copy(dst[d:end], dst[d-distance:])
	}
	for d < end {
		d += copy(dst[d:end], dst[d-distance:d])
		distance *= 2
	}
	return d
}
