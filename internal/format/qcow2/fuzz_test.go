package qcow2_test

import (
	"encoding/binary"
	"testing"

	"sextant/internal/format/qcow2"
	"sextant/internal/imagetest/virtual"
)

// FuzzOpen reads whatever comes.
func FuzzOpen(f *testing.F) {
	m, _, l2 := small(f, 9)
	f.Add(m.Bytes)
	m.Put(binary.BigEndian, l2, uint64(1<<62|600))
	f.Add(m.Bytes[:4096])
	m, _, _ = small(f, 14)
	m.Put(binary.BigEndian, 72, uint64(16))
	f.Add(m.Bytes)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &virtual.Memory{Bytes: b}
		d, err := qcow2.Open(m, m.Size())
		if err != nil {
			if d != nil {
				t.Error("an image beside an error")
			}
			return
		}
		_ = virtual.ReadAll(t, d, 1<<20)
	})
}

// FuzzWrite writes pieces of a disk, which must then be there, alone.
func FuzzWrite(f *testing.F) {
	f.Add(uint32(100_000), uint8(0), []byte{0, 1, 40, 2, 200, 0, 7, 7, 7})
	f.Fuzz(func(t *testing.T, size uint32, bits uint8, writes []byte) {
		size %= 1 << 20
		m := &virtual.Memory{}
		w, err := qcow2.Create(m, int64(size), qcow2.Options{ClusterBits: 9 + int(bits%6)})
		if err != nil {
			t.Fatal(err)
		}
		want := virtual.MakePieces(t, w, int64(size), 300, writes)
		d, err := qcow2.Open(m, m.Size())
		if err != nil {
			t.Fatal(err)
		}
		virtual.Holds(t, d, m, want)
	})
}
