package lz4

import "encoding/binary"

// slack is how much room decodeFast wants behind what it reads and writes, as it
// copies 32 bytes where fewer will do. So the processor has no branch to guess,
// and Go one bound to check. Most sequences of real data have fewer.
const slack = 32

// decodeFast unpacks sequences from the token at s on, up to one that is broken
// or so close to an end that its bytes must be counted, and returns where that
// one begins. It takes up to 1.5 times as long as a decoder in assembly
// (BenchmarkDecode).
func decodeFast(dst, src []byte, d, s int) (int, int) {
	for s >= 0 && s+slack <= len(src) && d >= 0 && d+2*slack <= len(dst) {
		in := (*[slack]byte)(src[s : s+slack])
		token := int(in[0])
		literals := token >> 4
		*(*[16]byte)(dst[d : d+16]) = *(*[16]byte)(in[1:])
		from, to := s+1+literals, d+literals
		if literals == longToken {
			n, at := length(src, s+1, literals)
			if at == 0 || at+n+slack > len(src) || d+n+2*slack > len(dst) {
				return d, s
			}
			if n > slack {
				copy(dst[d:], src[at:at+n])
			} else {
				copySlack(dst, d, src, at)
			}
			from, to = at+n, d+n
		}

		distance := int(binary.LittleEndian.Uint16(src[from : from+2]))
		from += 2
		if distance == 0 || distance > to {
			return d, s
		}
		match := token & 15
		if match == longToken {
			match, from = length(src, from, match)
			if from == 0 || from+slack > len(src) || to+match+minMatch+slack > len(dst) {
				return d, s
			}
		}
		d, s = to+match+minMatch, from
		if distance < 16 {
			repeatNear(dst, to, d, distance)
			continue
		}
		copySlack(dst, to, dst, to-distance)
		for i := to + slack; i < d; i += 16 {
			*(*[16]byte)(dst[i : i+16]) = *(*[16]byte)(dst[i-distance : i-distance+16])
		}
	}
	return d, s
}

// copySlack copies 32 bytes, the first half before it looks at the second.
func copySlack(dst []byte, d int, src []byte, s int) {
	out, in := (*[slack]byte)(dst[d:d+slack]), (*[slack]byte)(src[s:s+slack])
	*(*[16]byte)(out[:16]) = *(*[16]byte)(in[:16])
	*(*[16]byte)(out[16:]) = *(*[16]byte)(in[16:])
}

// repeatNear fills dst[d:end], and up to 16 bytes more, with what is distance
// before, which is less than 16.
func repeatNear(dst []byte, d, end, distance int) {
	if distance < 8 {
		for range 8 {
			dst[d] = dst[d-distance]
			d++
		}
		distance *= (7 + distance) / distance // the first multiple that is not below 8
	}
	for ; d < end; d += 8 {
		binary.LittleEndian.PutUint64(dst[d:d+8], binary.LittleEndian.Uint64(dst[d-distance:d-distance+8]))
	}
}
