package mbr_test

import (
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/mbr"
	"sextant/internal/imagetest/virtual"
	"sextant/internal/testenv"
)

// sfdisk makes a disk of 64 MiB with a table and returns it.
func sfdisk(t testing.TB, script string, args ...string) *virtual.Memory {
	t.Helper()
	testenv.Require(t, "sfdisk")
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 64<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", append(args, name)...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return &virtual.Memory{Bytes: b}
}

const withLogical = `label: dos
label-id: 0x12345678
start=2048, size=8192, type=c, bootable
start=10240, size=2048, type=82
start=16384, size=100000, type=f
start=18432, size=4096, type=83
start=24576, size=4096, type=8e
start=30720, size=4096, type=fd
`

func TestReadsSfdisk(t *testing.T) {
	m := sfdisk(t, withLogical)
	got, err := mbr.Read(m, m.Size(), 512)
	if err != nil {
		t.Fatal(err)
	}
	want := &mbr.Table{SectorSize: 512, Signature: 0x12345678, Partitions: []mbr.Partition{
		{Number: 1, Type: 0x0c, Bootable: true, First: 2048, Sectors: 8192},
		{Number: 2, Type: mbr.LinuxSwap, First: 10240, Sectors: 2048},
		{Number: 3, Type: mbr.ExtendedLBA, First: 16384, Sectors: 100000},
		{Number: 5, Type: mbr.Linux, First: 18432, Sectors: 4096},
		{Number: 6, Type: mbr.LinuxLVM, First: 24576, Sectors: 4096},
		{Number: 7, Type: mbr.LinuxRAID, First: 30720, Sectors: 4096},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
	if s := got.Span(got.Partitions[3]); s.Offset != 18432*512 || s.Length != 4096*512 {
		t.Errorf("Span = %s", s)
	}
	if uuid := got.PartUUID(got.Partitions[3]); uuid != "12345678-05" {
		t.Errorf("PartUUID = %s", uuid)
	}
}

func TestProtective(t *testing.T) {
	m := sfdisk(t, "label: gpt\nstart=2048, size=8192\n")
	got, err := mbr.Read(m, m.Size(), 512)
	if err != nil || !got.Protective || len(got.Partitions) > 0 {
		t.Errorf("Read = %+v, %v, want a protective MBR", got, err)
	}
}

// TestNoTable has boot sectors of file systems, and nothing.
func TestNoTable(t *testing.T) {
	testenv.Require(t, "mkfs.vfat")
	name := filepath.Join(t.TempDir(), "fat")
	virtual.Run(t, "mkfs.vfat", "-C", name, "2048")
	fat, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, b := range map[string][]byte{"FAT": fat, "nothing": nil, "a sector of zeros": make([]byte, 512), "an empty table": append(make([]byte, 510), 0x55, 0xaa)} {
		m := &virtual.Memory{Bytes: b}
		if _, err := mbr.Read(m, m.Size(), 512); !errors.Is(err, mbr.ErrNoTable) {
			t.Errorf("%s: Read = %v, want %v", what, err, mbr.ErrNoTable)
		}
	}
}

// TestLies puts wrong numbers into a good table.
func TestLies(t *testing.T) {
	good := sfdisk(t, withLogical)
	const first, second, extended, ebr1, ebr2 = 446, 462, 478, 16384*512 + 446, 22528*512 + 446
	for _, l := range []struct {
		name  string
		at    int
		value any
		text  string
	}{
		{"starts on the table", first + 8, uint32(0), "on the table"},
		{"outside", first + 8, uint32(1 << 30), "outside"},
		{"too long", first + 12, uint32(1<<32 - 1), "outside"},
		{"overlap", second + 8, uint32(4096), "partition 2 overlaps partition 1"},
		{"extended over the first", extended + 8, uint32(4096), "overlaps"},
		{"extended empty", extended + 8, uint32(17000), ""},
		{"logical outside its extended one", ebr1 + 12, uint32(110000), "partition 5"},
		{"logical far outside", ebr1 + 8, uint32(1<<32 - 1), "partition 5"},
		{"logical overlap", ebr1 + 12, uint32(10000), "overlaps"},
		{"chain before the extended one", ebr1 + 16 + 8, uint32(1<<32 - 16384), "outside the extended"},
		{"chain outside", ebr1 + 16 + 8, uint32(200000), "outside the extended"},
		{"chain to nowhere", ebr1 + 16 + 8, uint32(50000), "logical partition 6"},
		{"ring", ebr2 + 16 + 8, uint32(0), ""},
		{"boot indicator", first, uint8(1), "no MBR"},
		{"signature", 510, uint8(0), "no MBR"},
	} {
		m := &virtual.Memory{Bytes: append([]byte(nil), good.Bytes...)}
		m.Put(binary.LittleEndian, l.at, l.value)
		got, err := mbr.Read(m, m.Size(), 512)
		switch {
		case l.name == "ring":
			if !errors.Is(err, fault.ErrCorrupt) {
				t.Errorf("%s: Read = %v", l.name, err)
			}
		case l.text == "":
			if err != nil || len(got.Partitions) != 3 {
				t.Errorf("%s: Read = %+v, %v, want three partitions", l.name, got, err)
			}
		case !errors.Is(err, fault.ErrCorrupt) || !strings.Contains(err.Error(), l.text):
			t.Errorf("%s: Read = %v, want %s", l.name, err, l.text)
		}
	}
	m := &virtual.Memory{Bytes: append([]byte(nil), good.Bytes...)}
	clear(m.Bytes[ebr1 : ebr1+16]) // a ring without partitions
	m.Put(binary.LittleEndian, ebr1+16+8, uint32(0))
	if _, err := mbr.Read(m, m.Size(), 512); err == nil || !strings.Contains(err.Error(), "ring") {
		t.Errorf("a ring without partitions: Read = %v", err)
	}
}

// TestLargeSectors reads the same numbers as sectors of 4096 bytes.
func TestLargeSectors(t *testing.T) {
	m := &virtual.Memory{Bytes: make([]byte, 16<<20)}
	copy(m.Bytes[446:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0})
	copy(m.Bytes[510:], []byte{0x55, 0xaa})
	got, err := mbr.Read(m, m.Size(), 4096)
	if err != nil {
		t.Fatal(err)
	}
	if s := got.Span(got.Partitions[0]); s.Offset != 1<<20 || s.Length != 2<<20 {
		t.Errorf("Span = %s", s)
	}
	if _, err := mbr.Read(m, m.Size(), 1024); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Read with sectors of 1024 = %v", err)
	}
}

// FuzzRead reads whatever comes.
func FuzzRead(f *testing.F) {
	b := make([]byte, 4096)
	copy(b[446:], []byte{0, 0, 0, 0, 0x05, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0})
	copy(b[510:], []byte{0x55, 0xaa})
	copy(b[512+446:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0})
	copy(b[512+510:], []byte{0x55, 0xaa})
	f.Add(b, false)
	f.Fuzz(func(t *testing.T, b []byte, large bool) {
		sector := 512
		if large {
			sector = 4096
		}
		m := &virtual.Memory{Bytes: b}
		table, err := mbr.Read(m, m.Size(), sector)
		if err != nil {
			if !errors.Is(err, fault.ErrCorrupt) {
				t.Errorf("Read = %v", err)
			}
			return
		}
		for _, p := range table.Partitions {
			if err := table.Span(p).Within(m.Size()); err != nil {
				t.Errorf("partition %d: %v", p.Number, err)
			}
		}
	})
}
