package vhdx_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/vhdx"
	"sextant/internal/imagetest/virtual"
)

// The places of what Create makes.
const (
	header1    = 64 << 10
	header2    = 128 << 10
	regions1   = 192 << 10
	regions2   = 256 << 10
	logAt      = 1 << 20
	metadataAt = 2 << 20
	itemsAt    = metadataAt + 64<<10
	batAt      = 3 << 20
)

// small returns a disk of 5 MiB whose first and last sectors hold data.
func small(t testing.TB, opts vhdx.Options) *virtual.Memory {
	t.Helper()
	m := &virtual.Memory{}
	w, err := vhdx.Create(m, 5<<20, opts)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 5<<20 - 512} {
		if _, err := w.WriteAt(virtual.Noise(512, byte(at)), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

// seal makes the checksum of a structure right again.
func seal(b []byte) {
	clear(b[4:8])
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

// sealAll makes the checksums of all headers and region tables right.
func sealAll(m *virtual.Memory) {
	for _, at := range []int{header1, header2} {
		seal(m.Bytes[at : at+4096])
	}
	for _, at := range []int{regions1, regions2} {
		seal(m.Bytes[at : at+64<<10])
	}
}

func openAll(t testing.TB, m *virtual.Memory) error {
	t.Helper()
	d, err := vhdx.Open(m, m.Size())
	if err != nil {
		return err
	}
	return virtual.ReadAll(t, d, 8<<20)
}

// lie is a number that is put into a good disk, and what reading must say.
type lie struct {
	name  string
	at    int
	value any
	kind  error
	text  string
}

func (l lie) check(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, l.kind) || l.kind != nil && !strings.Contains(err.Error(), l.text) {
		t.Errorf("%s: %v, want %v: %s", l.name, err, l.kind, l.text)
	}
}

// TestHeaderLies puts a wrong number into each field of the header that counts.
func TestHeaderLies(t *testing.T) {
	for _, l := range []lie{
		{"sequence number", 8, uint64(0), nil, ""}, // the other one counts then
		{"write GUIDs", 16, uint64(7), nil, ""},
		{"log in use", 48, uint64(7), fault.ErrCorrupt, "no valid entry"},
		{"log version", 64, uint16(1), fault.ErrUnsupported, "log of version 1"},
		{"version", 66, uint16(2), fault.ErrUnsupported, "VHDX of version 2"},
		{"log length", 68, uint32(4096), fault.ErrCorrupt, "whole MiB"},
		{"log too long", 68, uint32(1 << 31), fault.ErrCorrupt, "log: bytes"},
		{"log on the regions", 68, uint32(2 << 20), fault.ErrCorrupt, "overlap"},
		{"log on the header", 72, uint64(0), fault.ErrCorrupt, "behind the first"},
		{"log aslant", 72, uint64(1<<20 + 4096), fault.ErrCorrupt, "whole MiB"},
		{"log outside", 72, uint64(1 << 40), fault.ErrCorrupt, "log: bytes"},
		{"log far outside", 72, uint64(1<<64 - 1<<20), fault.ErrCorrupt, "log: bytes"},
		{"reserved", 80, uint64(1), nil, ""},
	} {
		m := small(t, vhdx.Options{})
		m.Put(binary.LittleEndian, header2+l.at, l.value)
		sealAll(m)
		l.check(t, openAll(t, m))
	}
}

// TestDamagedCopies damages headers and region tables.
func TestDamagedCopies(t *testing.T) {
	for name, test := range map[string]struct {
		damage func(b []byte)
		kind   error
	}{
		"header 1":           {func(b []byte) { b[header1+100]++ }, nil},
		"header 2":           {func(b []byte) { b[header2+100]++ }, nil},
		"headers":            {func(b []byte) { b[header1+100]++; b[header2]++ }, fault.ErrCorrupt},
		"region table 1":     {func(b []byte) { b[regions1+100]++ }, nil},
		"region table 2":     {func(b []byte) { b[regions2+100]++ }, nil},
		"region tables":      {func(b []byte) { b[regions1+100]++; b[regions2]++ }, fault.ErrCorrupt},
		"file identifier":    {func(b []byte) { b[0]++ }, fault.ErrCorrupt},
		"creator":            {func(b []byte) { b[8]++ }, nil},
		"same headers":       {func(b []byte) { copy(b[header2:header2+4096], b[header1:]) }, nil},
		"same sequence":      {func(b []byte) { b[header2+8] = 1; b[header2+16]++; seal(b[header2 : header2+4096]) }, fault.ErrCorrupt},
		"metadata signature": {func(b []byte) { b[metadataAt]++ }, fault.ErrCorrupt},
	} {
		m := small(t, vhdx.Options{})
		test.damage(m.Bytes)
		if err := openAll(t, m); !errors.Is(err, test.kind) {
			t.Errorf("damaged %s: %v, want %v", name, err, test.kind)
		}
	}
}

// TestRegionLies puts wrong numbers into the region table.
func TestRegionLies(t *testing.T) {
	for _, l := range []lie{
		{"count", 8, uint32(2048), fault.ErrCorrupt, "2048 entries"},
		{"no regions", 8, uint32(0), fault.ErrCorrupt, "no region"},
		{"one region", 8, uint32(1), fault.ErrCorrupt, "no region"},
		{"unknown required", 16, uint32(1), fault.ErrUnsupported, "required region"},
		{"BAT on the header", 32, uint64(0), fault.ErrCorrupt, "whole MiB"},
		{"BAT aslant", 32, uint64(3<<20 + 512), fault.ErrCorrupt, "whole MiB"},
		{"BAT on the log", 32, uint64(1 << 20), fault.ErrCorrupt, "overlap"},
		{"BAT on the metadata", 32, uint64(2 << 20), fault.ErrCorrupt, "overlap"},
		{"BAT outside", 32, uint64(1 << 40), fault.ErrCorrupt, "region 1"},
		{"BAT far outside", 32, uint64(1<<64 - 1<<20), fault.ErrCorrupt, "region 1"},
		{"BAT empty", 40, uint32(0), fault.ErrCorrupt, "whole MiB"},
		{"BAT over the blocks", 40, uint32(2 << 20), fault.ErrCorrupt, "overlap"},
		{"BAT twice", 48, uint64(0x420 << 32), fault.ErrUnsupported, "required region"},
	} {
		m := small(t, vhdx.Options{})
		m.Put(binary.LittleEndian, regions1+l.at, l.value)
		sealAll(m)
		l.check(t, openAll(t, m))
	}
	m := small(t, vhdx.Options{})
	copy(m.Bytes[regions1+48:], m.Bytes[regions1+16:regions1+32])
	sealAll(m)
	lie{"twice", 0, nil, fault.ErrCorrupt, "twice"}.check(t, openAll(t, m))
}

// TestMetadataLies puts wrong numbers into the metadata table and its items.
func TestMetadataLies(t *testing.T) {
	for _, l := range []lie{
		{"count", metadataAt + 10, uint16(2048), fault.ErrCorrupt, "no metadata table"},
		{"no items", metadataAt + 10, uint16(0), fault.ErrCorrupt, "file parameters"},
		{"three items", metadataAt + 10, uint16(3), fault.ErrCorrupt, "logical sector size"},
		{"unknown required", metadataAt + 32, uint32(1), fault.ErrUnsupported, "required metadata item"},
		{"unknown", metadataAt + 32 + 24, uint32(1), fault.ErrCorrupt, "file parameters"},
		{"offset in the table", metadataAt + 32 + 16, uint32(32), fault.ErrCorrupt, "of the metadata"},
		{"offset outside", metadataAt + 32 + 16, uint32(1<<20 - 4), fault.ErrCorrupt, "file parameters"},
		{"length", metadataAt + 32 + 20, uint32(4), fault.ErrCorrupt, "4 bytes"},
		{"small blocks", itemsAt, uint32(512 << 10), fault.ErrCorrupt, "blocks of 524288"},
		{"large blocks", itemsAt, uint32(512 << 20), fault.ErrCorrupt, "blocks of"},
		{"odd blocks", itemsAt, uint32(3 << 20), fault.ErrCorrupt, "blocks of"},
		{"other blocks", itemsAt, uint32(4 << 20), fault.ErrCorrupt, "block 0: bytes"},
		{"parent", itemsAt + 4, uint32(2), fault.ErrUnsupported, "parent"},
		{"size", itemsAt + 8, uint64(1 << 40), fault.ErrCorrupt, "BAT of 1048576 bytes is too short"},
		{"odd size", itemsAt + 8, uint64(5<<20 - 1), fault.ErrCorrupt, "no whole sectors"},
		{"size beyond all", itemsAt + 8, uint64(65 << 40), fault.ErrCorrupt, "at most"},
		{"negative size", itemsAt + 8, uint64(1<<64 - 512), fault.ErrCorrupt, "at most"},
		{"sectors", itemsAt + 32, uint32(1024), fault.ErrCorrupt, "sectors of 1024"},
		{"block in the header", batAt, uint64(6), fault.ErrCorrupt, "overlap"},
		{"block on the BAT", batAt, uint64(3<<20 | 6), fault.ErrCorrupt, "overlap"},
		{"block outside", batAt, uint64(1<<40 | 6), fault.ErrCorrupt, "block 0: bytes"},
		{"block far outside", batAt, uint64(1<<64 - 1<<20 | 6), fault.ErrCorrupt, "block 0: bytes"},
		{"reserved bits", batAt, uint64(4<<20 | 8 | 6), fault.ErrCorrupt, "reserved bits"},
		{"partly present", batAt, uint64(4<<20 | 7), fault.ErrCorrupt, "state 7"},
		{"unknown state", batAt, uint64(4), fault.ErrCorrupt, "state 4"},
		{"undefined", batAt, uint64(1), nil, ""},
		{"zero", batAt, uint64(2), nil, ""},
		{"unmapped", batAt, uint64(3), nil, ""},
		{"unmapped before 1.0", batAt, uint64(5), nil, ""},
	} {
		m := small(t, vhdx.Options{})
		m.Put(binary.LittleEndian, l.at, l.value)
		l.check(t, openAll(t, m))
	}
	m := small(t, vhdx.Options{})
	copy(m.Bytes[metadataAt+64:], m.Bytes[metadataAt+32:metadataAt+48])
	lie{"twice", 0, nil, fault.ErrCorrupt, "twice"}.check(t, openAll(t, m))
}

// TestCutFiles cuts a file off in each 64 KiB.
func TestCutFiles(t *testing.T) {
	whole := small(t, vhdx.Options{}).Bytes
	for cut := 0; cut < len(whole); cut += 64 << 10 {
		if err := openAll(t, &virtual.Memory{Bytes: whole[:cut]}); err == nil {
			t.Errorf("cut at %d of %d: no error", cut, len(whole))
		}
	}
}

// TestIdentity checks that the ids come from the caller, each for its use, and
// that nothing else tells two disks of the same writes apart.
func TestIdentity(t *testing.T) {
	var asked []string
	opts := vhdx.Options{Identity: func(what string) vhdx.GUID {
		asked = append(asked, what)
		return vhdx.GUID([]byte("0123456789abcde" + what[:1]))
	}}
	a := small(t, opts)
	got := strings.Join(asked, " ")
	if !strings.Contains(got, "disk") || !strings.Contains(got, "content") || !strings.Contains(got, "file") {
		t.Errorf("asked for the ids of %s", got)
	}
	if b := small(t, opts); !bytes.Equal(a.Bytes, b.Bytes) {
		t.Error("the same writes give other bytes")
	}
	if id := a.Bytes[header1+32 : header1+48]; string(id) != "3210547689abcdec" {
		t.Errorf("DataWriteGuid is %q", id)
	}
}

// TestWriterRefuses has what cannot be made.
func TestWriterRefuses(t *testing.T) {
	for _, test := range []struct {
		size int64
		opts vhdx.Options
	}{
		{-512, vhdx.Options{}}, {1000, vhdx.Options{}}, {512, vhdx.Options{SectorSize: 4096}}, {512, vhdx.Options{SectorSize: 1024}},
		{512, vhdx.Options{BlockSize: 3 << 20}}, {512, vhdx.Options{BlockSize: 512 << 20}}, {vhdx.MaxSize + 512, vhdx.Options{}},
	} {
		if _, err := vhdx.Create(&virtual.Memory{}, test.size, test.opts); err == nil {
			t.Errorf("Create of %d bytes, %+v, gives no error", test.size, test.opts)
		}
	}
}
