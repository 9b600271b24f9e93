package ext4_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/ext4"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// TestACLs holds that access control lists come out of the kernel as they went in.
func TestACLs(t *testing.T) {
	image := makeImage(t, "9M", "-t ext4", "")
	e := editImage(t, image)
	file := regular("x")
	file.PutXattr("system.posix_acl_access", acl())
	dir := tree.NewDir(0o755)
	dir.PutXattr("system.posix_acl_default", acl())
	must(t, e.Put("file", file))
	must(t, e.Put("dir", dir))
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
	got := kernelList(t, image)
	for path, name := range map[string]string{"/file": "system.posix_acl_access", "/dir": "system.posix_acl_default"} {
		if want := []string{xattrLine(name, acl())}; !slices.Equal(got[key(path)].Xattrs, want) {
			t.Errorf("%s has %v, want %v", path, got[key(path)].Xattrs, want)
		}
	}
}

// TestLinearDirectories edits directories of several blocks without an index.
func TestLinearDirectories(t *testing.T) {
	for _, args := range []string{"-t ext4 -b 1024 -O ^dir_index", "-t ext2 -b 1024 -O ^dir_index,^filetype", "-t ext4 -b 65536 -O ^dir_index,^metadata_csum"} {
		image := makeImage(t, "40M", args, "")
		e := editImage(t, image)
		names := 400
		if strings.Contains(args, "65536") {
			names = 600
		}
		longNames(t, e, "dir", 0, names)
		for i := 0; i < names; i += 3 {
			must(t, e.Remove(fmt.Sprintf("dir/%0250d", i)))
		}
		for i := 1; i < names; i += 3 {
			must(t, e.Put(fmt.Sprintf("dir/%0250d", i), &tree.Inode{Mode: tree.TypeChar | 0o600}))
		}
		must(t, e.Commit())
		f := openImage(t, image)
		wantSound(t, image, f)
		list, err := f.ReadDir("dir")
		if err != nil || len(list) != names-(names+2)/3 {
			t.Errorf("%s: %d entries, %v", args, len(list), err)
		}
		for i := range names {
			if i%3 > 0 {
				must(t, e.Remove(fmt.Sprintf("dir/%0250d", i)))
			}
		}
		must(t, e.Remove("dir"))
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
	}
}

// TestLargeBlocks makes directories with an index of blocks whose length has no
// room in an entry.
func TestLargeBlocks(t *testing.T) {
	for _, args := range []string{"-t ext4 -b 65536 -N 8192", "-t ext4 -b 65536 -N 8192 -O ^metadata_csum"} {
		image := makeImage(t, "400M", args, "")
		e := editImage(t, image)
		longNames(t, e, "dir", 0, 3000)
		must(t, e.Commit())
		f := openImage(t, image)
		wantSound(t, image, f)
		if out := run(t, "debugfs", "-R", "ls -p /dir", image); strings.Count(out, "\n") < 3002 {
			t.Errorf("%s: debugfs lists %d entries", args, strings.Count(out, "\n"))
		}
		for i := range 3000 {
			must(t, e.Remove(fmt.Sprintf("dir/%0250d", i)))
		}
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
	}
}

// TestIndexWithoutFeature changes a directory whose index does not count any
// more.
func TestIndexWithoutFeature(t *testing.T) {
	for args, want := range map[string]error{"-t ext2 -b 1024": nil, "-t ext4 -b 1024": fault.ErrUnsupported} {
		image := makeImage(t, "9M", args, "")
		e := editImage(t, image)
		longNames(t, e, "dir", 0, 20)
		must(t, e.Commit())
		run(t, "debugfs", "-w", "-R", "feature -dir_index", image)
		e = editImage(t, image)
		if err := e.Put("dir/more", regular("x")); !errors.Is(err, want) {
			t.Errorf("%s: Put = %v, want %v", args, err, want)
		} else if err == nil {
			must(t, e.Commit())
			wantSound(t, image, openImage(t, image))
		}
	}
}

// TestFastCommits refuses a journal with changes that only the kernel can apply.
func TestFastCommits(t *testing.T) {
	image := makeImage(t, "64M", "-t ext4 -b 1024 -O fast_commit", "")
	copied := filepath.Join(t.TempDir(), "copied")
	inMount(t, image, "rw", `
		mkdir dir; seq 1000 > dir/file; sync -f .
		echo more >> dir/file; sync dir/file
		cp --sparse=always "`+image+`" "`+copied+`"`)
	fi, err := os.Stat(copied)
	must(t, err)
	file, err := os.OpenFile(copied, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	if _, err := ext4.Edit(file, fi.Size(), ext4.EditOptions{}); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "fast commits") {
		t.Errorf("Edit = %v, want ErrUnsupported for fast commits", err)
	}
	e := editImage(t, image)
	must(t, e.Put("dir/file", regular("x")))
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
}

// TestValuesInInodes removes files whose attributes are so large that they have
// inodes of their own, and does not change them.
func TestValuesInInodes(t *testing.T) {
	image := makeImage(t, "40M", "-t ext4 -b 1024 -O ea_inode", "")
	ops := []op{
		{Do: "put", Path: "a", Mode: tree.TypeRegular | 0o644, Xattrs: map[string][]byte{"trusted.large": pattern(1, 40_000), "trusted.other": pattern(2, 20_000)}},
		{Do: "put", Path: "b", Mode: tree.TypeRegular | 0o644, Xattrs: map[string][]byte{"trusted.large": pattern(1, 40_000)}},
		{Do: "put", Path: "c", Mode: tree.TypeRegular | 0o644, Xattrs: map[string][]byte{"trusted.more": pattern(1, 40_000)}},
	}
	before := editImage(t, image).Free()
	inMount(t, image, "rw", editVariable+"="+opsFile(t, ops)+" "+self(t))
	e := editImage(t, image)
	if err := e.Set("a", regular("x")); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Set = %v, want ErrUnsupported", err)
	}
	for _, name := range []string{"a", "b", "c"} {
		must(t, e.Remove(name))
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
	}
	if e.Free() != before {
		t.Errorf("%d bytes free, %d before", e.Free(), before)
	}
}

// TestLongExtent makes a file of more blocks in a row than one extent holds.
func TestLongExtent(t *testing.T) {
	image := makeImage(t, "300M", "-t ext4 -b 1024", "")
	e := editImage(t, image)
	must(t, e.Put("file", noise(180<<20)))
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
	if out := run(t, "debugfs", "-R", "ex file", image); !strings.Contains(out, " 32768 \n") {
		t.Errorf("no extent of full length:\n%s", out)
	}
	want, err := hashContent(noise(180 << 20).Content)
	must(t, err)
	if out := inMount(t, image, "ro,noload", "sha256sum < file | cut -c-16"); strings.TrimSpace(string(out)) != want {
		t.Errorf("kernel reads %s, want %s", out, want)
	}
}

// TestManyLinks gives one file as many names as it can have.
func TestManyLinks(t *testing.T) {
	testenv.RequireLong(t)
	image := makeImage(t, "40M", "-t ext4 -b 1024", "")
	e := editImage(t, image)
	file := regular("x")
	must(t, e.Put("dir", tree.NewDir(0o755)))
	for i := range 65000 {
		must(t, e.Put(fmt.Sprintf("dir/%d", i), file))
	}
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
	if err := e.Put("more", file); !errors.Is(err, ext4.ErrLimit) {
		t.Errorf("Put = %v, want ErrLimit", err)
	}
}

// TestRevision0 edits a file system of the first revision, which has no features.
func TestRevision0(t *testing.T) {
	image := makeImage(t, "20M", "-t ext2 -r 0 -b 1024", "")
	e := editImage(t, image)
	must(t, e.Put("dir", tree.NewDir(0o755)))
	longNames(t, e, "dir/many", 0, 100)
	must(t, e.Put("dir/file", noise(500_000)))
	must(t, e.Commit())
	f := openImage(t, image)
	wantSound(t, image, f)
	got := listImage(t, f)
	addStat(t, f, got)
	if diff := cmp.Diff(kernelList(t, image), got); diff != "" {
		t.Errorf("kernel (-), ours (+):\n%.3000s", diff)
	}
	large := &tree.Inode{Mode: tree.TypeRegular, Content: imagetest.Sparse(1, 3<<30)}
	if err := editImage(t, image).Put("large", large); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Put of a large file = %v, want ErrUnsupported", err)
	}
	labelled := regular("x")
	labelled.PutXattr("user.note", []byte("x"))
	if err := editImage(t, image).Put("labelled", labelled); err == nil {
		t.Error("Put with attributes succeeded")
	}
}

// TestTooLarge refuses contents that no map can lead to.
func TestTooLarge(t *testing.T) {
	for _, args := range []string{"-t ext4 -b 1024", "-t ext2 -b 1024"} {
		e := editImage(t, makeImage(t, "9M", args, ""))
		file := &tree.Inode{Mode: tree.TypeRegular, Content: imagetest.Sparse(1, 5<<40)}
		if err := e.Put("file", file); !errors.Is(err, ext4.ErrLimit) {
			t.Errorf("%s: Put of 5 TiB = %v", args, err)
		}
	}
}

// TestProjects holds that a project goes on to what is made in its directories.
func TestProjects(t *testing.T) {
	image := makeImage(t, "20M", "-t ext4 -O project,quota -I 256", "")
	run(t, "debugfs", "-w", "-R", "mkdir dir", image)
	run(t, "debugfs", "-w", "-R", "sif dir projid 4711", image)
	run(t, "debugfs", "-w", "-R", "sif dir flags 0x20080000", image)
	_ = exec.Command("e2fsck", "-fy", image).Run() // counts anew
	e := editImage(t, image)
	must(t, e.Put("dir/file", noise(10_000)))
	must(t, e.Put("dir/inner", tree.NewDir(0o755)))
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
	for _, path := range []string{"/dir/file", "/dir/inner"} {
		if out := run(t, "debugfs", "-R", "stat "+path, image); !strings.Contains(out, "Project:  4711") {
			t.Errorf("%s is in no project: %.400s", path, out)
		}
	}
}

// TestSameHash splits a leaf in the middle of names with one hash. They were
// looked for, with the hash function and seed that makeImage has.
func TestSameHash(t *testing.T) {
	var names []string
	for _, end := range []string{"cadaddbbadbaaaaa", "acbadcabbabdaaaa", "aacddcdbdccabaaa", "dddccbabbbbbbaaa"} {
		names = append(names, strings.Repeat("c", 224)+end)
	}
	for _, args := range []string{"-t ext4 -b 1024", "-t ext4 -b 1024 -O ^metadata_csum", "-t ext2 -b 1024"} {
		image := makeImage(t, "9M", args, "")
		e := editImage(t, image)
		must(t, e.Put("dir", tree.NewDir(0o755)))
		put := func(name string) {
			t.Helper()
			must(t, e.Put("dir/"+name, &tree.Inode{Mode: tree.TypeFIFO | 0o600}))
		}
		for _, name := range names {
			put(name)
		}
		put(strings.Repeat("x", 250))
		put(strings.Repeat("y", 250))
		must(t, e.Commit())
		f := openImage(t, image)
		wantSound(t, image, f)
		if out := run(t, "debugfs", "-R", "htree_dump /dir", image); !strings.Contains(out, "Hash 0x07dc1cc5 (**)") {
			t.Errorf("%s: no leaf goes on with a hash: %s", args, out)
		}
		for _, name := range names {
			if _, err := f.Lstat("dir/" + name); err != nil {
				t.Errorf("%s: %v", args, err)
			}
			inMount(t, image, "ro,noload", "test -p dir/"+name)
			must(t, e.Remove("dir/"+name))
			put(name)
		}
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
		for _, name := range names {
			must(t, e.Remove("dir/"+name))
		}
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
	}
}

// TestDirectoryInItself removes a directory that can be reached from inside.
func TestDirectoryInItself(t *testing.T) {
	image := makeImage(t, "9M", "-t ext2 -b 1024", "")
	e := editImage(t, image)
	must(t, e.Put("dir", tree.NewDir(0o755)))
	must(t, e.Put("dir/inner", tree.NewDir(0o755)))
	must(t, e.Commit())
	run(t, "debugfs", "-w", "-R", "link dir dir/inner/again", image)
	if err := editImage(t, image).RemoveAll("dir"); !errors.Is(err, fault.ErrCorrupt) || !strings.Contains(err.Error(), "lies in itself") {
		t.Errorf("RemoveAll = %v, want ErrCorrupt", err)
	}
}
