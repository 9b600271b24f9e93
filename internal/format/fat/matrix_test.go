package fat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/fat"
	"sextant/internal/imagetest"
	"sextant/internal/tree"
)

// shapes are file systems as mkfs.fat makes them: size in KiB, options, what it
// has to be taken for.
var shapes = []struct {
	kib  int64
	args string
	bits fat.Bits
}{
	{360, "", 12},
	{1440, "", 12},
	{2000, "-F 12 -s 1", 12},
	{8 << 10, "", 12},
	{8 << 10, "-F 12 -s 8 -r 512", 12},
	{8 << 10, "-F 16 -s 2 -f 1", 16},
	{33 << 10, "-F 32 -s 1", 32},
	{64 << 10, "", 16},
	{64 << 10, "-F 32", 32},
	{64 << 10, "-F 32 -f 1 -R 8", 32},
	{64 << 10, "-F 32 -f 2 -R 64 -s 1", 32},
	{64 << 10, "-F 32 -a -h 2048 -D 0x80 -n ESP", 32},
	{64 << 10, "-F 16 -a -R 3 -r 16", 16},
	{64 << 10, "-F 32 --mbr=yes", 32},
	{64 << 10, "-S 1024", 16},
	{160 << 10, "-S 2048 -F 32 -s 1", 32},
	{300 << 10, "-S 4096 -F 32 -s 1", 32},
	{32 << 10, "-S 4096 -F 12 -s 4", 12},
	{2300 << 10, "-F 32 -s 64 -b 12", 32},
	{4600 << 10, "-F 32 -s 128", 32},
	{512 << 10, "-S 4096 -F 16 -s 16", 16},
	{512 << 10, "-S 4096 -F 12 -s 128", 12}, // clusters of 512 KiB
	{1 << 20, "", 32},
	{3 << 20, "-F 32 -s 8", 32},
}

// loaders is about what lies on an EFI system partition.
func loaders(t testing.TB, e *fat.Editor, scale int) {
	t.Helper()
	for _, d := range []string{"EFI", "EFI/BOOT", "EFI/systemd", "loader", "loader/entries", "EFI/Linux"} {
		must(t, e.Put(d, dir()))
	}
	must(t,
		e.Put("EFI/BOOT/BOOTX64.EFI", &tree.Inode{Mode: tree.TypeRegular | 0o755, ModTime: when, Content: imagetest.Noise{Seed: 1, Length: int64(scale)*3 + 1}}),
		e.Put("EFI/systemd/systemd-bootx64.efi", &tree.Inode{Mode: tree.TypeRegular | 0o755, ModTime: when, Content: imagetest.Noise{Seed: 2, Length: int64(scale) * 2}}),
		e.Put("loader/loader.conf", file("timeout 3\n")),
		e.Put("loader/entries.srel", file("type1\n")),
		e.Put("loader/empty", file("")),
		e.Put("EFI/Linux/Ünïcode – 日本語.efi", file("unicode")),
		e.Put("EFI/Linux/"+strings.Repeat("long", 62)+".efi", file("long")),
	)
	for n := range 25 {
		must(t, e.Put(fmt.Sprintf("loader/entries/debian-6.12.%d.conf", n), file(fmt.Sprintf("title %d\n", n))))
	}
	must(t,
		e.Remove("loader/entries/debian-6.12.7.conf"),
		e.Put("loader/entries/debian-6.12.8.conf", file("replaced\n"+strings.Repeat("x", 2000))),
		e.RemoveAll("EFI/systemd"),
		e.RemoveAll("nothing"),
		e.Put("README.TXT", file("short name only")),
	)
}

// TestMatrix edits file systems of all shapes. Judges are fsck.fat and mtools,
// which then edit the same file system further.
func TestMatrix(t *testing.T) {
	for _, s := range shapes {
		t.Run(fmt.Sprintf("%dK %s", s.kib, s.args), func(t *testing.T) {
			path := mkfs(t, s.kib, strings.Fields(s.args)...)
			if got := openFS(t, path).Geometry().Bits; got != s.bits {
				t.Fatalf("taken for %s, want %s", got, s.bits)
			}
			sound(t, path)
			e := edit(t, path)
			loaders(t, e, int(min(s.kib<<10/20, 1<<20)))
			must(t, e.Commit())
			checkImage(t, path)
			mtoolsGoOn(t, path)
			checkImage(t, path)
			must(t, fstest.TestFS(openFS(t, path), "EFI/BOOT/BOOTX64.EFI", "loader/loader.conf", "by/mtools/Some Long Name.text"))
		})
	}
}

// checkImage compares what all say of an image.
func checkImage(t testing.TB, path string) {
	t.Helper()
	wantSound(t, path)
	sound(t, path)
	if diff := cmp.Diff(theirs(t, path), ours(t, path)); diff != "" {
		t.Errorf("mtools (-), ours (+):\n%s", diff)
	}
}

func mtoolsGoOn(t testing.TB, path string) {
	t.Helper()
	src := filepath.Join(t.TempDir(), "Some Long Name.text")
	must(t, os.WriteFile(src, []byte("from mtools"), 0o644), os.Chtimes(src, when, when))
	run(t, "mmd", "-i", path, "::by", "::by/mtools")
	run(t, "mcopy", "-i", path, "-m", src, "::by/mtools")
	run(t, "mdel", "-i", path, "::loader/entries/debian-6.12.3.conf")
	run(t, "mcopy", "-i", path, "-m", "-o", src, "::EFI/BOOT/BOOTX64.EFI")
}

// TestBeyondTheJudges edits what mtools does not read, as it tells FAT16 and
// FAT32 apart by Microsoft's rule alone, and what fsck.fat does not check.
func TestBeyondTheJudges(t *testing.T) {
	for args, says := range map[string]string{
		"-F 32 -s 1":            "has only",
		"-F 32 -s 8":            "has only",
		"-F 16 -f 4 -s 1 -r 64": "only 1 or 2 FATs",
	} {
		t.Run(args, func(t *testing.T) {
			path := mkfs(t, 4<<10, strings.Fields(args)...)
			e := edit(t, path)
			loaders(t, e, 100000)
			must(t, e.Put("EFI/Linux/𝄞.efi", file("two units")), e.Commit())
			sound(t, path)
			if got := ours(t, path); got["/EFI/Linux/𝄞.efi"] == "" || len(got) != 37 {
				t.Errorf("%d files: %v", len(got), got)
			}
			out, err := tool(t, "fsck.fat", "-n", path)
			if !strings.Contains(out, says) || strings.Contains(out, "Dirty") || strings.Contains(out, "free") || err != nil && strings.Contains(args, "32") {
				t.Errorf("fsck.fat -n: %v\n%s", err, out)
			}
		})
	}
}
