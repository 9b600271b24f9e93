package xz

import (
	"encoding/binary"
)

// The functions here convert the branches in code back, whose first byte has
// the address, and return how many bytes are done. The few that are not have
// to come again, with more behind them.

// undoARM: BL with condition "always" has a 24-bit offset in words, from two
// instructions on.
func undoARM(code []byte, address uint32) int {
	for i := 0; i+4 <= len(code); i += 4 {
		if code[i+3] != 0xeb {
			continue
		}
		v := binary.LittleEndian.Uint32(code[i:])
		v = (v << 2) - (address + uint32(i) + 8)
		binary.LittleEndian.PutUint32(code[i:], v>>2&0x00ffffff|0xeb000000)
	}
	return len(code) &^ 3
}

// undoARMThumb: BL is a pair of halfwords with eleven bits each, from two
// instructions on.
func undoARMThumb(code []byte, address uint32) int {
	i := 0
	for ; i+4 <= len(code); i += 2 {
		high, low := binary.LittleEndian.Uint16(code[i:]), binary.LittleEndian.Uint16(code[i+2:])
		if high&0xf800 != 0xf000 || low&0xf800 != 0xf800 {
			continue
		}
		v := (uint32(high&0x7ff)<<11 | uint32(low&0x7ff)) << 1
		v = (v - (address + uint32(i) + 4)) >> 1
		binary.LittleEndian.PutUint16(code[i:], uint16(0xf000|v>>11&0x7ff))
		binary.LittleEndian.PutUint16(code[i+2:], uint16(0xf800|v&0x7ff))
		i += 2
	}
	return i
}

// undoARM64: BL has a 26-bit offset in words, ADRP one of 21 bits in pages, of
// which those within 512 MiB are converted.
func undoARM64(code []byte, address uint32) int {
	for i := 0; i+4 <= len(code); i += 4 {
		pc := address + uint32(i)
		v := binary.LittleEndian.Uint32(code[i:])
		switch {
		case v>>26 == 0x25:
			v = 0x94000000 | (v-pc>>2)&0x03ffffff
		case v&0x9f000000 == 0x90000000:
			page := v>>29&3 | v>>3&0x1ffffc
			if (page+0x020000)&0x1c0000 != 0 {
				continue
			}
			page -= pc >> 12
			v = v&0x9000001f | page&3<<29 | page&0x03fffc<<3 | (0-(page&0x020000))&0xe00000
		default:
			continue
		}
		binary.LittleEndian.PutUint32(code[i:], v)
	}
	return len(code) &^ 3
}

// undoPowerPC: a branch with link to a relative address of 24 bits.
func undoPowerPC(code []byte, address uint32) int {
	for i := 0; i+4 <= len(code); i += 4 {
		v := binary.BigEndian.Uint32(code[i:])
		if v&0xfc000003 != 0x48000001 {
			continue
		}
		v = v&0x03fffffc - (address + uint32(i))
		binary.BigEndian.PutUint32(code[i:], 0x48000001|v&0x03fffffc)
	}
	return len(code) &^ 3
}

// undoSPARC: CALL with a target within 16 MiB.
func undoSPARC(code []byte, address uint32) int {
	for i := 0; i+4 <= len(code); i += 4 {
		v := binary.BigEndian.Uint32(code[i:])
		if v>>22 != 0x100 && v>>22 != 0x1ff {
			continue
		}
		v = v<<2 - (address + uint32(i))
		v >>= 2
		v = (0x40000000 - v&0x00400000) | 0x40000000 | v&0x003fffff
		binary.BigEndian.PutUint32(code[i:], v)
	}
	return len(code) &^ 3
}

// undoIA64: a bundle has a template of five bits and three instructions of 41,
// and the template says which of them are branches. One with opcode 5 (br.call)
// and no branch type has a 21-bit offset in bundles: 20 bits from 13 on, the
// sign at 36.
func undoIA64(code []byte, address uint32) int {
	const bundle, sign, offset = 16, 1 << 36, 0xfffff << 13
	i := 0
	for ; i+bundle <= len(code); i += bundle {
		slots := ia64Branches(code[i] & 0x1f)
		for slot := range 3 {
			if slots>>slot&1 == 0 {
				continue
			}
			bit := 5 + 41*slot
			at, shift := i+bit/8, bit%8
			word := uint64(binary.LittleEndian.Uint32(code[at:])) | uint64(binary.LittleEndian.Uint16(code[at+4:]))<<32
			v := word >> shift
			if v>>37&0xf != 5 || v>>9&7 != 0 {
				continue
			}
			to := uint32(v>>13&0xfffff|v>>36&1<<20)<<4 - (address + uint32(i))
			to >>= 4
			v = v&^(sign|offset) | uint64(to&0xfffff)<<13 | uint64(to>>20&1)<<36
			word = word&(1<<shift-1) | v<<shift
			binary.LittleEndian.PutUint32(code[at:], uint32(word))
			binary.LittleEndian.PutUint16(code[at+4:], uint16(word>>32))
		}
	}
	return i
}

// ia64Branches returns which instructions are for the branch unit, as bits.
func ia64Branches(template byte) byte {
	switch template {
	case 0x10, 0x11, 0x18, 0x19, 0x1c, 0x1d: // MIB, MMB, MFB
		return 0b100
	case 0x12, 0x13: // MBB
		return 0b110
	case 0x16, 0x17: // BBB
		return 0b111
	}
	return 0
}

// undoRISCV: JAL that links to x1 or x5 has a 20-bit offset in halfwords, and
// AUIPC with the instruction behind it, which adds twelve bits, is a 32-bit
// address. Such a pair was stored as an AUIPC of x2 that has in itself the low
// bits of the second instruction, and the address behind it, with the highest
// byte first; a pair that looked so before was stored as an AUIPC of another
// register.
func undoRISCV(code []byte, address uint32) int {
	i := 0
	for i+8 <= len(code) {
		pc := address + uint32(i)
		switch v := binary.LittleEndian.Uint32(code[i:]); {
		case v&0xdff == 0xef: // the register is 1 or 5: bits 7-11 but for bit 9
			binary.LittleEndian.PutUint32(code[i:], undoJAL(v, pc))
			i += 4
		case v&0x7f == 0x17:
			i += undoAUIPC(code[i:i+8], pc)
		default:
			i += 2
		}
	}
	return i
}

// undoJAL takes an address whose highest bits come first out of v, and puts in
// the offset in the order of the instruction: bits 20, 10-1, 11, 19-12.
func undoJAL(v, pc uint32) uint32 {
	to := v>>12&0xf<<17 | v>>16&0xff<<9 | v>>24<<1
	to -= pc
	return v&0xfff | to>>20&1<<31 | to>>1&0x3ff<<21 | to>>11&1<<20 | to>>12&0xff<<12
}

// undoAUIPC converts a pair, and returns how many bytes are done.
func undoAUIPC(pair []byte, pc uint32) int {
	first, second := binary.LittleEndian.Uint32(pair), binary.LittleEndian.Uint32(pair[4:])
	register := first >> 7 & 0x1f
	if register == 0 || register == 2 {
		base := first >> 27 // of the second instruction
		if register == 0 || first>>12&3 != 3 || base == 0 || base == 2 {
			return 4
		}
		to := binary.BigEndian.Uint32(pair[4:]) - pc
		second = first>>12 | to<<20
		// The twelve bits are signed, so half of them take one off the others.
		first = 0x17 | base<<7 | (to+0x800)&0xfffff000
	} else {
		if second&3 != 3 || second>>15&0x1f != register {
			return 6
		}
		to := first&0xfffff000 + second>>20
		first, second = 0x17|2<<7|second<<12, to
	}
	binary.LittleEndian.PutUint32(pair, first)
	binary.LittleEndian.PutUint32(pair[4:], second)
	return 8
}
