package gpt_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/gpt"
	"sextant/internal/golden"
)

// memory is an image in memory of a fixed size.
type memory []byte

func (m memory) ReadAt(b []byte, offset int64) (int, error) {
	if offset >= int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(b, m[offset:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (m memory) WriteAt(b []byte, offset int64) (int, error) {
	if offset < 0 || offset+int64(len(b)) > int64(len(m)) {
		return 0, fmt.Errorf("write of %d bytes at %d, outside %d", len(b), offset, len(m))
	}
	return copy(m[offset:], b), nil
}

func (m memory) Sync() error { return nil }

// random returns an image full of noise, so that a byte that the writer forgot
// shows.
func random(size int) memory {
	m := make(memory, size)
	source := rand.NewChaCha8([32]byte{1})
	if _, err := source.Read(m); err != nil {
		panic(err)
	}
	return m
}

// signed is a table like that of a signed extension: data, hash tree and
// signature from 1 MiB on.
func signed(t testing.TB, size int64, sectorSize int) *gpt.Table {
	t.Helper()
	table, err := gpt.New(size, sectorSize)
	if err != nil {
		t.Fatal(err)
	}
	table.DiskGUID = gpt.MustParseGUID("6913f4b6-6690-4a57-a202-f1b53c56dbdf")
	lba := func(offset int64) uint64 { return uint64(offset / int64(sectorSize)) }
	table.Partitions = []gpt.Partition{
		{
			Number: 1,
			Type:   gpt.MustParseGUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
			UUID:   gpt.MustParseGUID("b8f97add-e365-f0df-3917-3417794789e8"),
			First:  lba(1 << 20), Last: lba(1<<20+64<<10) - 1,
			Attributes: gpt.ReadOnly, Name: "root-x86-64",
		}, {
			Number: 2,
			Type:   gpt.MustParseGUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"),
			UUID:   gpt.MustParseGUID("342df4f3-e887-29bd-684e-9d0bb6c2584a"),
			First:  lba(1<<20 + 64<<10), Last: lba(1<<20+72<<10) - 1,
			Attributes: gpt.ReadOnly, Name: "root-x86-64-verity",
		}, {
			Number: 3,
			Type:   gpt.MustParseGUID("41092b05-9fc8-4523-994f-2def0408b176"),
			UUID:   gpt.MustParseGUID("ca977224-9a98-40c9-bef7-eae884d35446"),
			First:  lba(1<<20 + 72<<10), Last: lba(1<<20+88<<10) - 1,
			Attributes: gpt.ReadOnly, Name: "root-x86-64-verity-sig",
		},
	}
	return table
}

// signedImage writes that table into noise.
func signedImage(t testing.TB, sectorSize int) (memory, *gpt.Table) {
	t.Helper()
	image := random(int(gpt.SizeFor(1<<20+88<<10, sectorSize)))
	table := signed(t, int64(len(image)), sectorSize)
	if err := gpt.Write(image, int64(len(image)), table); err != nil {
		t.Fatal(err)
	}
	return image, table
}

func TestRoundTrip(t *testing.T) {
	for _, sectorSize := range []int{512, 1024, 2048, 4096} {
		image, want := signedImage(t, sectorSize)
		got, problems, err := gpt.Read(image, int64(len(image)))
		if err != nil || len(problems) > 0 {
			t.Errorf("Read with sectors of %d = %v, %v", sectorSize, problems, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Read with sectors of %d (-want +got):\n%s", sectorSize, diff)
		}
	}
}

func TestLayout(t *testing.T) {
	for _, test := range []struct {
		size        int64
		sectorSize  int
		first, last uint64
	}{ // as sfdisk 2.38 says for empty disks of these sizes
		{4 << 20, 512, 34, 8158},
		{4<<20 + 4096, 512, 2048, 8166},
		{4 << 20, 4096, 6, 1018},
		{4<<20 + 4096, 4096, 256, 1019},
	} {
		table, err := gpt.New(test.size, test.sectorSize)
		if err != nil || table.FirstUsable != test.first || table.LastUsable != test.last {
			t.Errorf("New(%d, %d) = %v, %v, want %d-%d", test.size, test.sectorSize, table, err, test.first, test.last)
		}
	}
	for _, sectorSize := range []int{512, 1024, 2048, 4096} {
		size := gpt.SizeFor(1<<20+1, sectorSize)
		table, err := gpt.New(size, sectorSize)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := table.LastUsable, uint64(1<<20/sectorSize); got != want {
			t.Errorf("last usable LBA of an image of SizeFor(1 MiB + 1, %d) = %d, want %d", sectorSize, got, want)
		}
		if _, err := gpt.New(-int64(sectorSize), sectorSize); err == nil {
			t.Errorf("New(%d, %d) gives no error", -sectorSize, sectorSize)
		}
		for sectors := range int64(80) {
			image := make(memory, sectors*int64(sectorSize))
			table, err := gpt.New(int64(len(image)), sectorSize)
			if err != nil {
				continue
			}
			if err := gpt.Write(image, int64(len(image)), table); err != nil {
				t.Errorf("Write to %d sectors of %d = %v", sectors, sectorSize, err)
			}
			if _, problems, err := gpt.Read(image, int64(len(image))); err != nil || len(problems) > 0 {
				t.Errorf("Read of %d sectors of %d = %v, %v", sectors, sectorSize, problems, err)
			}
		}
	}
}

func TestWriteTouchesOnlyItsSectors(t *testing.T) {
	image, table := signedImage(t, 512)
	before := random(len(image))
	inside := table.FirstUsable * 512
	outside := (table.LastUsable + 1) * 512
	if !bytes.Equal(image[inside:outside], before[inside:outside]) {
		t.Error("Write changed bytes of the usable range")
	}
}

func TestWriteRefuses(t *testing.T) {
	const size = 4 << 20
	for name, change := range map[string]func(*gpt.Table){
		"overlap":             func(t *gpt.Table) { t.Partitions[1].First-- },
		"inside another":      func(t *gpt.Table) { t.Partitions[2].First, t.Partitions[2].Last = 2050, 2051 },
		"first behind last":   func(t *gpt.Table) { t.Partitions[0].First, t.Partitions[0].Last = 2049, 2048 },
		"before usable":       func(t *gpt.Table) { t.Partitions[0].First = 33 },
		"behind usable":       func(t *gpt.Table) { t.Partitions[2].Last = t.LastUsable + 1 },
		"no type":             func(t *gpt.Table) { t.Partitions[0].Type = gpt.GUID{} },
		"no UUID":             func(t *gpt.Table) { t.Partitions[0].UUID = gpt.GUID{} },
		"same UUID":           func(t *gpt.Table) { t.Partitions[0].UUID = t.Partitions[1].UUID },
		"same number":         func(t *gpt.Table) { t.Partitions[0].Number = 2 },
		"number too large":    func(t *gpt.Table) { t.Partitions[2].Number = 129 },
		"negative number":     func(t *gpt.Table) { t.Partitions[2].Number = -1 },
		"name too long":       func(t *gpt.Table) { t.Partitions[0].Name = strings.Repeat("x", 37) },
		"surrogates too long": func(t *gpt.Table) { t.Partitions[0].Name = strings.Repeat("😀", 19) },
		"name with NUL":       func(t *gpt.Table) { t.Partitions[0].Name = "a\x00b" },
		"name not UTF-8":      func(t *gpt.Table) { t.Partitions[0].Name = "\xff" },
		"sector size":         func(t *gpt.Table) { t.SectorSize = 8192 },
		"too few entries":     func(t *gpt.Table) { t.Entries = 127 },
		"too many entries":    func(t *gpt.Table) { t.Entries = 1 << 20 },
		"no room for entries": func(t *gpt.Table) { t.Entries = 132 },
		"table in usable":     func(t *gpt.Table) { t.FirstUsable = 33 },
		"backup in usable":    func(t *gpt.Table) { t.LastUsable++ },
		"usable range empty":  func(t *gpt.Table) { t.FirstUsable = t.LastUsable + 1 },
	} {
		image := make(memory, size)
		table := signed(t, size, 512)
		change(table)
		if err := gpt.Write(image, size, table); err == nil {
			t.Errorf("Write with %s gives no error", name)
		}
		if slices.ContainsFunc(image, func(b byte) bool { return b != 0 }) {
			t.Errorf("Write with %s gives an error and writes all the same", name)
		}
	}
	if err := gpt.Write(make(memory, size+100), size+100, signed(t, size, 512)); err == nil {
		t.Error("Write to an image with half a sector gives no error")
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "a", strings.Repeat("x", 36), strings.Repeat("😀", 18), "grüße 漢字", "\ufffd"} {
		const size = 4 << 20
		image := random(size)
		table := signed(t, size, 512)
		table.Partitions[0].Name = name
		if err := gpt.Write(image, size, table); err != nil {
			t.Errorf("Write with name %q = %v", name, err)
			continue
		}
		got, problems, err := gpt.Read(image, size)
		if err != nil || len(problems) > 0 || got.Partitions[0].Name != name {
			t.Errorf("name %q comes back as %v, %v, %v", name, got, problems, err)
		}
	}
}

func TestLargeTable(t *testing.T) {
	const size = 64 << 20
	table, err := gpt.New(size, 512)
	if err != nil {
		t.Fatal(err)
	}
	table.Entries, table.FirstUsable, table.LastUsable = 16384, 8192, size/512-4098
	for i := range 16384 {
		table.Partitions = append(table.Partitions, gpt.Partition{
			Number: i + 1, Type: gpt.GUID{1}, UUID: gpt.GUID{2, byte(i), byte(i >> 8)},
			First: 8192 + uint64(i), Last: 8192 + uint64(i), Name: fmt.Sprint("p", i),
		})
	}
	image := make(memory, size)
	if err := gpt.Write(image, size, table); err != nil {
		t.Fatal(err)
	}
	got, problems, err := gpt.Read(image, size)
	if err != nil || len(problems) > 0 {
		t.Fatalf("Read = %v, %v", problems, err)
	}
	if diff := cmp.Diff(table, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestGUID(t *testing.T) {
	const text = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
	for _, s := range []string{text, strings.ToUpper(text), strings.ReplaceAll(text, "-", "")} {
		if got, err := gpt.ParseGUID(s); err != nil || got.String() != text {
			t.Errorf("ParseGUID(%q) = %s, %v, want %s", s, got, err, text)
		}
	}
	for _, s := range []string{"", "x", text[1:], text + "0", strings.Replace(text, "4", "g", 1), strings.Replace(text, "-", "0", 1), "{" + text + "}"} {
		if got, err := gpt.ParseGUID(s); err == nil {
			t.Errorf("ParseGUID(%q) = %s, want an error", s, got)
		}
	}
}

func TestAttributes(t *testing.T) {
	for a, want := range map[gpt.Attributes]string{
		0:                                      "",
		gpt.ReadOnly:                           "read-only",
		gpt.GrowFS | gpt.NoAuto | gpt.Required: "required,growfs,no-auto",
		1 << 48:                                "bit-48",
	} {
		if got := a.String(); got != want {
			t.Errorf("Attributes(%#x).String() = %q, want %q", uint64(a), got, want)
		}
	}
}

// TestDescribe compares the annotated bytes of a whole table with a golden
// file. Run with -update after a change and review the difference.
func TestDescribe(t *testing.T) {
	for _, sectorSize := range []int{512, 4096} {
		image, _ := signedImage(t, sectorSize)
		var got bytes.Buffer
		if err := gpt.Describe(&got, image, int64(len(image))); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, fmt.Sprintf("testdata/signed-%d.txt", sectorSize), got.String())
	}
	if err := gpt.Describe(io.Discard, make(memory, 1<<20), 1<<20); err == nil {
		t.Error("Describe of an empty image gives no error")
	}
}
