package fat_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/fat"
	"sextant/internal/fsck"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

func sampleNames() []string { return []string{"fat12", "fat16", "fat32"} }

// look reads everything that a file system offers.
func look(b []byte) (problems []*fsck.Problem, lines []string, err error) {
	f, err := fat.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, nil, err
	}
	if problems, err = f.Check(context.Background()); err != nil {
		return nil, nil, err
	}
	f.Label()
	if err := errors.Join(f.Describe(io.Discard), lookThrough(f)); err != nil {
		return problems, nil, err
	}
	t, err := f.Tree()
	if err != nil {
		return problems, nil, err
	}
	err = t.Walk(func(path string, n *tree.Inode) error {
		text, err := describe(n)
		lines = append(lines, fmt.Sprintf("%s %s %s", path, n.Mode.FileMode(), text))
		return err
	})
	return problems, lines, err
}

// lookThrough walks the io/fs view.
func lookThrough(f *fat.FS) error {
	count := 0
	return fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		if count++; err != nil || count > 60 {
			return cmp.Or(err, fs.SkipAll)
		}
		_ = f.DescribeFile(io.Discard, path)
		_, err = f.Stat(path)
		return err
	})
}

// wantFault fails the test for an error that does not say what kind of fault it
// is. io/fs has more: for names that it cannot open.
func wantFault(t testing.TB, err error) {
	t.Helper()
	for _, kind := range []error{nil, fs.ErrInvalid, fs.ErrNotExist, fault.ErrCorrupt, fault.ErrUnsupported} {
		if errors.Is(err, kind) {
			return
		}
	}
	t.Errorf("error without a kind: %v", err)
}

// TestSamples reads what mtools wrote: naïve.txt with a short name alone, in code
// page 850, which Linux too takes for its default, 437.
func TestSamples(t *testing.T) {
	for _, name := range sampleNames() {
		problems, lines, err := look(sample(t, name))
		if err != nil || len(problems) > 0 || len(lines) != 20 {
			t.Errorf("%s: %d files, %v, %v", name, len(lines), problems, err)
		}
		for _, want := range []string{"/EFI/BOOT/BOOTX64.EFI -rwxr-xr-x 3893 bytes", "/SHORT.TXT -r-xr-xr-x 12 bytes", "/na╪ve.txt -rwxr-xr-x 12 bytes", "/EFI/entry 10.conf"} {
			if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, want) }) {
				t.Errorf("%s: no %q in\n%s", name, want, strings.Join(lines, "\n"))
			}
		}
		f := openBytes(t, sample(t, name))
		if f.Label() != "SAMPLE" || f.Serial() != "1234-ABCD" {
			t.Errorf("%s: label %q, serial %s", name, f.Label(), f.Serial())
		}
	}
}

// entryOf finds the directory entry with a short name of 11 bytes in the FAT12.
func entryOf(t testing.TB, b []byte, short string) []byte {
	t.Helper()
	at := bytes.Index(b, []byte(short))
	if at < 0 || at%32 != 0 {
		t.Fatalf("no entry %q", short)
	}
	return b[at : at+32]
}

// setFAT12 changes an entry in all FATs of the FAT12.
func setFAT12(t testing.TB, b []byte, cluster, value int) {
	t.Helper()
	g := openBytes(t, b).Geometry()
	for n := range g.FATs {
		p := b[g.FATStart+int64(n)*g.FATSize+int64(cluster*3/2):]
		v := binary.LittleEndian.Uint16(p)
		if cluster&1 == 0 {
			v = v&0xF000 | uint16(value)
		} else {
			v = v&0xF | uint16(value)<<4
		}
		binary.LittleEndian.PutUint16(p, v)
	}
}

func clusterOf(entry []byte) int { return int(binary.LittleEndian.Uint16(entry[26:])) }

// broken are recipes: what is changed in the FAT12, what Check says, whether it
// is bookkeeping alone, and whether fsck.fat has something against it too.
var broken = []struct {
	name        string
	change      func(t testing.TB, b []byte)
	want        string
	bookkeeping bool
	silent      bool // fsck.fat says nothing
}{
	{"loop", func(t testing.TB, b []byte) {
		c := clusterOf(entryOf(t, b, "BOOTX64 EFI"))
		setFAT12(t, b, c+2, c)
	}, "/EFI/BOOT/BOOTX64.EFI: cluster", false, false},
	{"cross-link", func(t testing.TB, b []byte) {
		setFAT12(t, b, clusterOf(entryOf(t, b, "BOOTX64 EFI"))+2, clusterOf(entryOf(t, b, "SHORT   TXT")))
	}, "has another use", false, false},
	{"out of range", func(t testing.TB, b []byte) { setFAT12(t, b, clusterOf(entryOf(t, b, "BOOTX64 EFI")), 0xE00) }, "leads to 0xe00", false, false},
	{"bad cluster", func(t testing.TB, b []byte) { setFAT12(t, b, clusterOf(entryOf(t, b, "BOOTX64 EFI")), 0xFF7) }, "leads to 0xffffff7", false, false},
	{"free cluster", func(t testing.TB, b []byte) { setFAT12(t, b, clusterOf(entryOf(t, b, "BOOTX64 EFI")), 0) }, "marked as free", false, false},
	{"cut chain", func(t testing.TB, b []byte) { setFAT12(t, b, clusterOf(entryOf(t, b, "BOOTX64 EFI")), 0xFFF) }, "in 1 clusters, not in", false, false},
	{"long chain", func(t testing.TB, b []byte) { entryOf(t, b, "BOOTX64 EFI")[29] = 1 }, "clusters, not in", false, false},
	{"size without cluster", func(t testing.TB, b []byte) { copy(entryOf(t, b, "SHORT   TXT")[26:], "\x00\x00") }, "12 bytes and no cluster", false, false},
	{"cluster 1", func(t testing.TB, b []byte) { copy(entryOf(t, b, "SHORT   TXT")[26:], "\x01\x00") }, "begins at cluster 1", false, false},
	{"lost clusters", func(t testing.TB, b []byte) { setFAT12(t, b, 150, 0xFFF) }, "1 clusters are in use and in no file", true, false},
	{"FATs differ", func(t testing.TB, b []byte) { b[openBytes(t, b).Geometry().FATStart+100] ^= 1 }, "copy 1 differs", false, false},
	{"media", func(_ testing.TB, b []byte) { b[21] = 0xF0 }, "media type", true, true},
	{"dirty", func(_ testing.TB, b []byte) { b[37] = 1 }, "not unmounted", true, false},
	{"dot", func(t testing.TB, b []byte) { entryOf(t, b, ".          ")[26]++ }, "are at the clusters", false, false},
	{"dot dot", func(t testing.TB, b []byte) { entryOf(t, b, "..         ")[26]++ }, "are at the clusters", false, false},
	{"no dot", func(t testing.TB, b []byte) { copy(entryOf(t, b, ".          "), "X") }, "does not begin with", false, false},
	{"directory with size", func(t testing.TB, b []byte) { entryOf(t, b, "EFI        ")[28] = 9 }, "directory with a size of 9", false, false},
	{"two names", func(t testing.TB, b []byte) { copy(entryOf(t, b, "SHORT   TXT"), "EMPTY      ") }, "are both \"empty\"", false, false},
	{"bad name", func(t testing.TB, b []byte) { copy(entryOf(t, b, "SHORT   TXT"), "S*") }, "has the byte 0x2a", false, false},
	{"checksum of a long name", func(t testing.TB, b []byte) { copy(entryOf(t, b, "SOMEFI~1TEX"), "X") }, "long name of \"XOMEFI~1.TEX\"", true, false},
	{"behind the end", func(t testing.TB, b []byte) { entryOf(t, b, "EFI        ")[0] = 0 }, "behind the end", false, false},
	{"second label", func(t testing.TB, b []byte) {
		e := entryOf(t, b, "EMPTY      ")
		e[11] |= 8
	}, "one more label", true, true},
}

// TestCheck breaks one rule at a time, and compares with fsck.fat.
func TestCheck(t *testing.T) {
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			b := sample(t, "fat12")
			c.change(t, b)
			problems, err := openBytes(t, b).Check(context.Background())
			must(t, err)
			found := slices.IndexFunc(problems, func(p *fsck.Problem) bool { return strings.Contains(p.Error(), c.want) })
			if found < 0 || problems[found].Bookkeeping != c.bookkeeping {
				t.Errorf("Check = %v, want %q, bookkeeping: %t", problems, c.want, c.bookkeeping)
			}
			_, editErr := fat.Edit(memory(b), int64(len(b)), fat.EditOptions{})
			if refused := errors.Is(editErr, fault.ErrCorrupt); refused == c.bookkeeping {
				t.Errorf("Edit = %v", editErr)
			}
			path := filepath.Join(t.TempDir(), "image")
			must(t, os.WriteFile(path, b, 0o644))
			out, err := tool(t, "fsck.fat", "-n", path)
			if quiet := err == nil && strings.Count(out, "\n") == 2; quiet != c.silent {
				t.Errorf("fsck.fat -n: %v\n%s", err, out)
			}
		})
	}
}

// memory is a Storage.
type memory []byte

func (m memory) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(m).ReadAt(p, off) }

func (m memory) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > int64(len(m)) {
		return 0, errors.New("write outside")
	}
	return copy(m[off:], p), nil
}

// TestFSInfo corrects a wrong free count and leaves alone what is no FSInfo.
func TestFSInfo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b []byte)
		want   string
	}{
		"count":   {func(b []byte) { b[512+488] ^= 1 }, "clusters are free, it says"},
		"lead":    {func(b []byte) { b[512] ^= 1 }, "signatures are"},
		"sector":  {func(b []byte) { b[48] = 200 }, "in sector 200 of 32"},
		"copy":    {func(b []byte) { b[6*512+3] ^= 1 }, "copy in sector 6 differs"},
		"version": {func(b []byte) { b[42] = 1 }, ""},
	} {
		b := sample(t, "fat32")
		c.change(b)
		f, err := fat.Open(bytes.NewReader(b), int64(len(b)))
		if c.want == "" {
			if !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("%s: Open = %v, want ErrUnsupported", name, err)
			}
			continue
		}
		must(t, err)
		problems, err := f.Check(context.Background())
		if err != nil || !strings.Contains(fmt.Sprint(problems), c.want) {
			t.Errorf("%s: Check = %v, %v", name, problems, err)
		}
		e, err := fat.Edit(memory(b), int64(len(b)), fat.EditOptions{})
		must(t, err)
		must(t, e.Put("new", file("x")), e.Commit())
		after, err := openBytes(t, b).Check(context.Background())
		must(t, err)
		if name == "count" && len(after) > 0 || name == "lead" && b[512] == 'R' {
			t.Errorf("%s: after an edit: %v", name, after)
		}
	}
}

// TestCaseOutsideASCII has two names that are one for Windows.
func TestCaseOutsideASCII(t *testing.T) {
	b := sample(t, "fat12")
	e, err := fat.Edit(memory(b), int64(len(b)), fat.EditOptions{})
	must(t, err, e.Put("aé.text", file("small")), e.Put("aê.text", file("large")), e.Commit())
	at := bytes.Index(b, []byte("a\x00\xea\x00."))
	b[at+2] = 0xC9 // É
	problems, err := openBytes(t, b).Check(context.Background())
	must(t, err)
	if len(problems) != 1 || !problems[0].Bookkeeping || !strings.Contains(problems[0].Error(), "are both") {
		t.Errorf("Check = %v", problems)
	}
	if e, err = fat.Edit(memory(b), int64(len(b)), fat.EditOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"aé.text": "small", "aÉ.text": "large"} {
		if text, err := fs.ReadFile(e.FS(), name); string(text) != want {
			t.Errorf("%s: %q, %v, want %q", name, text, err, want)
		}
	}
}

// TestDiskErrors keeps the flag that says that the medium is not sound.
func TestDiskErrors(t *testing.T) {
	b := sample(t, "fat16")
	g := openBytes(t, b).Geometry()
	for n := range g.FATs {
		b[g.FATStart+int64(n)*g.FATSize+3] &^= 0x40
	}
	e, err := fat.Edit(memory(b), int64(len(b)), fat.EditOptions{})
	must(t, err, e.Put("new", file("x")), e.Commit())
	problems, err := openBytes(t, b).Check(context.Background())
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Error(), "disk had errors") {
		t.Errorf("Check = %v, %v", problems, err)
	}
}

// TestMirroring has one FAT that counts.
func TestMirroring(t *testing.T) {
	b := sample(t, "fat32")
	for _, boot := range []int{0, 6 * 512} {
		b[boot+40] = 0x81 // the second, alone
	}
	g := openBytes(t, b).Geometry()
	e, err := fat.Edit(memory(b), int64(len(b)), fat.EditOptions{})
	must(t, err)
	must(t, e.Put("new", file("x")), e.Commit())
	first, second := b[g.FATStart:g.FATStart+g.FATSize], b[g.FATStart+g.FATSize:g.FATStart+2*g.FATSize]
	if !bytes.Equal(first, second) || g.Active != 1 {
		t.Errorf("FATs are equal: %t, FAT %d counts", bytes.Equal(first, second), g.Active)
	}
	clear(first[100:])
	problems, lines, err := look(b)
	if err != nil || len(lines) != 21 || !strings.Contains(fmt.Sprint(problems), "copy 0 differs from copy 1") {
		t.Errorf("%d files, %v, %v", len(lines), problems, err)
	}
	if _, err := fat.Edit(memory(b), int64(len(b)), fat.EditOptions{}); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Edit with FATs that differ = %v, want ErrCorrupt", err)
	}
	b[40] = 0x82
	if _, err := fat.Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Open with FAT 2 of 2 = %v, want ErrCorrupt", err)
	}
}

// TestShortNames shows names without a long one.
func TestShortNames(t *testing.T) {
	for _, c := range []struct {
		raw   string
		flags byte
		want  string
	}{
		{"SHORT   TXT", 0, "SHORT.TXT"},
		{"SHORT   TXT", 8, "short.TXT"},
		{"SHORT   TXT", 16, "SHORT.txt"},
		{"SHORT   TXT", 24, "short.txt"},
		{"NO EXT     ", 24, "no ext"},
		{"\x05\x90\x99\x9a\x80   \x8e  ", 0, "σÉÖÜÇ.Ä"},
		{"\x90\x99\x9a     \x8e  ", 24, "éöü.ä"},
	} {
		b := sample(t, "fat12")
		e := entryOf(t, b, "SHORT   TXT")
		copy(e, c.raw)
		e[12] = c.flags
		if _, err := openBytes(t, b).Stat(c.want); err != nil {
			t.Errorf("%q with case %#x: %v", c.raw, c.flags, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b []byte)
		want   error
	}{
		"sector of 256":     {func(b []byte) { b[12] = 1 }, fat.ErrNoFileSystem},
		"sector of 513":     {func(b []byte) { b[11] = 1 }, fat.ErrNoFileSystem},
		"sector of 8192":    {func(b []byte) { b[12] = 0x20 }, fault.ErrUnsupported},
		"cluster of 0":      {func(b []byte) { b[13] = 0 }, fat.ErrNoFileSystem},
		"cluster of 3":      {func(b []byte) { b[13] = 3 }, fat.ErrNoFileSystem},
		"no reserved":       {func(b []byte) { b[14] = 0 }, fat.ErrNoFileSystem},
		"no FAT":            {func(b []byte) { b[16] = 0 }, fat.ErrNoFileSystem},
		"no root":           {func(b []byte) { b[17], b[18] = 0, 0 }, fat.ErrNoFileSystem},
		"media":             {func(b []byte) { b[21] = 0xF1 }, fat.ErrNoFileSystem},
		"larger than image": {func(b []byte) { b[20]++ }, fault.ErrCorrupt},
		"smaller than FAT":  {func(b []byte) { b[19], b[20] = 2, 0 }, fat.ErrNoFileSystem},
		"random":            {func(b []byte) { copy(b, "not a file system") }, fat.ErrNoFileSystem},
	} {
		b := sample(t, "fat12")
		c.change(b)
		if _, err := fat.Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, c.want) {
			t.Errorf("%s: Open = %v, want %v", name, err, c.want)
		}
	}
	if _, err := fat.Open(bytes.NewReader(nil), 0); !errors.Is(err, fat.ErrNoFileSystem) || !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Open of nothing = %v", err)
	}
}

// TestRandomDamage reads what is left of file systems, and edits what Edit takes.
func TestRandomDamage(t *testing.T) {
	rounds := testenv.Amount(300, 5000)
	r := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for _, name := range sampleNames() {
		good := sample(t, name)
		g := openBytes(t, good).Geometry()
		for range rounds {
			bad := bytes.Clone(good)
			for range 1 + r.IntN(3) {
				regions := []int64{0, g.FATStart, g.FATStart + g.FATSize, g.DataStart - 1024, g.DataStart}
				at := min(int(regions[r.IntN(5)])+r.IntN(4096), len(bad)-4)
				switch r.IntN(3) {
				case 0:
					bad[at] ^= 1 << r.IntN(8)
				case 1:
					bad[at] = byte(r.Uint32())
				case 2:
					copy(bad[at:], []byte{0xff, 0xff, 0xff, 0xff})
				}
			}
			if tryEdit(t, bad) {
				taken++
			}
		}
	}
	if taken < 10 {
		t.Errorf("only %d of the damaged file systems were edited", taken)
	}
}

// tryEdit looks at a damaged file system and edits it, if Edit does. What it
// leaves has to be sound.
func tryEdit(t testing.TB, b []byte) bool {
	_, _, err := look(b)
	wantFault(t, err)
	e, err := fat.Edit(memory(b), int64(len(b)), fat.EditOptions{Time: when})
	if err != nil {
		wantFault(t, err)
		return false
	}
	_ = e.RemoveAll("EFI")
	for n := range 20 {
		_ = e.Put(fmt.Sprintf("new file %d", n), file(strings.Repeat("content", 100*n)))
	}
	_ = e.Put("dir", dir())
	_ = e.Put("dir/file", file("x"))
	_ = e.Remove("new file 3")
	must(t, e.Commit())
	problems, lines, err := look(b)
	if err != nil {
		t.Errorf("after an edit: %v", err)
	}
	for _, p := range problems {
		if !p.Bookkeeping {
			t.Errorf("after an edit: %v", p)
		}
	}
	if len(lines) < 2 {
		t.Errorf("after an edit: %d files", len(lines))
	}
	return true
}

// FuzzOpen changes bytes of the samples, reads all that is left and edits what
// Edit takes.
func FuzzOpen(f *testing.F) {
	var images [][]byte
	for _, name := range sampleNames() {
		images = append(images, sample(f, name))
	}
	f.Add(uint8(0), []byte{})
	f.Add(uint8(0), []byte{0x03, 0x02, 0x00, 0xFF})
	f.Add(uint8(1), []byte{0x05, 0x02, 0x00, 0x02})
	f.Add(uint8(2), []byte{0x40, 0x00, 0x00, 0x81, 0x2C, 0x00, 0x00, 0x30})
	f.Fuzz(func(t *testing.T, image uint8, changes []byte) {
		b := bytes.Clone(images[int(image)%len(images)])
		for ; len(changes) >= 4; changes = changes[4:] {
			at := int(changes[0]) | int(changes[1])<<8 | int(changes[2])<<16
			b[at%len(b)] = changes[3]
		}
		tryEdit(t, b)
	})
}
