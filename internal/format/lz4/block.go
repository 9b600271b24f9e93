package lz4

import (
	"encoding/binary"
	"errors"
)

// What is wrong with a block.
var (
	errCut      = errors.New("the LZ4 data breaks off")
	errDistance = errors.New("the LZ4 data refers to bytes before its start")
	errEnd      = errors.New("the LZ4 data does not end with literals")
	errTooLong  = errors.New("the LZ4 data unpacks to more than there is room for")
)

const (
	minMatch  = 4
	longToken = 15 // the four bits of a length say that more follows

	// A block with a match ends with a sequence of that many literals, and its
	// last match begins that far from its end (End of block conditions). liblz4
	// refuses most of what breaks it.
	lastLiterals = 5
	lastMatch    = 12
)

// Decode unpacks a whole block into dst and returns how many bytes it has. What
// is in dst behind them is undefined.
func Decode(dst, src []byte) (int, error) {
	if len(src) == 0 {
		return 0, errCut
	}
	d, _, err := decode(dst, src, true)
	return d, err
}

// DecodeStart unpacks a block until dst is full or src ends, and returns how
// many bytes of each it came to. Two files can share a block of which one needs
// the start alone.
func DecodeStart(dst, src []byte) (d, s int, err error) { return decode(dst, src, false) }

// decode unpacks a block. One that is whole must end as the format says.
func decode(dst, src []byte, whole bool) (d, s int, err error) {
	for s < len(src) {
		d, s = decodeFast(dst, src, d, s)
		token := src[s]
		literals, from := length(src, s+1, int(token>>4))
		switch {
		case from == 0 || literals > len(src)-from:
			return d, s, errCut
		case literals > len(dst)-d && whole:
			return d, s, errTooLong
		}
		literals = min(literals, len(dst)-d)
		copy(dst[d:], src[from:from+literals])
		d, s = d+literals, from+literals
		switch rest := len(src) - s; {
		case rest == 0 || d == len(dst) && !whole:
			return d, s, nil
		case rest < 2:
			return d, s, errCut
		case len(dst)-d < lastMatch && whole:
			return d, s, errTooLong
		}
		distance := int(binary.LittleEndian.Uint16(src[s:]))
		match, from := length(src, s+2, int(token&15))
		match += minMatch
		switch {
		case from == 0:
			return d, s, errCut
		case distance == 0 || distance > d:
			return d, s, errDistance
		case len(src)-from < 1+lastLiterals && whole:
			return d, s, errEnd
		case match > len(dst)-d-lastLiterals && whole:
			return d, s, errTooLong
		}
		d, s = Repeat(dst, d, distance, match), from
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

// length returns the length that starts with the four bits n, and where in src
// it ends, 0 if src ends before. The rest of it begins at s.
func length(src []byte, s, n int) (int, int) {
	if n < longToken {
		return n, s
	}
	for ; s < len(src); s++ {
		n += int(src[s])
		if src[s] < 255 {
			return n, s + 1
		}
	}
	return 0, 0
}

// Repeat appends length bytes to dst[:d] that are distance before, as far as
// they fit, and returns the new d. The two may overlap.
func Repeat(dst []byte, d, distance, length int) int {
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
