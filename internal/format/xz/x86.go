package xz

import "encoding/binary"

// x86 converts CALL and JMP (E8, E9) with a 32-bit offset whose top byte is 00
// or FF back. Which bytes are opcodes cannot be known, so the encoder keeps track
// of the opcodes in the last bytes in a mask, and the decoder must do the same.
type x86 struct {
	mask uint32
	last int // offset of the opcode before, from where the next bytes begin
}

func newX86() *x86 { return &x86{last: -1} }

// convert converts what is in code, whose first byte has the address, and
// returns how many bytes are done.
func (x *x86) convert(code []byte, address uint32) int {
	const length = 5
	i := 0
	for ; i+length <= len(code); i++ {
		if code[i]&0xfe != 0xe8 {
			continue
		}
		gap := i - x.last
		x.last = i
		if x.mask = x.mask << (gap - 1) & 7; gap > 3 {
			x.mask = 0
		}
		if x.mask != 0 && (!maskAllowed(x.mask) || topByte(code[i+4-int(maskToBit(x.mask))])) || !topByte(code[i+4]) {
			x.mask = x.mask<<1 | 1
			continue
		}
		v := undoX86Address(binary.LittleEndian.Uint32(code[i+1:]), address+uint32(i)+length, x.mask)
		binary.LittleEndian.PutUint32(code[i+1:], v)
		i += length - 1
	}
	x.last = max(x.last-i, -length) // far is far
	return i
}

func undoX86Address(v, next, mask uint32) uint32 {
	for {
		v -= next
		if mask == 0 {
			break
		}
		bit := maskToBit(mask) * 8
		if !topByte(byte(v >> (24 - bit))) {
			break
		}
		v ^= 1<<(32-bit) - 1
	}
	return v&0x01ffffff | -(v & 0x01000000)
}

func topByte(b byte) bool { return b == 0 || b == 0xff }

func maskAllowed(mask uint32) bool {
	return [8]bool{true, true, true, false, true, false, false, false}[mask]
}

func maskToBit(mask uint32) uint32 { return [8]uint32{0, 1, 2, 2, 3, 3, 3, 3}[mask] }
