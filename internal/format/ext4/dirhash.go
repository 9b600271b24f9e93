package ext4

import "math/bits"

// hashEnd is the hash that no name has: it marks the end of a directory for
// readers in hash order (EXT4_HTREE_EOF_32BIT, shifted).
const hashEnd = 0xfffffffe

// HashName gives the hash by which an indexed directory finds a name (e2fsprogs
// lib/ext2fs/dirhash.c). ok is false for a function that takes more than the
// name.
func HashName(version HashVersion, seed [4]uint32, name string) (hash uint32, ok bool) {
	signed := version < HashLegacyUnsigned
	state := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}
	if seed != [4]uint32{} {
		state = seed
	}
	switch version {
	case HashLegacy, HashLegacyUnsigned:
		hash = legacyHash(name, signed)
	case HashHalfMD4, HashHalfMD4Unsigned:
		for rest := name; ; rest = rest[32:] {
			halfMD4(&state, [8]uint32(hashWords(rest, 8, signed)))
			if len(rest) <= 32 {
				break
			}
		}
		hash = state[1]
	case HashTEA, HashTEAUnsigned:
		for rest := name; ; rest = rest[16:] {
			tea(&state, [4]uint32(hashWords(rest, 4, signed)))
			if len(rest) <= 16 {
				break
			}
		}
		hash = state[0]
	default:
		return 0, false
	}
	if hash &^= 1; hash == hashEnd {
		hash -= 2
	}
	return hash, true
}

// widen gives a byte of a name as a word.
func widen(c byte, signed bool) uint32 {
	if signed {
		return uint32(int8(c))
	}
	return uint32(c)
}

func legacyHash(name string, signed bool) uint32 {
	h0, h1 := uint32(0x12a3fe2d), uint32(0x37abe8f9)
	for i := range len(name) {
		h := h1 + (h0 ^ widen(name[i], signed)*7152373)
		if h&0x80000000 != 0 {
			h -= 0x7fffffff
		}
		h0, h1 = h, h0
	}
	return h0 << 1
}

// hashWords packs the begin of a name into words, big end first, and fills up
// with the length of the whole rest.
func hashWords(name string, words int, signed bool) []uint32 {
	pad := uint32(len(name)) | uint32(len(name))<<8
	pad |= pad << 16
	list := make([]uint32, 0, words)
	word := pad
	for i := range min(len(name), words*4) {
		word = widen(name[i], signed) + word<<8
		if i%4 == 3 {
			list = append(list, word)
			word = pad
		}
	}
	if len(list) < words {
		list = append(list, word)
	}
	for len(list) < words {
		list = append(list, pad)
	}
	return list
}

// halfMD4 is MD4 without its fourth round, over half as much input.
func halfMD4(state *[4]uint32, in [8]uint32) {
	round := func(f func(x, y, z uint32) uint32, constant uint32, order [8]int, turns [4]int) {
		for i, word := range order {
			// The word that changes goes a, d, c, b.
			a, b, c, d := (4-i%4)%4, (5-i%4)%4, (6-i%4)%4, (7-i%4)%4
			sum := state[a] + f(state[b], state[c], state[d]) + in[word] + constant
			state[a] = bits.RotateLeft32(sum, turns[i%4])
		}
	}
	before := *state
	round(func(x, y, z uint32) uint32 { return z ^ x&(y^z) }, 0,
		[8]int{0, 1, 2, 3, 4, 5, 6, 7}, [4]int{3, 7, 11, 19})
	round(func(x, y, z uint32) uint32 { return x&y + (x^y)&z }, 0x5A827999,
		[8]int{1, 3, 5, 7, 0, 2, 4, 6}, [4]int{3, 5, 9, 13})
	round(func(x, y, z uint32) uint32 { return x ^ y ^ z }, 0x6ED9EBA1,
		[8]int{3, 7, 2, 6, 1, 5, 0, 4}, [4]int{3, 9, 11, 15})
	for i := range state {
		state[i] += before[i]
	}
}

// tea is the Tiny Encryption Algorithm with half its rounds.
func tea(state *[4]uint32, in [4]uint32) {
	sum, x, y := uint32(0), state[0], state[1]
	for range 16 {
		sum += 0x9E3779B9
		x += (y<<4 + in[0]) ^ (y + sum) ^ (y>>5 + in[1])
		y += (x<<4 + in[2]) ^ (x + sum) ^ (x>>5 + in[3])
	}
	state[0] += x
	state[1] += y
}
