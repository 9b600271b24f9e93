package vhd_test

import (
	"testing"

	"sextant/internal/format/vhd"
	"sextant/internal/imagetest/virtual"
)

// FuzzOpen reads a beginning and an end with zeros between them. With fix set
// the checksums are made right, so that the fuzzer gets behind them.
func FuzzOpen(f *testing.F) {
	for _, kind := range []vhd.Kind{vhd.Fixed, vhd.Dynamic} {
		m := small(f, kind)
		f.Add(m.Bytes[:4096], m.Bytes[len(m.Bytes)-512:], uint32(len(m.Bytes)), true)
	}
	f.Fuzz(func(t *testing.T, start, end []byte, size uint32, fix bool) {
		m := &virtual.Memory{Bytes: make([]byte, size%(16<<20))}
		copy(m.Bytes, start)
		copy(m.Bytes[max(0, len(m.Bytes)-len(end)):], end)
		if fix && len(m.Bytes) >= 2048 {
			seal(m.Bytes[:512], 64)
			seal(m.Bytes[512:1536], 36)
			seal(m.Bytes[len(m.Bytes)-512:], 64)
		}
		if _, err := vhd.Has(m, m.Size()); err != nil {
			t.Errorf("Has = %v", err)
		}
		d, err := vhd.Open(m, m.Size())
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
	f.Add(uint16(12345), true, []byte{0, 1, 40, 2, 200, 0, 7, 7, 7})
	f.Fuzz(func(t *testing.T, sectors uint16, dynamic bool, writes []byte) {
		size := (int64(sectors%16384) + 1) * 512
		kind := vhd.Fixed
		if dynamic {
			kind = vhd.Dynamic
		}
		m := &virtual.Memory{}
		w, err := vhd.Create(m, size, vhd.Options{Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		want := virtual.MakePieces(t, w, size, 3000, writes)
		d, err := vhd.Open(m, m.Size())
		if err != nil {
			t.Fatal(err)
		}
		virtual.Holds(t, d, m, want)
	})
}
