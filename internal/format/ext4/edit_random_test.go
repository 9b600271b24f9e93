package ext4_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/ext4"
	"sextant/internal/tree"
)

// shownEverywhere drops what differs from one file system to the next.
func shownEverywhere(l listing) listing {
	out := make(listing)
	for path, a := range l {
		if a.Inode = 0; strings.HasPrefix(a.Mode, "4") {
			a.Size, a.Time = 0, ""
		}
		out[path] = a
	}
	return out
}

// copyImage makes a copy with the holes of the original.
func copyImage(t testing.TB, image string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "copy")
	run(t, "cp", "--sparse=always", image, out)
	return out
}

// opsFile writes changes to a file.
func opsFile(t testing.TB, ops []op) string {
	t.Helper()
	b, err := json.Marshal(ops)
	must(t, err)
	file := filepath.Join(t.TempDir(), "ops")
	must(t, os.WriteFile(file, b, 0o644))
	return file
}

// wantEdited fails the test unless the image is sound and holds what is wanted,
// as the kernel and we see it.
func wantEdited(t *testing.T, image string, want listing) {
	t.Helper()
	f := openImage(t, image)
	wantSound(t, image, f)
	got := listImage(t, f)
	addStat(t, f, got)
	if f.Geometry().BlockSize <= 4096 {
		kernel := kernelList(t, image)
		if diff := cmp.Diff(kernel, got); diff != "" {
			t.Errorf("kernel (-), ours (+):\n%.5000s", diff)
		}
		got = kernel
	}
	if diff := cmp.Diff(shownEverywhere(want), shownEverywhere(got)); diff != "" {
		t.Errorf("want (-), got (+):\n%.5000s", diff)
	}
}

// roundsOf returns how many changes to make.
func roundsOf(usual, long int) int {
	if os.Getenv("SEXTANT_TEST_LONG") != "" {
		return long
	}
	return usual
}

func TestRandomEdits(t *testing.T) {
	for _, format := range formats {
		if strings.HasPrefix(format.name, "bigalloc") || format.name == "quota" || format.name == "casefold" || format.name == "ext2-revision0" || strings.HasPrefix(format.name, "inline") {
			continue
		}
		if strings.HasSuffix(format.name, "8k") || strings.HasSuffix(format.name, "16k") || strings.HasSuffix(format.name, "32k") || strings.HasSuffix(format.name, "64k") {
			continue
		}
		t.Run(format.name, func(t *testing.T) {
			image := makeImage(t, "200M", format.args, "")
			theirs := copyImage(t, image)
			block := openImage(t, image).Geometry().BlockSize
			for round := range roundsOf(1, 10) {
				m := newOpMaker(uint64(round), block, 400_000)
				e, nodes := editImage(t, image), make(map[string]*tree.Inode)
				for range 3 {
					m.ops = nil
					ops := m.make(roundsOf(120, 2000))
					must(t, edit(e, nodes, ops))
					must(t, e.Commit())
					inMount(t, theirs, "rw", editVariable+"="+opsFile(t, ops)+" "+self(t))
				}
				wantEdited(t, image, kernelList(t, theirs))
			}
		})
	}
}

var _ = exec.Command
var _ = ext4.Magic
