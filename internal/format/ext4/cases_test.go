package ext4_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/ext4"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

func TestHashName(t *testing.T) {
	testenv.Require(t, "debugfs")
	const seed = "6e4d1d7c-4bd1-43b8-b5a2-9e3e21cd5e0e"
	words := [4]uint32{0x7c1d4d6e, 0xb843d14b, 0x3e9ea2b5, 0x0e5ecd21}
	versions := []ext4.HashVersion{ext4.HashLegacy, ext4.HashHalfMD4, ext4.HashTEA,
		ext4.HashLegacyUnsigned, ext4.HashHalfMD4Unsigned, ext4.HashTEAUnsigned}
	names := []string{"a", "lost+found", "é", "exactly-sixteen!", "exactly-sixteen!+", strings.Repeat("n", 32),
		strings.Repeat("né", 21), strings.Repeat("x", 255), strings.Repeat("\xff", 100)}
	var script bytes.Buffer
	for _, v := range versions {
		for _, name := range names {
			fmt.Fprintf(&script, "dx_hash -h %d -s %s %s\n", v, seed, name)
		}
	}
	cmd := exec.Command("debugfs", "-f", "-")
	cmd.Stdin = &script
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	for _, v := range versions {
		for _, name := range names {
			for len(lines) > 0 && !strings.HasPrefix(lines[0], "Hash of ") {
				lines = lines[1:]
			}
			got, _ := ext4.HashName(v, words, name)
			if want := fmt.Sprintf("is %#x ", got); len(lines) == 0 || !strings.Contains(lines[0], want) {
				t.Fatalf("HashName(%s, %q) = %#x, debugfs says %.300s", v, name, got, lines)
			}
			lines = lines[1:]
		}
	}
}

func TestDirtyJournal(t *testing.T) {
	image := makeImage(t, "40M", "-t ext4", "")
	copied := filepath.Join(t.TempDir(), "copy")
	inMount(t, image, "rw", "echo hello > file; mkdir dir; sync -f .; cp --sparse=always "+image+" "+copied)
	if f := openImage(t, image); f.Dirty() {
		t.Error("Dirty() = true after an unmount")
	}
	f := openImage(t, copied)
	if !f.Dirty() {
		t.Error("Dirty() = false for a file system in use")
	}
	problems, err := f.Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range problems {
		found = found || p.Bookkeeping && strings.Contains(p.Error(), "needs_recovery")
	}
	if !found {
		t.Errorf("Check = %v, want needs_recovery", problems)
	}
}

// TestEncrypted marks files as encrypted that are not: their bytes are then as
// meaningless as real ones.
func TestEncrypted(t *testing.T) {
	m := newMaker(t, t.TempDir())
	m.file("file", []byte("secret"))
	m.file("dir/inside", []byte("secret"))
	m.file("plain", []byte("open"))
	image := makeImage(t, "8M", "-t ext4 -O encrypt", m.dir)
	run(t, "debugfs", "-w", "-R", "sif file flags 0x80800", image)
	f := openImage(t, image)
	tr, err := f.Tree()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Lookup("/file").Content.Open(); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Open of an encrypted content: %v, want ErrUnsupported", err)
	}
	if _, err := f.Open("file"); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Open of an encrypted file: %v, want ErrUnsupported", err)
	}
	if _, err := f.Open("plain"); err != nil {
		t.Error(err)
	}
	run(t, "debugfs", "-w", "-R", "sif dir flags 0x80800", image)
	if _, err := openImage(t, image).Tree(); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Tree with an encrypted directory: %v, want ErrUnsupported", err)
	}
}

func TestUnknownFeatures(t *testing.T) {
	for name, change := range map[string]func(sb []byte){
		"0x80000000":  func(sb []byte) { sb[0x63] |= 0x80 },
		"compression": func(sb []byte) { sb[0x60] |= 1 },
		"journal":     func(sb []byte) { sb[0x60] |= 8 },
		"revision 2":  func(sb []byte) { sb[0x4C] = 2 },
	} {
		b := sample(t, "nosum")
		change(b[1024:])
		_, err := ext4.Open(bytes.NewReader(b), int64(len(b)))
		if !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: Open = %v, want ErrUnsupported that names it", name, err)
		}
	}
	b := make([]byte, 4096)
	if _, err := ext4.Open(bytes.NewReader(b), 4096); !errors.Is(err, ext4.ErrNoFileSystem) || !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Open of zeros = %v, want ErrNoFileSystem and ErrCorrupt", err)
	}
}

// TestCheckSeesWhatE2fsckSees changes one thing at a time that e2fsck names too.
func TestCheckSeesWhatE2fsckSees(t *testing.T) {
	for _, c := range []struct{ name, command, want string }{
		{"link count", "sif a/b/c links_count 7", "2 entries name it, it says 7"},
		{"block used twice", "sif a/b/c block[0] 20", "has another use"},
		{"size", "sif dir size 5000", "directory of 5000 bytes"},
		{"free blocks", "ssv free_blocks_count 1", "free blocks, it says 1"},
		{"free inodes", "ssv free_inodes_count 1", "free inodes, it says 1"},
		{"sectors", "sif a/b/c blocks 80", "sectors, it says 80"},
		{"file type", "sif pipe mode 0100644", "says fifo, inode"},
		{"bitmap", "freeb 25", "are in use but not marked"},
		{"bitmap of the unused", "setb 300", "are marked but not in use"},
		{"inode bitmap", "freei a/b/c", "is not marked in the bitmap"},
		{"lost entry", "unlink pipe", "0 entries name it, it says 1"},
		{"lost directory", "unlink dir", "directory that no path leads to"},
		{"size of a file", "sif holes size 100", "blocks up to"},
		{"state", "ssv state 2", "state is errors"},
	} {
		samples := []string{"nosum", "ext4"}
		if strings.Contains(c.command, "block[0]") {
			samples = []string{"ext2"} // extents have none
		}
		// Of these e2fsck says nothing where it may not write.
		silent := strings.HasPrefix(c.command, "ssv")
		for _, name := range samples {
			t.Run(c.name+"-"+name, func(t *testing.T) {
				image := filepath.Join(t.TempDir(), "image")
				if err := os.WriteFile(image, sample(t, name), 0o644); err != nil {
					t.Fatal(err)
				}
				run(t, "debugfs", "-w", "-R", c.command, image)
				if err := exec.Command("e2fsck", "-fn", image).Run(); err == nil && !silent {
					t.Fatalf("e2fsck has nothing against %q", c.command)
				}
				problems, err := openImage(t, image).Check(context.Background())
				if err != nil || !strings.Contains(fmt.Sprint(problems), c.want) {
					t.Errorf("%s: Check = %v, %v, want %q", c.command, problems, err, c.want)
				}
			})
		}
	}
}

// baseImages returns the disks of the root file systems that vmtest keeps.
func baseImages(release string) []string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil
	}
	images, _ := filepath.Glob(filepath.Join(cache, "sextant-test", "rootfs", release+"-*", "disk.img"))
	return images
}

// TestBaseImages reads real root file systems and compares them with the kernel.
func TestBaseImages(t *testing.T) {
	testenv.RequireRoot(t)
	images := baseImages("*")
	if len(images) == 0 {
		testenv.Missing(t, "rootfs", "no root file system in the cache of vmtest")
	}
	for _, image := range images {
		if strings.Contains(image, "build-") {
			continue
		}
		t.Run(filepath.Base(filepath.Dir(image)), func(t *testing.T) {
			f := openImage(t, image)
			problems, err := f.Check(context.Background())
			if err != nil || len(problems) > 0 {
				t.Errorf("Check = %v, %v", problems, err)
			}
			got := listImage(t, f)
			addStat(t, f, got)
			if diff := cmp.Diff(kernelList(t, image), got); diff != "" {
				t.Errorf("kernel (-), ours (+):\n%.5000s", diff)
			}
		})
	}
}

// TestHugeSparseFile holds that a file of 15 TiB costs nothing to look at.
func TestHugeSparseFile(t *testing.T) {
	m := newMaker(t, t.TempDir())
	m.file("file", []byte("begin"))
	image := makeImage(t, "8M", "-t ext4", m.dir)
	run(t, "debugfs", "-w", "-R", "sif file size 0xfffffff0000", image)
	tr, err := openImage(t, image).Tree()
	if err != nil {
		t.Fatal(err)
	}
	c := tr.Lookup("/file").Content
	if len(c.Extents()) != 1 || c.Size() != 0xfffffff0000 {
		t.Errorf("Extents() = %v of %d bytes", c.Extents(), c.Size())
	}
	r, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	b := []byte{1, 1, 1, 1}
	if n, err := r.ReadAt(b, c.Size()-4); n != 4 || err != nil || !bytes.Equal(b, make([]byte, 4)) {
		t.Errorf("ReadAt the end = %d, %v, %v", n, err, b)
	}
}

func BenchmarkTree(b *testing.B) {
	images := baseImages("trixie")
	if len(images) == 0 {
		b.Skip("no root file system in the cache of vmtest")
	}
	f := openImage(b, images[0])
	for b.Loop() {
		t, err := f.Tree()
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		if err := t.Walk(func(string, *tree.Inode) error { n++; return nil }); err != nil || n < 10000 {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	images := baseImages("trixie")
	if len(images) == 0 {
		b.Skip("no root file system in the cache of vmtest")
	}
	f := openImage(b, images[0])
	for b.Loop() {
		if _, err := f.Check(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
