package gpt_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
)

// sparse turns a short input of the fuzzer into an image: the beginning and
// the end of a table, with nothing in between.
func sparse(head, tail []byte, size int64) memory {
	m := make(memory, size)
	copy(m, head)
	copy(m[max(0, int(size)-len(tail)):], tail)
	return m
}

// FuzzRead reads whatever comes. With seal set, the checksums are made right,
// so that the fuzzer gets behind them.
func FuzzRead(f *testing.F) {
	for _, sectorSize := range []int{512, 4096} {
		size := 80 * sectorSize
		image := make(memory, size)
		table, err := gpt.New(int64(size), sectorSize)
		if err != nil {
			f.Fatal(err)
		}
		table.Partitions = []gpt.Partition{
			{Type: gpt.GUID{1}, UUID: gpt.GUID{2}, First: 40, Last: 41, Name: "a"},
			{Type: gpt.GUID{1}, UUID: gpt.GUID{3}, First: 42, Last: 42, Attributes: gpt.ReadOnly},
		}
		if err := gpt.Write(image, int64(size), table); err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(image[:2*sectorSize+2*128]), []byte(image[size-sectorSize:]), uint16(size/512), true)
	}
	f.Fuzz(func(t *testing.T, head, tail []byte, sectors uint16, seal bool) {
		if len(head) > 1<<16 || len(tail) > 1<<16 {
			return
		}
		image := sparse(head, tail, int64(sectors%4096)*512)
		if seal {
			resealAll(image)
		}
		size := int64(len(image))
		_ = gpt.Describe(io.Discard, image, size)
		table, problems, err := gpt.Read(image, size)
		if err != nil {
			if table != nil || problems != nil {
				t.Errorf("Read = %v, %v beside %v", table, problems, err)
			}
			if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("Read = %v", err)
			}
			return
		}
		for _, p := range table.Partitions {
			if err := table.Span(p).Within(size); err != nil {
				t.Errorf("partition %d: %v", p.Number, err)
			}
		}
		if len(problems) > 0 {
			return
		}
		// What has no problem can be written again, unless a rule of ours is
		// stricter, and is then the same.
		again := slices.Clone(image)
		if gpt.Write(again, size, table) != nil {
			return
		}
		if got, problems, err := gpt.Read(again, size); err != nil || len(problems) > 0 || !cmp.Equal(got, table) {
			t.Errorf("written again: %v, %v, %v, want %v", got, problems, err, table)
		}
	})
}

// FuzzWrite writes tables of all kinds into noise and reads them back.
func FuzzWrite(f *testing.F) {
	f.Add(uint32(10000), uint8(0), "root-x86-64", uint64(2048), uint64(2100), uint64(1)<<60, "second", uint64(40))
	f.Add(uint32(100), uint8(3), "", uint64(6), uint64(6), uint64(0), "😀", uint64(1))
	f.Fuzz(func(t *testing.T, sectors uint32, shift uint8, name string, first, last, attributes uint64, second string, gap uint64) {
		sectorSize := 512 << (shift % 4)
		size := int64(sectors%20000) * int64(sectorSize)
		table, err := gpt.New(size, sectorSize)
		if err != nil {
			return
		}
		table.DiskGUID = gpt.GUID{9}
		table.Partitions = []gpt.Partition{
			{Number: 1, Type: gpt.GUID{1}, UUID: gpt.GUID{2}, First: first, Last: last, Attributes: gpt.Attributes(attributes), Name: name},
			{Number: 7, Type: gpt.GUID{1}, UUID: gpt.GUID{3}, First: last + gap, Last: last + gap, Name: second},
		}
		image := random(int(size))
		if gpt.Write(image, size, table) != nil {
			if !bytes.Equal(image, random(int(size))) {
				t.Error("Write gives an error and writes all the same")
			}
			return
		}
		got, problems, err := gpt.Read(image, size)
		if err != nil || len(problems) > 0 {
			t.Fatalf("Read = %v, %v", problems, err)
		}
		if diff := cmp.Diff(table, got); diff != "" {
			t.Errorf("Read (-want +got):\n%s", diff)
		}
	})
}
