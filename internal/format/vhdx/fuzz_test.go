package vhdx_test

import (
	"testing"

	"sextant/internal/format/vhdx"
	"sextant/internal/imagetest/virtual"
)

// FuzzOpen changes a good disk: what the fuzzer gives goes to the beginning of
// each of its structures, whose checksums are made right again.
func FuzzOpen(f *testing.F) {
	good := small(f, vhdx.Options{})
	cut := func(at, length int) []byte { return append([]byte(nil), good.Bytes[at:at+length]...) }
	e := entry(1, 0, len(good.Bytes), change{at: batAt, data: cut(batAt, sector)})
	f.Add(cut(header2, 80), cut(regions1, 80), cut(metadataAt, 192), cut(itemsAt, 40), cut(batAt, 40), e, uint32(len(good.Bytes)))
	used := cut(header2, 80)
	used[48] = 7
	f.Add(used, cut(regions1, 80), cut(metadataAt, 192), cut(itemsAt, 40), cut(batAt, 40), e, uint32(len(good.Bytes)))
	f.Fuzz(func(t *testing.T, header, regions, metadata, items, bat, log []byte, size uint32) {
		m := &virtual.Memory{Bytes: append([]byte(nil), good.Bytes...)}
		for at, b := range map[int][]byte{header2: header, regions1: regions, metadataAt: metadata, itemsAt: items, batAt: bat, logAt: log} {
			copy(m.Bytes[at:at+64<<10], b)
		}
		if len(log) >= 64 {
			seal(m.Bytes[logAt : logAt+min(len(log), 64<<10)])
		}
		sealAll(m)
		if err := m.Truncate(int64(size % (16 << 20))); err != nil {
			t.Fatal(err)
		}
		d, err := vhdx.Open(m, m.Size())
		if err != nil {
			if d != nil {
				t.Error("a disk beside an error")
			}
			return
		}
		_ = virtual.ReadAll(t, d, 1<<20)
	})
}

// FuzzWrite writes pieces of a disk, which must then be there, alone.
func FuzzWrite(f *testing.F) {
	f.Add(uint16(12345), false, []byte{0, 1, 40, 2, 200, 0, 7, 7, 7})
	f.Fuzz(func(t *testing.T, sectors uint16, fixed bool, writes []byte) {
		size := int64(sectors%16384) * 512
		m := &virtual.Memory{}
		w, err := vhdx.Create(m, size, vhdx.Options{Fixed: fixed})
		if err != nil {
			t.Fatal(err)
		}
		want := virtual.MakePieces(t, w, size, 3000, writes)
		d, err := vhdx.Open(m, m.Size())
		if err != nil {
			t.Fatal(err)
		}
		virtual.Holds(t, d, m, want)
	})
}
