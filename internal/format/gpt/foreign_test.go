package gpt_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/gpt"
	"sextant/internal/testenv"
)

// run runs a program and returns what it printed.
func run(t testing.TB, stdin string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// runWriter is run for sgdisk and sfdisk when they write. They end with sync(2),
// which waits for every file system of the machine: seconds beside other
// tests, for ever if one of them hangs. strace answers that call for them.
func runWriter(t testing.TB, stdin string, name string, args ...string) {
	t.Helper()
	testenv.Require(t, "strace")
	quiet := []string{"-f", "-qq", "-o", os.DevNull, "-e", "trace=sync", "-e", "inject=sync:retval=0", name}
	run(t, stdin, "strace", append(quiet, args...)...)
}

func writeFile(t testing.TB, image []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image.raw")
	if err := os.WriteFile(name, image, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func readFile(t testing.TB, name string) memory {
	t.Helper()
	image, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// script is what sfdisk needs to make a table itself.
func script(table *gpt.Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "label: gpt\nlabel-id: %s\n", table.DiskGUID)
	for _, p := range table.Partitions {
		fmt.Fprintf(&b, "start=%d, size=%d, type=%s, uuid=%s, name=%q, attrs=\"GUID:60\"\n",
			p.First, p.Last-p.First+1, p.Type, p.UUID, p.Name)
	}
	return b.String()
}

func TestOthersAcceptOurs(t *testing.T) {
	testenv.Require(t, "sgdisk", "sfdisk", "blkid")
	image, table := signedImage(t, 512)
	clear(image[1<<20 : 1<<20+88<<10]) // blkid may find anything in noise
	name := writeFile(t, image)
	if out := run(t, "", "sgdisk", "-v", name); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v says:\n%s", out)
	}
	if out := run(t, "", "sfdisk", "--verify", name); !strings.Contains(out, "No errors detected") {
		t.Errorf("sfdisk --verify says:\n%s", out)
	}
	if out := run(t, "", "blkid", "-p", "-s", "PTTYPE", "-s", "PTUUID", "-o", "export", name); !strings.Contains(out, "PTTYPE=gpt") || !strings.Contains(out, table.DiskGUID.String()) {
		t.Errorf("blkid -p says:\n%s", out)
	}
	dump := strings.ToLower(run(t, "", "sfdisk", "--dump", name))
	for _, p := range table.Partitions {
		for _, want := range []string{p.UUID.String(), p.Type.String(), fmt.Sprintf("name=%q", p.Name), fmt.Sprintf("start=%12d, size=%12d", p.First, p.Last-p.First+1), `attrs="guid:60"`} {
			if !strings.Contains(dump, want) {
				t.Errorf("sfdisk --dump has no %s:\n%s", want, dump)
			}
		}
	}
	if strings.Contains(dump, "corrupt") || strings.Contains(dump, "mismatch") {
		t.Errorf("sfdisk --dump warns:\n%s", dump)
	}
}

// TestSameBytesAsSfdisk has sfdisk make the same table.
func TestSameBytesAsSfdisk(t *testing.T) {
	testenv.Require(t, "sfdisk")
	for _, size := range []int64{gpt.SizeFor(1<<20+88<<10, 512), 4 << 20, 64 << 20} {
		table := signed(t, size, 512)
		ours := make(memory, size)
		if err := gpt.Write(ours, size, table); err != nil {
			t.Fatal(err)
		}
		name := writeFile(t, make([]byte, size))
		runWriter(t, script(table), "sfdisk", "--quiet", name)
		if theirs := readFile(t, name); !bytes.Equal(ours, theirs) {
			var a, b bytes.Buffer
			if gpt.Describe(&a, ours, size) == nil && gpt.Describe(&b, theirs, size) == nil {
				t.Errorf("image of %d bytes (-sfdisk +ours):\n%s", size, cmp.Diff(b.String(), a.String()))
			}
			t.Errorf("image of %d bytes differs from that of sfdisk", size)
		}
	}
}

// TestReadSgdisk reads what the other family of tools writes, with names and
// attributes that ours does not have, and a hole in the numbers.
func TestReadSgdisk(t *testing.T) {
	testenv.Require(t, "sgdisk")
	name := writeFile(t, make([]byte, 8<<20))
	runWriter(t, "", "sgdisk", "-a", "1", "-U", "01234567-89ab-cdef-0123-456789abcdef",
		"-n", "2:2048:4095", "-t", "2:0FC63DAF-8483-4772-8E79-3D69D8477DE4", "-u", "2:11111111-1111-4111-8111-111111111111", "-c", "2:grüße", "-A", "2:set:2",
		"-n", "5:34:40", "-t", "5:C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "-u", "5:55555555-5555-4555-8555-555555555555", "-c", "5:", "-A", "5:set:63",
		name)
	image := readFile(t, name)
	got, problems, err := gpt.Read(image, int64(len(image)))
	if err != nil || len(problems) > 0 {
		t.Fatalf("Read = %v, %v", problems, err)
	}
	want := &gpt.Table{
		DiskGUID:   gpt.MustParseGUID("01234567-89ab-cdef-0123-456789abcdef"),
		SectorSize: 512, FirstUsable: 34, LastUsable: 16350, Entries: 128,
		Partitions: []gpt.Partition{
			{
				Number: 2, First: 2048, Last: 4095, Name: "grüße", Attributes: gpt.LegacyBoot,
				Type: gpt.MustParseGUID("0FC63DAF-8483-4772-8E79-3D69D8477DE4"), UUID: gpt.MustParseGUID("11111111-1111-4111-8111-111111111111"),
			}, {
				Number: 5, First: 34, Last: 40, Attributes: gpt.NoAuto,
				Type: gpt.MustParseGUID("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"), UUID: gpt.MustParseGUID("55555555-5555-4555-8555-555555555555"),
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
	runWriter(t, "", "sgdisk", "-s", name) // sorts: 5 becomes 1
	image = readFile(t, name)
	if got, _, err := gpt.Read(image, int64(len(image))); err != nil || got.Partitions[0].Number != 1 {
		t.Errorf("Read after sorting = %v, %v", got, err)
	}
}

// TestSectorSizes attaches images with every sector size to a loop device and
// compares what libblkid, which systemd uses, sgdisk and sfdisk say about it.
func TestSectorSizes(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "losetup", "sgdisk", "sfdisk", "partx")
	for _, sectorSize := range []int{512, 1024, 2048, 4096} {
		image, table := signedImage(t, sectorSize)
		device := loopDevice(t, writeFile(t, image), sectorSize)
		if out := run(t, "", "sgdisk", "-v", device); !strings.Contains(out, "No problems found") {
			t.Errorf("sectors of %d: sgdisk -v says:\n%s", sectorSize, out)
		}
		if out := run(t, "", "sfdisk", "--verify", device); !strings.Contains(out, "No errors detected") {
			t.Errorf("sectors of %d: sfdisk --verify says:\n%s", sectorSize, out)
		}
		got := run(t, "", "partx", "--raw", "--noheadings", "--output", "NR,START,SECTORS,UUID,TYPE,NAME", device)
		var want strings.Builder
		for _, p := range table.Partitions {
			span := table.Span(p) // partx counts in 512 bytes
			fmt.Fprintln(&want, p.Number, span.Offset/512, span.Length/512, p.UUID, p.Type, p.Name)
		}
		if diff := cmp.Diff(want.String(), got); diff != "" {
			t.Errorf("sectors of %d: partx (-want +got):\n%s", sectorSize, diff)
		}
	}
}

// loopDevice attaches a file until the end of the test.
func loopDevice(t *testing.T, name string, sectorSize int) string {
	t.Helper()
	out, err := exec.Command("losetup", "--find", "--show", "--read-only", fmt.Sprint("--sector-size=", sectorSize), name).CombinedOutput()
	if err != nil {
		testenv.Missing(t, "loop", fmt.Sprintf("no loop device with sectors of %d: %s", sectorSize, out))
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { run(t, "", "losetup", "--detach", device) })
	return device
}
