package squashfs

import (
	"encoding/binary"
	"fmt"

	"sextant/internal/fault"
)

// bcjFilter undoes a branch/call/jump filter of xz, which turns the relative
// addresses in machine code into absolute ones, as those repeat and so pack
// better ("The .xz File Format" 5.3.2, and the XZ Embedded sources).
type bcjFilter struct {
	start uint32 // the address of the first byte
	step  func(code []byte, address uint32)
}

// newBCJ returns the filter with the given number.
func newBCJ(id uint64, properties []byte) (bcjFilter, error) {
	var f bcjFilter
	switch id {
	case 4:
		f.step = undoX86
	case 5:
		f.step = undoPowerPC
	case 7:
		f.step = undoARM
	case 8:
		f.step = undoARMThumb
	case 9:
		f.step = undoSPARC
	case 10:
		f.step = undoARM64
	case 3, 6, 11:
		name := map[uint64]string{3: "delta", 6: "IA-64", 11: "RISC-V"}[id]
		return f, fmt.Errorf("xz filter %s: %w", name, fault.ErrUnsupported)
	default:
		return f, fmt.Errorf("xz filter %#x is not known: %w", id, fault.ErrCorrupt)
	}
	switch len(properties) {
	case 0:
	case 4:
		f.start = binary.LittleEndian.Uint32(properties)
	default:
		return f, errXz
	}
	return f, nil
}

func (f bcjFilter) decode(data []byte) { f.step(data, f.start) }

// undoARM: BL with condition "always" has a 24-bit offset in words, from two
// instructions on.
func undoARM(code []byte, address uint32) {
	for i := 0; i+4 <= len(code); i += 4 {
		if code[i+3] != 0xeb {
			continue
		}
		v := binary.LittleEndian.Uint32(code[i:])
		v = (v << 2) - (address + uint32(i) + 8)
		binary.LittleEndian.PutUint32(code[i:], v>>2&0x00ffffff|0xeb000000)
	}
}

// undoARMThumb: BL is a pair of halfwords with eleven bits each, from two
// instructions on.
func undoARMThumb(code []byte, address uint32) {
	for i := 0; i+4 <= len(code); i += 2 {
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
}

// undoARM64: BL has a 26-bit offset in words, ADRP one of 21 bits in pages, of
// which those within 512 MiB are converted.
func undoARM64(code []byte, address uint32) {
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
}

// undoPowerPC: a branch with link to a relative address of 24 bits.
func undoPowerPC(code []byte, address uint32) {
	for i := 0; i+4 <= len(code); i += 4 {
		v := binary.BigEndian.Uint32(code[i:])
		if v&0xfc000003 != 0x48000001 {
			continue
		}
		v = v&0x03fffffc - (address + uint32(i))
		binary.BigEndian.PutUint32(code[i:], 0x48000001|v&0x03fffffc)
	}
}

// undoSPARC: CALL with a target within 16 MiB.
func undoSPARC(code []byte, address uint32) {
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
}

// undoX86: CALL and JMP (E8, E9) with a 32-bit offset whose top byte is 00 or
// FF. Which bytes are opcodes cannot be known, so the encoder keeps track of
// the opcodes in the last bytes in a mask, and the decoder must do the same.
func undoX86(code []byte, address uint32) {
	const length = 5
	var mask uint32
	last := -1 // offset of the opcode before
	for i := 0; i+length <= len(code); i++ {
		if code[i]&0xfe != 0xe8 {
			continue
		}
		gap := i - last
		last = i
		if mask = mask << (gap - 1) & 7; gap > 3 {
			mask = 0
		}
		if mask != 0 && (!maskAllowed(mask) || topByte(code[i+4-int(maskToBit(mask))])) || !topByte(code[i+4]) {
			mask = mask<<1 | 1
			continue
		}
		v := undoX86Address(binary.LittleEndian.Uint32(code[i+1:]), address+uint32(i)+length, mask)
		binary.LittleEndian.PutUint32(code[i+1:], v)
		i += length - 1
	}
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
