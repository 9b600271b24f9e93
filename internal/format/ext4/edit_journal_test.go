package ext4_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/ext4"
)

// repaired returns a copy of an image that e2fsck has mended.
func repaired(t testing.TB, image string) string {
	t.Helper()
	out := copyImage(t, image)
	b, err := exec.Command("e2fsck", "-fy", out).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("e2fsck -fy: %v\n%s", err, b)
	}
	return out
}

// wantAsRepaired edits an image that was in use and wants what e2fsck makes of
// it, and our file besides.
func wantAsRepaired(t *testing.T, image string) {
	t.Helper()
	want := kernelList(t, repaired(t, image))
	e := editImage(t, image)
	must(t, e.Commit())
	f := openImage(t, image)
	wantSound(t, image, f)
	if f.Dirty() {
		t.Error("Dirty() = true after an edit")
	}
	if diff := cmp.Diff(want, kernelList(t, image)); diff != "" {
		t.Errorf("e2fsck (-), ours (+):\n%.5000s", diff)
	}
	must(t, editImage(t, image).Commit())
	e = editImage(t, image)
	must(t, e.Put("new", regular("new")))
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
}

// inUse makes an image of which a copy is taken while it is mounted, with a
// journal that has revocations and files that are deleted but open.
func inUse(t *testing.T, args, options string) string {
	t.Helper()
	image := makeImage(t, "64M", args, "")
	copied := filepath.Join(t.TempDir(), "copied")
	inMount(t, image, options, `
		mkdir before; (cd before; seq 2000 | xargs touch)
		echo data > open1; echo data > open2; dd if=/dev/urandom of=open3 bs=1k count=3000 status=none
		sync -f .
		mkdir dir; (cd dir; seq -f "%0200.0f" 3000 | xargs mkdir)
		sync -f .
		rm -r dir before/1*
		dd if=/dev/zero bs=1k count=20000 status=none | tr '\0' '\300' > blocks
		exec 3<open1 4<open2 5<open3
		rm open1 open2 open3
		echo after > after
		sync -f .
		cp --sparse=always "`+image+`" "`+copied+`"`)
	return copied
}

func TestReplay(t *testing.T) {
	for _, c := range []struct{ name, args, options string }{
		{"csum-v3-64bit", "-t ext4", "rw"},
		{"csum-v3-32bit", "-t ext4 -O ^64bit -b 1024", "rw"},
		{"no-csum-64bit", "-t ext4 -O ^metadata_csum -b 2048", "rw"},
		{"ext3", "-t ext3 -b 1024", "rw"},
		{"data-journal", "-t ext4 -b 1024", "rw,data=journal"},
		{"orphan-file", "-t ext4 -O orphan_file", "rw"},
		{"csum-seed", "-t ext4 -O metadata_csum_seed -J size=8 -b 4096", "rw"},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := inUse(t, c.args, c.options)
			if !openImage(t, image).Dirty() {
				t.Fatal("the copy is clean")
			}
			wantAsRepaired(t, image)
		})
	}
}

// TestReplayOfDebugfs replays transactions of forms that kernels made once, with
// revocations and blocks that begin like a block of the journal.
func TestReplayOfDebugfs(t *testing.T) {
	for _, c := range []struct{ name, args, open string }{
		{"v2-32bit", "-t ext4 -O ^64bit -b 1024", "jo -c -v 2"},
		{"v2-64bit", "-t ext4 -b 1024", "jo -c -v 2"},
		{"v3", "-t ext4 -b 1024", "jo -c -v 3"},
		{"none", "-t ext3 -b 1024", "jo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			image := makeImage(t, "16M", c.args, "")
			e := editImage(t, image)
			must(t, e.Put("file", noise(100*1024)))
			must(t, e.Commit())
			blocks := strings.Fields(run(t, "debugfs", "-R", "blocks file", image))
			blocks = blocks[len(blocks)-80:] // behind the indirect block
			dir := t.TempDir()
			escaped := append([]byte{0xC0, 0x3B, 0x39, 0x98}, bytes.Repeat([]byte("e"), 1020)...)
			must(t, os.WriteFile(dir+"/a", bytes.Repeat([]byte("A"), 2048), 0o644))
			must(t, os.WriteFile(dir+"/b", bytes.Repeat([]byte("B"), 3072), 0o644))
			must(t, os.WriteFile(dir+"/e", escaped, 0o644))
			script := fmt.Sprintf("%s\njw -b %s,%s %s/a\njw -r %s,%s\njw -b %s,%s,%s %s/b\njw -b %s %s/e\njc\n", c.open,
				blocks[10], blocks[11], dir, blocks[10], blocks[11], blocks[11], blocks[50], blocks[79], dir, blocks[20], dir)
			cmd := exec.Command("debugfs", "-w", "-f", "-", image)
			cmd.Stdin = strings.NewReader(script)
			if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("rror")) {
				t.Fatalf("debugfs: %v\n%s", err, out)
			}
			if !openImage(t, image).Dirty() {
				t.Fatal("debugfs left no journal")
			}
			wantAsRepaired(t, image)
		})
	}
}

// breakJournal changes a byte of the first block of a type in a journal, or, for
// type 0, of the first block that a descriptor names.
func breakJournal(journal []byte, kind byte) {
	for at := 1024; ; at += 1024 {
		b := journal[at:]
		if !bytes.HasPrefix(b, []byte{0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, max(1, kind)}) || !bytes.Equal(b[8:12], journal[0x18:0x1c]) {
			continue
		}
		if kind == 0 {
			b = b[1024:]
		}
		b[0x31] ^= 1
		return
	}
}

// sealJournal makes the checksum of a journal's superblock right.
func sealJournal(b []byte) {
	clear(b[0xFC:0x100])
	binary.BigEndian.PutUint32(b[0xFC:], ^crc32.Update(0, crc32.MakeTable(crc32.Castagnoli), b))
}

// TestReplayRefuses holds that a journal that is not understood to its end is not
// replayed at all.
func TestReplayRefuses(t *testing.T) {
	image := inUse(t, "-t ext4 -b 1024 -J size=4", "rw")
	good, err := os.ReadFile(image)
	must(t, err)
	start := bytes.Index(good, []byte{0xC0, 0x3B, 0x39, 0x98, 0, 0, 0, 4})
	if start < 0 {
		t.Fatal("no journal")
	}
	for name, c := range map[string]struct {
		change func(sb []byte)
		want   error
	}{
		"feature":    {func(sb []byte) { sb[0x29] |= 0x40 }, fault.ErrUnsupported},
		"start":      {func(sb []byte) { sb[0x1D] |= 0x40 }, fault.ErrCorrupt},
		"first":      {func(sb []byte) { sb[0x17] = 0 }, fault.ErrCorrupt},
		"kernel":     {func(sb []byte) { sb[0x23] = 5 }, fault.ErrCorrupt},
		"old sums":   {func(sb []byte) { sb[0x27] |= 1 }, fault.ErrUnsupported},
		"descriptor": {func(sb []byte) { breakJournal(sb, 1) }, fault.ErrCorrupt},
		"block":      {func(sb []byte) { breakJournal(sb, 0) }, fault.ErrCorrupt},
		"commit":     {func(sb []byte) { breakJournal(sb, 2) }, fault.ErrCorrupt},
	} {
		bad := bytes.Clone(good)
		c.change(bad[start:])
		sealJournal(bad[start : start+1024])
		disk := memory(bytes.Clone(bad))
		_, err := ext4.Edit(disk, int64(len(disk)), ext4.EditOptions{Time: editTime})
		if !errors.Is(err, c.want) || !bytes.Equal(disk, bad) {
			t.Errorf("%s: Edit = %v, want %v; bytes changed: %t", name, err, c.want, !bytes.Equal(disk, bad))
		}
	}
}
