package xz

import (
	"encoding/binary"
	"io"
)

// undo returns what undoes the filters that packed went through. The first of
// them was the first to see the plain bytes, so it is undone last.
func undo(filters []filter, packed io.Reader) (io.Reader, error) {
	for i := len(filters) - 1; i >= 0; i-- {
		var err error
		if packed, err = filters[i].undo(packed); err != nil {
			return nil, err
		}
	}
	return packed, nil
}

func (f filter) undo(in io.Reader) (io.Reader, error) {
	if f.id == filterDelta {
		if len(f.properties) != 1 {
			return nil, corrupt("delta filter has %d bytes of properties", len(f.properties))
		}
		return &delta{in: in, distance: f.properties[0] + 1}, nil
	}
	convert, align := f.branches()
	if convert == nil {
		return nil, unsupported("filter %#x", uint64(f.id))
	}
	var start uint32
	switch len(f.properties) {
	case 0:
	case 4:
		start = binary.LittleEndian.Uint32(f.properties)
	default:
		return nil, corrupt("filter %#x has %d bytes of properties", uint64(f.id), len(f.properties))
	}
	if start%align != 0 {
		return nil, corrupt("filter %#x starts at %d, which is no multiple of %d", uint64(f.id), start, align)
	}
	return &branches{in: in, address: start, convert: convert}, nil
}

// branches returns what converts the machine's branches, and to which multiple
// its code is aligned (5.3.2).
func (f filter) branches() (convert func(code []byte, address uint32) int, align uint32) {
	switch f.id {
	case filterX86:
		return newX86().convert, 1
	case filterPowerPC:
		return undoPowerPC, 4
	case filterIA64:
		return undoIA64, 16
	case filterARM:
		return undoARM, 4
	case filterARMThumb:
		return undoARMThumb, 2
	case filterSPARC:
		return undoSPARC, 4
	case filterARM64:
		return undoARM64, 4
	case filterRISCV:
		return undoRISCV, 2
	}
	return nil, 0
}

// delta undoes a filter that stores each byte as the difference to the one
// that lies a distance before (5.3.3).
type delta struct {
	in       io.Reader
	distance byte // 0: 256
	at       byte
	before   [256]byte // the last bytes, a ring
}

// Read reads plain bytes.
func (d *delta) Read(p []byte) (int, error) {
	n, err := d.in.Read(p)
	for i := range p[:n] {
		p[i] += d.before[d.at-d.distance]
		d.before[d.at] = p[i]
		d.at++
	}
	return n, err
}

// branches undoes a filter that made relative addresses in machine code
// absolute. What is converted depends on bytes that follow, so a few are held
// back until those are there; those at the very end stay as they are.
type branches struct {
	in      io.Reader
	address uint32 // of the first byte that is not converted

	// convert converts the code in place, as far as all bytes are there that it
	// needs to look at, and returns how far it came.
	convert func(code []byte, address uint32) int

	room           [8192]byte
	at, ready, end int   // given out, converted, read
	err            error // what comes behind them
}

// Read reads plain bytes.
func (b *branches) Read(p []byte) (int, error) {
	for b.at == b.ready {
		if b.err != nil {
			return 0, b.err
		}
		b.fill()
	}
	n := copy(p, b.room[b.at:b.ready])
	b.at += n
	return n, nil
}

func (b *branches) fill() {
	b.end = copy(b.room[:], b.room[b.ready:b.end])
	var n int
	n, b.err = b.in.Read(b.room[b.end:])
	b.end += n
	b.at, b.ready = 0, b.convert(b.room[:b.end], b.address)
	b.address += uint32(b.ready)
	if b.err == io.EOF {
		b.ready = b.end
	}
}
