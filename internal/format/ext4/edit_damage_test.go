package ext4_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/ext4"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// change makes some of every kind of change and returns the first error.
func change(disk memory) error {
	e, err := ext4.Edit(disk, int64(len(disk)), ext4.EditOptions{Time: editTime})
	if err != nil {
		return err
	}
	labelled := noise(3000)
	labelled.PutXattr("user.note", bytes.Repeat([]byte("x"), 300))
	steps := []func() error{
		func() error { return e.Put("new", tree.NewDir(0o755)) },
		func() error { return e.Put("new/file", noise(5000)) },
		func() error { return e.Put("a/b/c", labelled) },
		func() error { return e.Put("dir/"+strings.Repeat("n", 200), labelled) },
		func() error { return e.Set("a", tree.NewDir(0o700)) },
		func() error { return e.Remove("a/long") },
		func() error { return e.RemoveAll("dir") },
		func() error { return e.RemoveAll("a") },
		e.Commit,
	}
	var first error
	for _, step := range steps {
		if err := step(); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// wantEditFault is wantFault, and takes what else a damaged file system can look
// like: full, or with other files.
func wantEditFault(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ext4.ErrFull) || errors.Is(err, ext4.ErrLimit) || errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrPermission) {
		return
	}
	wantFault(t, err)
}

func TestSamplesAreEdited(t *testing.T) {
	for _, name := range []string{"ext2", "ext4", "nosum", "inline"} {
		image := filepath.Join(t.TempDir(), name)
		disk := memory(sample(t, name))
		must(t, change(disk))
		must(t, os.WriteFile(image, disk, 0o644))
		wantSound(t, image, openImage(t, image))
	}
}

// TestEditDamaged changes file systems that are damaged where no checksum tells.
func TestEditDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, name := range []string{"ext2", "nosum", "inline", "ext4"} {
		good := sample(t, name)
		for range testenv.Amount(300, 20000) {
			bad := damaged(r, good)
			if name == "ext4" {
				seal(bad)
			}
			wantEditFault(t, change(bad))
		}
	}
}

// FuzzEdit changes bytes of the samples and edits all that is left.
func FuzzEdit(f *testing.F) {
	fuzzSamples(f, []byte{0x60, 0x04, 0x00, 0x04}, func(t *testing.T, bad []byte) { wantEditFault(t, change(bad)) })
}

// FuzzReplay changes bytes of a journal that has to be replayed.
func FuzzReplay(f *testing.F) {
	image := makeImage(f, "5M", "-t ext3 -b 1024 -J size=1 -N 32", "")
	run(f, "debugfs", "-w", "-R", "write /etc/passwd file", image)
	cmd := exec.Command("debugfs", "-w", "-f", "-", image)
	cmd.Stdin = strings.NewReader("jo\njw -b 1300,1301 /etc/passwd\njw -r 1301\njw -b 1302 /etc/passwd\njc\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		f.Fatalf("debugfs: %v\n%s", err, out)
	}
	good, err := os.ReadFile(image)
	must(f, err)
	journal := bytes.Index(good, []byte{0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 4})
	f.Add([]byte{})
	f.Add([]byte{0x0C, 0x04, 0xff})
	f.Fuzz(func(t *testing.T, changes []byte) {
		b := bytes.Clone(good)
		for ; len(changes) >= 3; changes = changes[3:] {
			b[journal+(int(changes[0])|int(changes[1])<<8)%(16*1024)] = changes[2]
		}
		wantEditFault(t, change(b))
	})
}

// TestOverGarbage edits a file system that was made over random bytes, of which
// mke2fs clears as little as it can.
func TestOverGarbage(t *testing.T) {
	for _, args := range []string{
		"-t ext4 -b 1024 -g 2048 -N 4096", "-t ext4 -b 4096 -N 30000", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg,^flex_bg -N 3000",
	} {
		image := filepath.Join(t.TempDir(), "image")
		must(t, os.WriteFile(image, pattern(1, 64<<20), 0o644))
		run(t, "mke2fs", append(strings.Fields(args), "-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", image)...)
		e := editImage(t, image)
		want := make(map[string]string)
		for i := range 900 {
			dir := fmt.Sprintf("d%d", i%30)
			must(t, e.Put(dir, tree.NewDir(0o755)))
			file := noise(int64(i) * 37)
			sum, err := hashContent(file.Content)
			must(t, err)
			want[fmt.Sprintf("/%s/%d", dir, i)] = sum
			must(t, e.Put(fmt.Sprintf("%s/%d", dir, i), file))
		}
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
		got := make(map[string]string)
		for path, a := range kernelList(t, image) {
			if strings.HasPrefix(a.Mode, "10") {
				got[strings.Trim(path, `"`)] = a.Hash
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: want (-), kernel (+):\n%.2000s", args, diff)
		}
	}
}

// TestCutOrphans finishes truncations that were begun, as e2fsck does.
func TestCutOrphans(t *testing.T) {
	for _, args := range []string{"-t ext4 -b 1024", "-t ext2 -b 1024", "-t ext4 -b 1024 -O quota"} {
		image := makeImage(t, "16M", args, "")
		e := editImage(t, image)
		must(t, e.Put("cut", stripes(1024, 500)))
		must(t, e.Put("gone", stripes(1024, 500)))
		must(t, e.Put("nothing", noise(500_000)))
		must(t, e.Commit())
		script := "sif cut size 300001\nsif nothing size 0\nsif gone links_count 0\nunlink gone\n" +
			"sif cut dtime @13\nsif <13> dtime @14\nssv last_orphan 12\n"
		cmd := exec.Command("debugfs", "-w", "-f", "-", image)
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("debugfs: %v\n%s", err, out)
		}
		want := kernelList(t, repaired(t, image))
		must(t, editImage(t, image).Commit())
		f := openImage(t, image)
		wantSound(t, image, f)
		got := kernelList(t, image)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: e2fsck (-), ours (+):\n%s", args, diff)
		}
		if got[key("/cut")].Size != 300001 || len(got) != 4 {
			t.Errorf("%s: got %v", args, got)
		}
	}
}

// TestCutUnwritten cuts a file in the middle of blocks that were set aside and
// never written.
func TestCutUnwritten(t *testing.T) {
	image := makeImage(t, "16M", "-t ext4 -b 1024", "")
	inMount(t, image, "rw", `
		seq 10000 > file
		fallocate -o 100000 -l 300000 file
		seq 10000 | dd of=file bs=1k seek=200 conv=notrunc status=none`)
	run(t, "debugfs", "-w", "-R", "sif file size 300500", image)
	run(t, "debugfs", "-w", "-R", "ssv last_orphan 12", image)
	want := kernelList(t, repaired(t, image))
	must(t, editImage(t, image).Commit())
	wantSound(t, image, openImage(t, image))
	if diff := cmp.Diff(want, kernelList(t, image)); diff != "" {
		t.Errorf("e2fsck (-), ours (+):\n%s", diff)
	}
	if out := run(t, "debugfs", "-R", "ex file", image); strings.Count(out, "Uninit") != 2 {
		t.Errorf("extents are %s", out)
	}
}

// TestManySubdirs makes more directories in one than a link count holds.
func TestManySubdirs(t *testing.T) {
	testenv.RequireLong(t)
	image := makeImage(t, "800M", "-t ext4 -b 1024 -N 80000", "")
	e := editImage(t, image)
	must(t, e.Put("dir", tree.NewDir(0o755)))
	for i := range 65_100 {
		must(t, e.Put(fmt.Sprintf("dir/%d", i), tree.NewDir(0o755)))
	}
	must(t, e.Commit())
	f := openImage(t, image)
	wantSound(t, image, f)
	fi, err := f.Stat("dir")
	must(t, err)
	if links := fi.Sys().(*ext4.Stat).Links; links != 1 {
		t.Errorf("%d links, want 1 for too many", links)
	}
	for i := range 65_000 {
		must(t, e.Remove(fmt.Sprintf("dir/%d", i)))
	}
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))

	image = makeImage(t, "800M", "-t ext4 -b 1024 -N 80000 -O ^dir_nlink", "")
	e = editImage(t, image)
	must(t, e.Put("dir", tree.NewDir(0o755)))
	for i := 0; err == nil; i++ {
		err = e.Put(fmt.Sprintf("dir/%d", i), tree.NewDir(0o755))
	}
	if !errors.Is(err, ext4.ErrLimit) || !strings.Contains(err.Error(), "65000") {
		t.Errorf("Put = %v, want ErrLimit at 65000 links", err)
	}
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
}
