package erofs

import (
	"encoding/binary"
	"sextant/internal/span"
)

// packs is where compact indexes are. Several of them share a base block, in a
// pack: two in eight bytes, or sixteen in 32. The small packs stand in front,
// up to an offset that 32 divides, and at the end.
//
//	small pack   index 0 │ index 1 │ block
//	             16 bits │ 16 bits │ 32 bits
//	large pack   index 0 │ index 1 │ ... │ index 15 │ block
//	             14 bits │ 14 bits │     │ 14 bits  │ 32 bits
//
// The upper two bits of an index are its type. The rest is the offset of a
// head, and the distance to the head before of others, but for the last index
// of a pack, where it is the distance to the head behind.
type packs struct {
	at           int64
	count        int64 // of all indexes
	front, large int64 // indexes in small packs in front, and in large packs
}

const (
	smallPack      = 8
	largePack      = 32
	smallPackCount = 2
	largePackCount = 16
)

func newPacks(at, count int64, large bool) packs {
	// Linux has the indexes in front in small packs even if all are.
	p := packs{at: at, count: count, front: (largePack - at%largePack) / 4 % 8}
	if large && p.front < count {
		p.large = (count - p.front) &^ (largePackCount - 1)
	}
	return p
}

// find returns the bytes of the pack with index n, how many indexes it has and
// which of them that is.
func (p packs) find(n int64) (s span.Span, count, k int) {
	at := p.at
	if n >= p.front {
		at, n = at+4*p.front, n-p.front
		if n < p.large {
			return span.Span{Offset: at + n/largePackCount*largePack, Length: largePack}, largePackCount, int(n % largePackCount)
		}
		at, n = at+2*p.large, n-p.large
	}
	return span.Span{Offset: at + n/smallPackCount*smallPack, Length: smallPack}, smallPackCount, int(n % smallPackCount)
}

// end returns the end of the last pack, which may have room for one more.
func (p packs) end() int64 {
	s, _, _ := p.find(p.count - 1)
	return s.End()
}

// pack is the indexes of one pack.
type pack struct {
	bytes     []byte
	count     int
	valueBits uint
}

// index decodes index k.
func (p pack) index(k int) (kind LclusterType, value int64) {
	bits := (len(p.bytes) - 4) * 8 / p.count
	v := binary.LittleEndian.Uint32(p.bytes[k*bits/8:]) >> (k * bits % 8)
	return LclusterType(v >> p.valueBits & indexTypeMask), int64(v & (1<<p.valueBits - 1))
}

func (x *indexes) loadCompact(n int64) (l lcluster, err error) {
	s, count, k := x.packs.find(n)
	p := pack{count: count, valueBits: uint(max(x.bits, 12))}
	if count == largePackCount && x.bits > 12 {
		return l, unsupported("indexes of two bytes for lclusters of 1<<%d bytes", x.bits)
	}
	if p.bytes, err = x.window.bytes(s); err != nil {
		return l, err
	}
	var value int64
	l.kind, value = p.index(k)
	switch {
	case l.head():
		l.offset = value
		l.block, err = p.block(k, x.header.Advise&AdviseBigPcluster1 != 0)
		return l, err
	case value&indexBlockCount != 0:
		l.blocks, l.back = value&^indexBlockCount, 1
	case k < count-1:
		l.back = value
	default:
		l.back = 1
		if kind, before := p.index(k - 1); kind == NonheadLcluster && before&indexBlockCount != 0 {
			l.back = 2
		} else if kind == NonheadLcluster {
			l.back = before + 1
		}
	}
	return l, nil
}

// block returns the block of head k: the pack's, and the blocks of all
// pclusters that start or have their size in the pack before.
func (p pack) block(k int, big bool) (int64, error) {
	block := int64(binary.LittleEndian.Uint32(p.bytes[len(p.bytes)-4:]))
	if !big {
		block++
	}
	for k--; k >= 0; k-- {
		kind, value := p.index(k)
		switch {
		case kind != NonheadLcluster:
			block++
		case !big:
			k -= int(value)
			if k >= 0 {
				block++
			}
		case value&indexBlockCount != 0:
			block += value &^ indexBlockCount
			k-- // its head
		case value <= 1:
			return 0, corrupt("the index before has a distance of %d", value)
		default:
			k -= int(value) - 2 // to behind the index with the size
		}
	}
	return block, nil
}
