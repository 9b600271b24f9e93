package erofs

import (
	"errors"
	"io"

	"sextant/internal/format/lz4"
)

var errLZMA = errors.New("the LZMA data is broken")

const (
	lzmaStates   = 12
	lzmaMaxPos   = 1 << 4 // position states, with the largest pb
	lzmaTopValue = 1 << 24
	lzmaBitTotal = 1 << 11
	lzmaMoveBits = 5
	lzmaMinMatch = 2
)

// prob is the probability of a 0, in 1/2048.
type prob uint16

// lengthProbs are the models of a match's length.
type lengthProbs struct {
	choice, choice2 prob
	low, mid        [lzmaMaxPos][8]prob
	high            [256]prob
}

// lzmaProbs are all models of LZMA that do not depend on lc and lp.
type lzmaProbs struct {
	isMatch, isRep0Long           [lzmaStates][lzmaMaxPos]prob
	isRep, isRep0, isRep1, isRep2 [lzmaStates]prob
	slot                          [4][64]prob
	special                       [128]prob
	align                         [16]prob
	match, again                  lengthProbs
	literal                       [0x300 << 4]prob // lc + lp is 4 at most
}

// lzma decodes MicroLZMA: LZMA without a header, whose first byte, always 0,
// is instead the inverted properties, and whose end is where the output is
// full. It has no dictionary but the output.
type lzma struct {
	lzmaProbs
	src        []byte
	pos        int // in src
	rng, code  uint32
	lc, lp, pb uint
}

// unpack fills dst from src and returns how many bytes of src that took.
func (z *lzma) unpack(dst, src []byte) (n int, err error) {
	if err := z.reset(src); err != nil {
		return 0, err
	}
	if err := z.decode(dst); err != nil {
		return z.pos, err
	}
	z.normalize()
	if z.pos > len(z.src) {
		return len(z.src), io.ErrUnexpectedEOF
	}
	return z.pos, nil
}

func (z *lzma) reset(src []byte) error {
	if len(src) < 5 {
		return io.ErrUnexpectedEOF
	}
	props := uint(^src[0])
	if props >= 9*5*5 {
		return errLZMA
	}
	z.lc, z.lp, z.pb = props%9, props/9%5, props/45
	if z.lc+z.lp > 4 {
		return errLZMA
	}
	z.src, z.pos = src, 5
	z.rng, z.code = 1<<32-1, uint32(src[1])<<24|uint32(src[2])<<16|uint32(src[3])<<8|uint32(src[4])
	z.lzmaProbs.reset(z.lc + z.lp)
	return nil
}

func (p *lzmaProbs) reset(literalBits uint) {
	const even = lzmaBitTotal / 2
	fill := func(list []prob) {
		for k := range list {
			list[k] = even
		}
	}
	for s := range lzmaStates {
		fill(p.isMatch[s][:])
		fill(p.isRep0Long[s][:])
	}
	fill(p.isRep[:])
	fill(p.isRep0[:])
	fill(p.isRep1[:])
	fill(p.isRep2[:])
	for k := range p.slot {
		fill(p.slot[k][:])
	}
	fill(p.special[:])
	fill(p.align[:])
	for _, l := range []*lengthProbs{&p.match, &p.again} {
		l.choice, l.choice2 = even, even
		for k := range lzmaMaxPos {
			fill(l.low[k][:])
			fill(l.mid[k][:])
		}
		fill(l.high[:])
	}
	fill(p.literal[:0x300<<literalBits])
}

// decode fills dst.
func (z *lzma) decode(dst []byte) error {
	state := uint32(0)
	reps := [4]int{1, 1, 1, 1} // the last distances
	mask := 1<<z.pb - 1
	for d := 0; d < len(dst); {
		// What is missing reads as zeros, so a short src ends here too.
		if z.pos > len(z.src) {
			return io.ErrUnexpectedEOF
		}
		at := d & mask
		if z.bit(&z.isMatch[state][at]) == 0 {
			z.decodeLiteral(dst, d, state, reps[0])
			state = afterLiteral(state)
			d++
			continue
		}
		length := 0
		if z.bit(&z.isRep[state]) == 0 {
			length = z.length(&z.match, at)
			reps = [4]int{z.distance(length), reps[0], reps[1], reps[2]}
			state = afterMatch(state, 7)
		} else if z.repeated(state, at, &reps) {
			length = 1
			state = afterMatch(state, 9)
		} else {
			length = z.length(&z.again, at)
			state = afterMatch(state, 8)
		}
		if reps[0] > d || reps[0] <= 0 { // the end marker too is none of MicroLZMA
			return errLZMA
		}
		d = lz4.Repeat(dst, d, reps[0], length)
	}
	return nil
}

func afterLiteral(state uint32) uint32 {
	switch {
	case state < 4:
		return 0
	case state < 10:
		return state - 3
	}
	return state - 6
}

// afterMatch returns the state behind a match: 7, 8 or 9 after a literal, for
// a match, a repeated one, and a single repeated byte.
func afterMatch(state, next uint32) uint32 {
	switch {
	case state < 7:
		return next
	case next == 7:
		return 10
	}
	return 11
}

// repeated decodes which of the last distances is used again and moves it to
// the front. It reports whether that is for one byte only.
func (z *lzma) repeated(state uint32, at int, reps *[4]int) (short bool) {
	if z.bit(&z.isRep0[state]) == 0 {
		return z.bit(&z.isRep0Long[state][at]) == 0
	}
	k := 1
	if z.bit(&z.isRep1[state]) == 1 {
		k = 2 + int(z.bit(&z.isRep2[state]))
	}
	distance := reps[k]
	copy(reps[1:k+1], reps[:k])
	reps[0] = distance
	return false
}

func (z *lzma) decodeLiteral(dst []byte, d int, state uint32, distance int) {
	before := uint(0)
	if d > 0 {
		before = uint(dst[d-1])
	}
	place := uint(d)&(1<<z.lp-1)<<z.lc | before>>(8-z.lc)
	probs := z.literal[0x300*place:][:0x300]
	symbol := uint32(1)
	if state >= 7 { // after a match: the byte that would follow it is another context
		match := uint32(dst[d-distance])
		offset := uint32(0x100)
		for symbol < 0x100 {
			match <<= 1
			expected := match & offset
			bit := z.bit(&probs[offset+expected+symbol])
			symbol = symbol<<1 | bit
			if bit == 1 {
				offset &= match
			} else {
				offset &^= match
			}
		}
	}
	for symbol < 0x100 {
		symbol = symbol<<1 | z.bit(&probs[symbol])
	}
	dst[d] = byte(symbol)
}

func (z *lzma) length(p *lengthProbs, at int) int {
	if z.bit(&p.choice) == 0 {
		return lzmaMinMatch + int(z.tree(p.low[at][:], 3))
	}
	if z.bit(&p.choice2) == 0 {
		return lzmaMinMatch + 8 + int(z.tree(p.mid[at][:], 3))
	}
	return lzmaMinMatch + 16 + int(z.tree(p.high[:], 8))
}

// distance decodes the distance of a match of the given length.
func (z *lzma) distance(length int) int {
	slot := z.tree(z.slot[min(length-lzmaMinMatch, 3)][:], 6)
	if slot < 4 {
		return int(slot) + 1
	}
	bits := slot>>1 - 1
	distance := (2 | slot&1) << bits
	if slot < 14 {
		return int(distance+z.reverse(z.special[distance-slot:], bits)) + 1
	}
	distance += z.direct(bits-4) << 4
	distance += z.reverse(z.align[:], 4)
	return int(distance) + 1
}

// tree decodes a number of bits, the highest first.
func (z *lzma) tree(probs []prob, bits uint) uint32 {
	symbol := uint32(1)
	for range bits {
		symbol = symbol<<1 | z.bit(&probs[symbol])
	}
	return symbol - 1<<bits
}

// reverse decodes a number of bits, the lowest first.
func (z *lzma) reverse(probs []prob, bits uint32) uint32 {
	symbol, n := uint32(1), uint32(0)
	for k := range bits {
		bit := z.bit(&probs[symbol])
		symbol = symbol<<1 | bit
		n |= bit << k
	}
	return n
}

// direct decodes a number of bits that are as often 0 as 1.
func (z *lzma) direct(bits uint32) uint32 {
	n := uint32(0)
	for range bits {
		z.normalize()
		z.rng >>= 1
		n <<= 1
		if z.code >= z.rng {
			z.code -= z.rng
			n |= 1
		}
	}
	return n
}

func (z *lzma) bit(p *prob) uint32 {
	z.normalize()
	bound := z.rng / lzmaBitTotal * uint32(*p)
	if z.code < bound {
		z.rng = bound
		*p += (lzmaBitTotal - *p) >> lzmaMoveBits
		return 0
	}
	z.rng -= bound
	z.code -= bound
	*p -= *p >> lzmaMoveBits
	return 1
}

func (z *lzma) normalize() {
	if z.rng < lzmaTopValue {
		z.rng <<= 8
		z.code <<= 8
		if z.pos < len(z.src) {
			z.code |= uint32(z.src[z.pos])
		}
		z.pos++
	}
}
