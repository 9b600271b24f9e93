package mbr_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/mbr"
	"sextant/internal/span"
	"sextant/internal/testenv"
)

// TestLikeSfdisk compares with what sfdisk wrote and shows.
func TestLikeSfdisk(t *testing.T) {
	testenv.Require(t, "sfdisk")
	const sectors = 1 << 20
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, sectors*512); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sfdisk", "-q", path)
	cmd.Stdin = strings.NewReader("label: dos\nlabel-id: 0x1234abcd\n,64M,ef,*\n,64M\n,,E\n,32M\n,16M\n,8M\n,4M\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := mbr.Read(f, sectors*512, 512)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range table.Partitions {
		got = append(got, fmt.Sprintf("%d %d %d %x %v", p.Number, p.Span.Offset/512, p.Span.Length/512, uint8(p.Type), p.Active))
	}
	if diff := cmp.Diff(dumped(t, path), got); diff != "" {
		t.Errorf("Read (-sfdisk +got):\n%s", diff)
	}
	if uuid := table.PartUUID(table.Partitions[2]); uuid != "1234abcd-05" {
		t.Errorf("PartUUID = %s, want 1234abcd-05", uuid)
	}
}

// dumped returns what sfdisk says, without the extended partition.
func dumped(t *testing.T, path string) (list []string) {
	t.Helper()
	out, err := exec.Command("sfdisk", "-d", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)disk(\d+) : start= +(\d+), size= +(\d+), type=(\w+)(, bootable)?$`)
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		if m[4] != "5" && m[4] != "f" {
			list = append(list, fmt.Sprintf("%s %s %s %s %v", m[1], m[2], m[3], m[4], m[5] != ""))
		}
	}
	if len(list) != 6 {
		t.Fatalf("sfdisk shows %d partitions, want 6:\n%s", len(list), out)
	}
	return list
}

// build writes records into a disk of 100 sectors.
func build(records map[int][]entry) []byte {
	disk := make([]byte, 100*512)
	for sector, entries := range records {
		b := disk[sector*512:][:512]
		b[510], b[511] = 0x55, 0xaa
		for i, e := range entries {
			at := 446 + 16*i
			b[at+4] = e.kind
			binary.LittleEndian.PutUint32(b[at+8:], e.first)
			binary.LittleEndian.PutUint32(b[at+12:], e.sectors)
		}
	}
	return disk
}

type entry struct {
	kind           byte
	first, sectors uint32
}

func TestCases(t *testing.T) {
	for name, c := range map[string]struct {
		records map[int][]entry
		want    string
	}{
		"one":                   {map[int][]entry{0: {{0x83, 8, 10}}}, ""},
		"no entries":            {map[int][]entry{0: nil}, mbr.ErrNoTable.Error()},
		"protective":            {map[int][]entry{0: {{0xee, 1, 99}}}, mbr.ErrNoTable.Error()},
		"leaves the disk":       {map[int][]entry{0: {{0x83, 90, 11}}}, "partition 1: bytes 46080-51712 lie outside 0-51200: corrupt"},
		"chain ends":            {map[int][]entry{0: {{5, 10, 50}}, 10: {{0x83, 1, 2}, {5, 5, 5}}, 15: {{0x83, 1, 2}}}, ""},
		"chain without table":   {map[int][]entry{0: {{0x83, 1, 1}, {5, 10, 50}}, 10: {{0x83, 1, 2}, {5, 5, 5}}}, ""},
		"chain in a circle":     {map[int][]entry{0: {{5, 10, 50}}, 10: {{0x83, 1, 2}, {5, 0, 5}}}, "more than 251 logical partitions: corrupt"},
		"chain leaves the disk": {map[int][]entry{0: {{5, 10, 50}}, 10: {{0x83, 1, 2}, {5, 95, 5}}}, "partition table: bytes 53760-54272 lie outside 0-51200: corrupt"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := build(c.records)
			_, err := mbr.Read(bytes.NewReader(disk), int64(len(disk)), 512)
			if got := fmt.Sprint(err); got != c.want && !(err == nil && c.want == "") {
				t.Errorf("Read = %v, want %q", err, c.want)
			}
		})
	}
}

// TestSectorSize reads the same table with sectors of 4096 bytes.
func TestSectorSize(t *testing.T) {
	disk := append(build(map[int][]entry{0: {{0x83, 2, 3}}}), make([]byte, 1<<20)...)
	table, err := mbr.Read(bytes.NewReader(disk), int64(len(disk)), 4096)
	if err != nil {
		t.Fatal(err)
	}
	want := span.Span{Offset: 8192, Length: 12288}
	if got := table.Partitions[0].Span; got != want {
		t.Errorf("partition at %v, want %v", got, want)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(build(map[int][]entry{0: {{5, 10, 50}, {0x83, 1, 1}}, 10: {{0x83, 1, 2}, {5, 5, 5}}, 15: {{0x83, 1, 2}}}))
	f.Fuzz(func(t *testing.T, disk []byte) {
		table, err := mbr.Read(bytes.NewReader(disk), int64(len(disk)), 512)
		if err != nil {
			if table != nil {
				t.Errorf("Read = %v with %v", table, err)
			}
			return
		}
		for _, p := range table.Partitions {
			if err := p.Span.Within(int64(len(disk))); err != nil {
				t.Errorf("partition %d: %v", p.Number, err)
			}
		}
		if errors.Is(err, mbr.ErrNoTable) {
			t.Error("a table and ErrNoTable")
		}
	})
}
