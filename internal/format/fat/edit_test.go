package fat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/fat"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

func TestNames(t *testing.T) {
	path := mkfs(t, 2<<10)
	e := edit(t, path)
	must(t, e.Put("EFI", dir()), e.Put("efi/Boot", dir()), e.Put("/EFI/BOOT/bootx64.efi", file("1")))
	must(t, e.Put("EFI/boot/BOOTX64.EFI", file("2"))) // replaces, and keeps the name
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11} {
		must(t, e.Put(fmt.Sprintf("kernel-6.12.%d.image", n), file("k")))
	}
	must(t, e.Put("KERNEL~3.IMA", file("by alias")), e.Commit())
	checkImage(t, path)
	list := ours(t, path)
	for path, want := range map[string]string{"/EFI/Boot/bootx64.efi": "1 bytes", "/kernel-6.12.3.image": "8 bytes"} {
		if !strings.HasPrefix(list[path], want) {
			t.Errorf("%s: %s, want %s", path, list[path], want)
		}
	}
	aliases := run(t, "mdir", "-i", path, "::/")
	for _, alias := range []string{"KERNEL~1 IMA", "KERNEL~9 IMA", "KE07DA~1 IMA"} {
		if !strings.Contains(aliases, alias) {
			t.Errorf("no alias %s in\n%s", alias, aliases)
		}
	}
	for _, bad := range []string{"a:b", "tab\t", "dot.", "space ", "question?", "back\\slash", "\xff", "...", "..", "EFI/..", strings.Repeat("n", 256), "a*", `q"`, "<", "|"} {
		if err := e.Put(bad, file("")); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Put(%q) = %v, want fs.ErrInvalid", bad, err)
		}
	}
}

// TestAliases compares short names with those that mtools gives.
func TestAliases(t *testing.T) {
	mine, other := mkfs(t, 2<<10), mkfs(t, 2<<10)
	e := edit(t, mine)
	src := filepath.Join(t.TempDir(), "src")
	must(t, os.WriteFile(src, []byte("x"), 0o644), os.Chtimes(src, when, when))
	for _, name := range []string{"UPPER.TXT", "long name one.text", "long name two.text", "a.b.c.d", ".profile", "plus+sign.x", "noextension-at-all", "Mixed.Case.txt", "x.extension", "A,B;C=D[E].TXT"} {
		must(t, e.Put(name, file("x")))
		run(t, "mcopy", "-m", "-i", other, src, "::"+name)
	}
	must(t, e.Commit())
	wantSound(t, mine)
	short := func(path string) (list []string) {
		for line := range strings.Lines(run(t, "mdir", "-i", path, "::/")) {
			if strings.Contains(line, "2024-02-29") {
				list = append(list, line[:12])
			}
		}
		return list
	}
	if diff := cmp.Diff(short(other), short(mine)); diff != "" {
		t.Errorf("mtools (-), ours (+):\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	path := mkfs(t, 2<<10)
	e := edit(t, path)
	must(t, e.Put("dir", dir()), e.Put("dir/file", file("x")))
	link := &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "file"}
	large := &tree.Inode{Mode: tree.TypeRegular, Content: imagetest.Noise{Length: 1 << 32}}
	cut := &tree.Inode{Mode: tree.TypeRegular, Content: shorter{imagetest.Noise{Length: 5000}}}
	for name, c := range map[string]struct{ err, want error }{
		"link":              {e.Put("link", link), fault.ErrUnsupported},
		"too large":         {e.Put("large", large), fs.ErrInvalid},
		"cut content":       {e.Put("cut", cut), errCut},
		"dir over file":     {e.Put("dir/file", dir()), fs.ErrExist},
		"file over dir":     {e.Put("dir", file("")), fs.ErrExist},
		"file over root":    {e.Put("/", file("")), fs.ErrExist},
		"no parent":         {e.Put("none/file", file("")), fs.ErrNotExist},
		"parent is file":    {e.Put("dir/file/x", file("")), fs.ErrNotExist},
		"remove full dir":   {e.Remove("dir"), fs.ErrExist},
		"remove nothing":    {e.Remove("none"), fs.ErrNotExist},
		"remove root":       {e.RemoveAll("/"), fs.ErrInvalid},
		"set nothing":       {e.Set("none", file("")), fs.ErrNotExist},
		"root is there":     {e.Put("/", dir()), nil},
		"set root":          {e.Set(".", dir()), nil},
		"remove all of non": {e.RemoveAll("none/deeper"), nil},
	} {
		if !errors.Is(c.err, c.want) || c.want == nil && c.err != nil {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	must(t, e.Commit())
	checkImage(t, path)
	if got := ours(t, path); len(got) != 2 {
		t.Errorf("files %v, want dir and dir/file", got)
	}
}

var errCut = errors.New("content ends")

// shorter is a content that fails in the middle.
type shorter struct{ imagetest.Noise }

func (s shorter) Open() (tree.Reader, error) { return s, nil }

func (s shorter) ReadAt(p []byte, off int64) (int, error) { return 0, errCut }

// TestFull fills a file system to the last cluster. What does not fit changes
// nothing, on the disk and in the editor.
func TestFull(t *testing.T) {
	for _, args := range []string{"-F 12 -s 1", "-F 16 -s 1", "-F 32 -s 1"} {
		kib := map[string]int64{"12": 1 << 10, "16": 3 << 10, "32": 34 << 10}[args[3:5]]
		path := mkfs(t, kib, strings.Fields(args)...)
		e := edit(t, path)
		must(t, e.Put("dir", dir()))
		size := e.Free()
		if err := e.Put("large", &tree.Inode{Mode: tree.TypeRegular, Content: imagetest.Noise{Length: size + 1}}); !errors.Is(err, fat.ErrFull) {
			t.Errorf("%s: Put of %d bytes more than %d = %v, want ErrFull", args, 1, size, err)
		}
		must(t, e.Put("large", &tree.Inode{Mode: tree.TypeRegular, ModTime: when, Content: imagetest.Noise{Seed: 7, Length: size}}), e.Commit())
		checkImage(t, path)
		before := contents(t, path)
		for name, err := range map[string]error{"file": e.Put("dir/x", file("x")), "directory": e.Put("dir2", dir()), "replace": e.Put("large", file("x"))} {
			if !errors.Is(err, fat.ErrFull) {
				t.Errorf("%s: Put of a %s = %v, want ErrFull", args, name, err)
			}
		}
		must(t, e.Put("dir/empty", file("")))
		for n := range 200 { // until the directory cannot grow
			if err := e.Put(fmt.Sprintf("dir/empty with a long name %d", n), file("")); err != nil {
				if n == 0 || !errors.Is(err, fat.ErrFull) {
					t.Errorf("%s: entry %d: %v", args, n, err)
				}
				break
			}
		}
		if !bytes.Equal(before, contents(t, path)) {
			t.Errorf("%s: the disk changed without Commit", args)
		}
		// What is removed is free after the next Commit.
		must(t, e.Remove("large"))
		if e.Free() != 0 {
			t.Errorf("%s: %d bytes are free before Commit", args, e.Free())
		}
		must(t, e.Commit())
		must(t, e.Put("dir/x", file("x")), e.Commit())
		checkImage(t, path)
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

func TestFixedRootFull(t *testing.T) {
	path := mkfs(t, 8<<10, "-F", "16", "-s", "2", "-r", "32")
	e := edit(t, path)
	for n := range 32 {
		must(t, e.Put(fmt.Sprintf("FILE%d", n), file("x")))
	}
	if err := e.Put("FILE32", file("x")); !errors.Is(err, fat.ErrFull) {
		t.Errorf("Put of entry 33 = %v, want ErrFull", err)
	}
	must(t, e.Remove("FILE7"), e.Put("FILE32", file("y")), e.Remove("FILE9"), e.Remove("FILE11"))
	if err := e.Put("needs two entries", file("x")); !errors.Is(err, fat.ErrFull) {
		t.Errorf("Put without two entries in a row = %v, want ErrFull", err)
	}
	must(t, e.Remove("FILE10"), e.Put("long name", file("z")), e.Commit())
	checkImage(t, path)
}

// TestLargeDirectory fills a directory up to the 65536 entries that it may have,
// 21 for each of the longest names, and grows the root of a FAT32.
func TestLargeDirectory(t *testing.T) {
	path := mkfs(t, 40<<10, "-F", "32", "-s", "1")
	limit := testenv.Amount(100, 1<<16)
	e := edit(t, path)
	must(t, e.Put("dir", dir()))
	count := 0
	for ; count < limit; count++ {
		err := e.Put(fmt.Sprintf("dir/%05d%s", count, strings.Repeat("n", 250)), file(""))
		if errors.Is(err, fat.ErrFull) {
			break
		}
		must(t, err)
	}
	if full := (65536 - 2) / 21; count != min(limit, full) {
		t.Errorf("%d files fit, want %d", count, full)
	}
	for n := range 200 {
		must(t, e.Put(fmt.Sprintf("FILE%d", n), file("")))
	}
	must(t, e.Commit())
	wantSound(t, path)
	sound(t, path)
	if got := len(ours(t, path)); got != count+201 {
		t.Errorf("%d files, want %d", got, count+201)
	}
}

// TestWithoutCommit sees that the file system on the disk stays what it was.
func TestWithoutCommit(t *testing.T) {
	path := mkfs(t, 4<<10, "-F", "12")
	e := edit(t, path)
	loaders(t, e, 100000)
	must(t, e.Commit())
	before := ours(t, path)
	must(t, e.RemoveAll("EFI"), e.Put("loader/loader.conf", file(strings.Repeat("new", 10000))), e.Put("EFI", dir()),
		e.Put("EFI/x", &tree.Inode{Mode: tree.TypeRegular, Content: imagetest.Noise{Seed: 3, Length: 1 << 20}}))
	checkImage(t, path)
	if diff := cmp.Diff(before, ours(t, path)); diff != "" {
		t.Errorf("before (-), after changes without Commit (+):\n%s", diff)
	}
	must(t, e.Commit())
	checkImage(t, path)
	if got := ours(t, path); got["/EFI/x"] == "" || got["/EFI/BOOT"] != "" {
		t.Errorf("after Commit: %v", got)
	}
}

func TestCopyWithin(t *testing.T) {
	path := mkfs(t, 4<<10)
	e := edit(t, path)
	must(t, e.Put("a", &tree.Inode{Mode: tree.TypeRegular, Content: imagetest.Noise{Seed: 5, Length: 300000}}), e.Commit())
	info, err := fs.Stat(e.FS(), "a")
	must(t, err, e.Put("b", info.Sys().(*tree.Inode)), e.Put("a", info.Sys().(*tree.Inode)), e.Remove("a"), e.Put("c", file(strings.Repeat("c", 300000))), e.Commit())
	checkImage(t, path)
	want, _ := describeContent(strings.NewReader(string(noise(5, 300000))), info.ModTime())
	if got := ours(t, path)["/b"]; got != want {
		t.Errorf("copy is %s, want %s", got, want)
	}
}

func noise(seed uint64, n int64) []byte {
	b := make([]byte, n)
	_, _ = imagetest.Noise{Seed: seed, Length: n}.ReadAt(b, 0)
	return b
}

func TestAttributes(t *testing.T) {
	path := mkfs(t, 2<<10)
	e := edit(t, path)
	for name, at := range map[string]time.Time{
		"EARLY": time.Unix(0, 0), "LATE": time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), "ODD": time.Date(2107, 12, 31, 23, 59, 59, 999, time.UTC),
		"ZONE": time.Date(2020, 1, 1, 0, 30, 0, 0, time.FixedZone("", 3600)),
	} {
		n := file("x")
		n.ModTime = at
		must(t, e.Put(name, n))
	}
	readOnly := file("x")
	readOnly.Mode = tree.TypeRegular | 0o444
	must(t, e.Put("ro", readOnly), e.Put("was-ro", readOnly), e.Set("was-ro", file("")), e.Put("dir", dir()))
	later := dir()
	later.ModTime = when.Add(time.Hour)
	must(t, e.Set("dir", later), e.Commit())
	wantSound(t, path)
	for name, want := range map[string]string{
		"EARLY": "-rwxr-xr-x 1980-01-01 00:00:00", "LATE": "-rwxr-xr-x 2107-12-31 23:59:58", "ODD": "-rwxr-xr-x 2107-12-31 23:59:58",
		"ZONE": "-rwxr-xr-x 2019-12-31 23:30:00", "ro": "-r-xr-xr-x 2024-02-29 13:37:42", "was-ro": "-rwxr-xr-x 2024-02-29 13:37:42",
		"dir": "drwxr-xr-x 2024-02-29 14:37:42",
	} {
		info, err := fs.Stat(e.FS(), name)
		must(t, err)
		if got := info.Mode().String() + " " + info.ModTime().Format(time.DateTime); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if out := run(t, "mattrib", "-i", path, "::ro", "::was-ro"); !strings.Contains(out, "R     ::/ro") || strings.Contains(out, "R     ::/was-ro") {
		t.Errorf("mattrib says\n%s", out)
	}
	odd := &tree.Inode{Mode: tree.TypeRegular | 0o600, UID: 5}
	odd.PutXattr("user.x", nil)
	want := []string{"owner 5:0", "mode 0600", "extended attribute user.x"}
	if diff := cmp.Diff(want, fat.Dropped(odd)); diff != "" {
		t.Errorf("Dropped: want (-), got (+):\n%s", diff)
	}
	if got := append(fat.Dropped(file("")), fat.Dropped(dir())...); len(got) > 0 {
		t.Errorf("Dropped(0644 and a directory of 0755) = %v, want none", got)
	}
}

// TestDirty edits volumes that were not unmounted, and are sound all the same.
func TestDirty(t *testing.T) {
	for args, patch := range map[string]func(b []byte){
		"-F 12 -s 32":     func(b []byte) { b[37] |= 1 },
		"-F 16 -s 2 -f 1": func(b []byte) { b[512*int(b[14])+3] &= 0x7F },
		"-F 16 -s 4":      func(b []byte) { b[37] |= 1 },
		"-F 32 -s 1":      func(b []byte) { b[65] |= 1 },
		"-F 32 -s 1 -f 1": func(b []byte) { b[512*int(b[14])+7] &= 0xF7 },
	} {
		path := mkfs(t, 34<<10, strings.Fields(args)...)
		b := contents(t, path)
		patch(b)
		must(t, os.WriteFile(path, b, 0o644))
		f := openFS(t, path)
		if dirty, err := f.Dirty(); !dirty || err != nil {
			t.Errorf("%s: Dirty() = %t, %v", args, dirty, err)
		}
		problems, err := f.Check(context.Background())
		must(t, err)
		for _, p := range problems {
			if !p.Bookkeeping {
				t.Errorf("%s: %v", args, p)
			}
		}
		if out, _ := tool(t, "fsck.fat", "-n", path); !strings.Contains(args, "-f") && !strings.Contains(out, "Dirty bit is set") {
			t.Errorf("%s: fsck.fat sees no dirty bit:\n%s", args, out)
		}
		e := edit(t, path)
		must(t, e.Put("x", file("x")), e.Commit())
		checkImage(t, path)
	}
}

// TestSameBytes makes the same changes twice.
func TestSameBytes(t *testing.T) {
	var images [][]byte
	for range 2 {
		path := mkfs(t, 34<<10, "-F", "32", "-s", "1", "--invariant")
		e := edit(t, path)
		loaders(t, e, 100000)
		must(t, e.Commit())
		images = append(images, contents(t, path))
	}
	if !bytes.Equal(images[0], images[1]) {
		t.Error("the same changes gave different bytes")
	}
}

// TestMformat edits what mformat makes, at an offset of the disk too.
func TestMformat(t *testing.T) {
	for _, args := range []string{"-f 360", "-f 720", "-f 1440", "-f 2880", "-F -T 140000 -h 16 -s 63 -c 1", "-T 40000 -h 4 -s 32 -c 4 -r 8 -L 64 -d 1"} {
		t.Run(args, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			run(t, "mformat", append([]string{"-C", "-i", path, "-v", "LABEL", "-N", "12345678"}, strings.Fields(args)...)...)
			if f := openFS(t, path); f.Label() != "LABEL" || f.Serial() != "1234-5678" {
				t.Errorf("label %q, serial %s", f.Label(), f.Serial())
			}
			e := edit(t, path)
			loaders(t, e, 30000)
			must(t, e.Commit())
			checkImage(t, path)
		})
	}
}

func TestOffset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, nil, 0o644), os.Truncate(path, 20<<20))
	run(t, "mkfs.fat", "--offset=2048", "-h", "2048", "-F", "16", path, "16384")
	i := openImage(t, path)
	e, err := fat.Edit(shifted{i, 1 << 20}, 16<<20, fat.EditOptions{})
	must(t, err)
	loaders(t, e, 100000)
	must(t, e.Commit())
	part := filepath.Join(t.TempDir(), "part")
	must(t, os.WriteFile(part, contents(t, path)[1<<20:17<<20], 0o644))
	checkImage(t, part)
}

// shifted is a part of a disk.
type shifted struct {
	image
	at int64
}

func (s shifted) ReadAt(p []byte, off int64) (int, error)  { return s.image.ReadAt(p, off+s.at) }
func (s shifted) WriteAt(p []byte, off int64) (int, error) { return s.image.WriteAt(p, off+s.at) }

// BenchmarkPut writes a kernel image of 64 MiB to a FAT32 in memory.
func BenchmarkPut(b *testing.B) {
	path := mkfs(b, 300<<10, "-F", "32")
	disk, err := os.ReadFile(path)
	must(b, err)
	content := noise(1, 64<<20)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		e, err := fat.Edit(memory(disk), int64(len(disk)), fat.EditOptions{})
		must(b, err, e.Put("kernel.efi", &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: when, Content: tree.Bytes(content)}), e.Commit())
	}
}
