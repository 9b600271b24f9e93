package ext4_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/testenv"
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
	delete(out, key("/lost+found"))
	delete(out, key("/"))
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

// mountable reports whether the kernel can and may write the image: it has no
// blocks as large as some, and waits for itself when it moves inline data out of
// an inode while a small journal is full.
func mountable(t testing.TB, image string) bool {
	f := openImage(t, image)
	sb := f.SuperBlock()
	if f.Geometry().BlockSize > 4096 || strings.Contains(sb.FeatureIncompat.String(), "inline_data") && sb.JournalInode != 0 {
		return false
	}
	return kernelHas(t, image, "rw")
}

// wantEdited fails the test unless the image is sound and holds what is wanted,
// as the kernel and we see it.
func wantEdited(t *testing.T, image string, want listing) {
	t.Helper()
	f := openImage(t, image)
	wantSound(t, image, f)
	got := listImage(t, f)
	addStat(t, f, got)
	if f.Geometry().BlockSize <= 4096 && kernelHas(t, image, "ro") {
		kernel := kernelList(t, image)
		if diff := cmp.Diff(kernel, got); diff != "" {
			t.Errorf("kernel (-), ours (+):\n%.5000s", diff)
		}
		got = kernel
	} else if diff := cmp.Diff(asDumped(dumped(t, image)), asDumped(got)); diff != "" {
		t.Errorf("debugfs (-), ours (+):\n%.5000s", diff)
	}
	if diff := cmp.Diff(shownEverywhere(want), shownEverywhere(got)); diff != "" {
		t.Errorf("want (-), got (+):\n%.5000s", diff)
	}
}

// dumped lists the files of an image as debugfs sees them.
func dumped(t *testing.T, image string) listing {
	t.Helper()
	dir := t.TempDir()
	run(t, "debugfs", "-R", fmt.Sprintf("rdump / %s", dir), image)
	l, err := listDir(dir)
	must(t, err)
	return l
}

// asDumped leaves what debugfs keeps of a file.
func asDumped(l listing) listing {
	out := make(listing)
	for path, a := range shownEverywhere(l) {
		kind := a.Mode[:len(a.Mode)-4]
		a.Mode = a.Mode[len(a.Mode)-3:]
		switch kind {
		case "4":
			out[path] = attributes{Mode: a.Mode, UID: a.UID, GID: a.GID}
		case "10":
			out[path] = attributes{Mode: a.Mode, UID: a.UID, GID: a.GID, Size: a.Size, Hash: a.Hash}
		case "12":
			out[path] = attributes{Target: a.Target}
		}
	}
	return out
}

// TestRandomEdits makes the same changes as the kernel: to a file system that the
// kernel has filled before. Where the kernel cannot write it, the changes are
// made in a directory.
func TestRandomEdits(t *testing.T) {
	// mke2fs gives small file systems small blocks, unless it is told.
	list := append(formats[:len(formats):len(formats)],
		format{"inline-no-journal", "40M", "-t ext4 -O inline_data,^has_journal"},
		format{"inline-no-journal-4k", "40M", "-t ext4 -O inline_data,^has_journal -b 4096"},
		format{"ext4-4k", "40M", "-t ext4 -b 4096"},
		format{"ext4-4k-all", "40M", "-t ext4 -b 4096 -O metadata_csum_seed,orphan_file,large_dir,quota -G 4"},
		format{"ext3-4k", "40M", "-t ext3 -b 4096"},
		format{"ext2-4k-inode128", "40M", "-t ext2 -b 4096 -I 128"},
		format{"ext4-lazy", "40M", "-t ext4 -b 4096 -E lazy_itable_init=1"},
		format{"ext4-stride", "40M", "-t ext4 -b 1024 -g 1024 -N 8192"})
	for _, format := range list {
		if format.name == "ext2-revision0" || strings.HasPrefix(format.name, "bigalloc") {
			continue
		}
		t.Run(format.name, func(t *testing.T) {
			t.Parallel()
			image := makeImage(t, "200M", format.args, "")
			for round := range testenv.Amount(1, 10) {
				randomEdits(t, image, uint64(round), testenv.Amount(100, 1500))
			}
		})
	}
}

func randomEdits(t *testing.T, start string, seed uint64, count int) {
	image := copyImage(t, start)
	block := openImage(t, image).Geometry().BlockSize
	count = min(count, int(12_000_000/block)) // large blocks fill the image
	m := newOpMaker(seed, block, 400_000)
	theirs := t.TempDir()
	byKernel := func(ops []op) { must(t, apply(theirs, ops)) }
	if mountable(t, image) {
		theirs = filepath.Join(theirs, "image")
		byKernel = func(ops []op) {
			inMount(t, theirs, "rw", editVariable+"="+opsFile(t, ops)+" "+self(t))
		}
		inMount(t, image, "rw", editVariable+"="+opsFile(t, m.make(count))+" "+self(t))
		m.forget()
		run(t, "cp", "--sparse=always", image, theirs)
	}
	e, nodes := editImage(t, image), make(map[string]*tree.Inode)
	for range 3 {
		ops := m.make(count)
		must(t, edit(e, nodes, ops))
		must(t, e.Commit())
		byKernel(ops)
	}
	var want listing
	if fi, err := os.Stat(theirs); err == nil && fi.IsDir() {
		want, err = listDir(theirs)
		must(t, err)
	} else {
		want = kernelList(t, theirs)
	}
	if len(want) < 25 {
		t.Fatalf("only %d files are left", len(want))
	}
	wantEdited(t, image, want)
}
