package vhdx_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/vhdx"
	"sextant/internal/imagetest/virtual"
	"sextant/internal/testenv"
)

const sector = 4096

// change is what a log entry says about one place of the file.
type change struct {
	at   int
	data []byte // one sector; nil: zero bytes
	zero int
}

// entry returns a log entry.
func entry(sequence uint64, tail int, fileSize int, changes ...change) []byte {
	le := binary.LittleEndian
	head := (64 + 32*len(changes) + sector - 1) / sector * sector
	b := make([]byte, head)
	copy(b, "loge")
	le.PutUint32(b[12:], uint32(tail))
	le.PutUint64(b[16:], sequence)
	le.PutUint32(b[24:], uint32(len(changes)))
	le.PutUint64(b[32:], 7) // the log's GUID
	le.PutUint64(b[48:], uint64(fileSize))
	le.PutUint64(b[56:], uint64(fileSize))
	for i, c := range changes {
		d := b[64+32*i:]
		le.PutUint64(d[16:], uint64(c.at))
		le.PutUint64(d[24:], sequence)
		if c.data == nil {
			copy(d, "zero")
			le.PutUint64(d[8:], uint64(c.zero))
			continue
		}
		copy(d, "desc")
		copy(d[4:], c.data[sector-4:])
		copy(d[8:], c.data[:8])
		s := append([]byte("data\x00\x00\x00\x00"), c.data[8:]...)
		le.PutUint32(s[4:], uint32(sequence>>32))
		le.PutUint32(s[sector-4:], uint32(sequence))
		b = append(b, s...)
	}
	le.PutUint32(b[8:], uint32(len(b)))
	seal(b)
	return b
}

// dirty returns a disk with entries in its log, each at an offset of the ring.
func dirty(t testing.TB, m *virtual.Memory, entries map[int][]byte) *virtual.Memory {
	t.Helper()
	m.Put(binary.LittleEndian, header1+48, uint64(7))
	m.Put(binary.LittleEndian, header2+48, uint64(7))
	sealAll(m)
	for at, e := range entries {
		for i := 0; i < len(e); i += sector {
			copy(m.Bytes[logAt+(at+i)%(1<<20):], e[i:i+sector])
		}
	}
	return m
}

// TestReplaysLog has disks whose BAT is right only with the log, and compares
// with what qemu-img repairs.
func TestReplaysLog(t *testing.T) {
	testenv.Require(t, "qemu-img")
	good := small(t, vhdx.Options{})
	bat := append([]byte(nil), good.Bytes[batAt:batAt+sector]...)
	other := append([]byte(nil), bat...) // has the last block in the first one's place
	binary.LittleEndian.PutUint64(other, binary.LittleEndian.Uint64(bat[4*8:]))
	size := len(good.Bytes)
	noBAT := change{at: batAt, zero: sector}
	for name, entries := range map[string]map[int][]byte{
		"one entry":             {0: entry(1, 0, size, change{at: batAt, data: bat})},
		"far in the ring":       {12 * sector: entry(5, 12*sector, size, change{at: batAt, data: bat})},
		"around the ring's end": {255 * sector: entry(1<<33, 255*sector, size, change{at: batAt, data: bat})},
		"two entries": {0: entry(8, 0, size, change{at: batAt, data: other}),
			2 * sector: entry(9, 0, size, change{at: batAt, data: bat})},
		"zero, then data": {0: entry(8, 0, size, noBAT, change{at: batAt, data: bat})},
		"data, then zero": {0: entry(8, 0, size, change{at: batAt, data: bat}, change{at: batAt, zero: 2 * sector})},
		"an older sequence": {0: entry(3, 0, size, change{at: batAt, data: bat}),
			8 * sector: entry(2, 8*sector, size, noBAT)},
		"damaged last entry": {0: entry(1, 0, size, change{at: batAt, data: bat}),
			2 * sector: append(entry(2, 0, size, change{at: batAt, data: other})[:sector], make([]byte, sector)...)},
		"entry without changes": {0: entry(1, 0, size, change{at: batAt, data: bat}), 2 * sector: entry(2, 0, size)},
	} {
		t.Run(name, func(t *testing.T) {
			m := dirty(t, small(t, vhdx.Options{}), entries)
			clear(m.Bytes[batAt : batAt+sector])
			d, err := vhdx.Open(m, m.Size())
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, d.Size())
			if _, err := d.ReadAt(got, 0); err != nil {
				t.Fatal(err)
			}
			for s := range d.Segments() {
				if s.At >= 0 {
					t.Errorf("%s is said to lie at %d of the file, where the log may change it", s.Span, s.At)
				}
			}
			f, raw := virtual.Empty(t), virtual.Empty(t)
			if _, err := f.Write(m.Bytes); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(raw.Name(), got, 0o600); err != nil {
				t.Fatal(err)
			}
			virtual.Run(t, "qemu-img", "check", "-q", "-r", "all", "-f", "vhdx", f.Name())
			virtual.Run(t, "qemu-img", "compare", "-f", "raw", "-F", "vhdx", raw.Name(), f.Name())
		})
	}
}

// TestLogOfManyChanges has more descriptors than fit in one sector, which QEMU
// 7.2 does not read.
func TestLogOfManyChanges(t *testing.T) {
	good := small(t, vhdx.Options{})
	want := make([]byte, 5<<20)
	copy(want, virtual.Noise(512, 0))
	copy(want[5<<20-512:], virtual.Noise(512, 0))
	var changes []change
	for i := range 200 {
		changes = append(changes, change{at: batAt + 2*sector + i%100*sector, zero: sector})
	}
	changes = append(changes, change{at: batAt, data: append([]byte(nil), good.Bytes[batAt:batAt+sector]...)})
	m := dirty(t, good, map[int][]byte{254 * sector: entry(1, 254*sector, len(good.Bytes), changes...)})
	clear(m.Bytes[batAt : batAt+sector])
	d, err := vhdx.Open(m, m.Size())
	if err != nil {
		t.Fatal(err)
	}
	virtual.Same(t, d, want)
}

// TestLogTail has an entry before the tail, which must not be replayed again
// (QEMU does).
func TestLogTail(t *testing.T) {
	good := small(t, vhdx.Options{})
	size := len(good.Bytes)
	m := dirty(t, good, map[int][]byte{
		0:      entry(1, 0, size, change{at: batAt, zero: sector}),
		sector: entry(2, sector, size),
	})
	d, err := vhdx.Open(m, m.Size())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 512)
	if _, err := d.ReadAt(got, 0); err != nil || !bytes.Equal(got, virtual.Noise(512, 0)) {
		t.Errorf("ReadAt = %v, and not what was written", err)
	}
}

// TestLogLies has logs that cannot be carried out.
func TestLogLies(t *testing.T) {
	good := small(t, vhdx.Options{})
	bat := append([]byte(nil), good.Bytes[batAt:batAt+sector]...)
	size := len(good.Bytes)
	edit := func(at int, value any) []byte {
		m := &virtual.Memory{Bytes: entry(1, 0, size, change{at: batAt, data: bat})}
		m.Put(binary.LittleEndian, at, value)
		seal(m.Bytes)
		return m.Bytes
	}
	const none = "no valid entry"
	for _, l := range []struct {
		lie
		entry []byte
	}{
		{lie{"signature", 0, nil, fault.ErrCorrupt, none}, edit(0, uint8('L'))},
		{lie{"length 0", 0, nil, fault.ErrCorrupt, none}, edit(8, uint32(0))},
		{lie{"length too short", 0, nil, fault.ErrCorrupt, none}, edit(8, uint32(sector))},
		{lie{"length odd", 0, nil, fault.ErrCorrupt, none}, edit(8, uint32(2*sector+512))},
		{lie{"length too long", 0, nil, fault.ErrCorrupt, none}, edit(8, uint32(1<<32-sector))},
		{lie{"tail elsewhere", 0, nil, fault.ErrCorrupt, none}, edit(12, uint32(sector))},
		{lie{"sequence number 0", 0, nil, fault.ErrCorrupt, none}, edit(16, uint64(0))},
		{lie{"other sequence number", 0, nil, fault.ErrCorrupt, none}, edit(16, uint64(2))},
		{lie{"no descriptors", 0, nil, fault.ErrCorrupt, none}, edit(24, uint32(0))},
		{lie{"too many descriptors", 0, nil, fault.ErrCorrupt, none}, edit(24, uint32(1<<32-1))},
		{lie{"other log", 0, nil, fault.ErrCorrupt, none}, edit(32, uint64(8))},
		{lie{"file too short", 0, nil, fault.ErrCorrupt, "by its log"}, edit(48, uint64(1<<30))},
		{lie{"file beyond all", 0, nil, fault.ErrCorrupt, "asks for a file"}, edit(56, uint64(1<<63))},
		{lie{"longer file", 0, nil, nil, ""}, edit(56, uint64(1<<40))},
		{lie{"descriptor", 0, nil, fault.ErrCorrupt, none}, edit(64, uint8('D'))},
		{lie{"place aslant", 0, nil, fault.ErrCorrupt, none}, edit(64+16, uint64(batAt+512))},
		{lie{"place beyond all", 0, nil, fault.ErrUnsupported, "outside of any file"}, edit(64+16, uint64(1<<64-sector))},
		{lie{"descriptor's sequence number", 0, nil, fault.ErrCorrupt, none}, edit(64+24, uint64(2))},
		{lie{"data signature", 0, nil, fault.ErrCorrupt, none}, edit(sector, uint8('D'))},
		{lie{"data sequence number", 0, nil, fault.ErrCorrupt, none}, edit(2*sector-4, uint32(2))},
	} {
		m := dirty(t, small(t, vhdx.Options{}), map[int][]byte{0: l.entry})
		l.check(t, openAll(t, m))
	}
	m := dirty(t, small(t, vhdx.Options{}), map[int][]byte{0: entry(1, 0, size, change{at: batAt, data: bat})})
	m.Bytes[logAt+sector+100]++
	lie{"checksum", 0, nil, fault.ErrCorrupt, none}.check(t, openAll(t, m))
}
