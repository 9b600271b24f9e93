package ext4_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/ext4"
	"sextant/internal/tree"
)

// TestFull fills file systems to the last block and the last inode, and holds
// that what does not fit is refused as a whole.
func TestFull(t *testing.T) {
	for _, args := range []string{"-t ext4 -b 1024", "-t ext2 -b 1024", "-t ext4 -b 4096 -O ^has_journal -N 128", "-t ext3"} {
		image := makeImage(t, "9M", args, "")
		before, err := os.ReadFile(image)
		must(t, err)
		e := editImage(t, image)
		free := e.Free()
		if err := e.Put("large", noise(free+1)); !errors.Is(err, ext4.ErrFull) {
			t.Fatalf("%s: Put of more than is free = %v, want ErrFull", args, err)
		}
		if err := e.Commit(); !errors.Is(err, ext4.ErrFull) {
			t.Errorf("%s: Commit = %v, want ErrFull", args, err)
		}
		after, err := os.ReadFile(image)
		must(t, err)
		if !bytes.Equal(before, after) {
			t.Errorf("%s: bytes changed", args)
		}

		// To the last block, with what the maps take.
		e = editImage(t, image)
		names := 0
		for size := e.Free(); e.Free() > 0; size = max(1, size/2) {
			for size < e.Free() || size == 1 && e.Free() > 0 {
				must(t, e.Put(fmt.Sprintf("n%d", names), noise(min(size, e.Free()*9/10+1))))
				names++
			}
		}
		must(t, e.Commit())
		if sb := openImage(t, image).SuperBlock(); sb.FreeBlocksLo != 0 {
			t.Fatalf("%s: %d blocks are free", args, sb.FreeBlocksLo)
		}
		wantSound(t, image, openImage(t, image))
		if err := editImage(t, image).Put("one more", noise(1)); !errors.Is(err, ext4.ErrFull) {
			t.Errorf("%s: Put into a full file system = %v, want ErrFull", args, err)
		}
		// What needs no block still has room; then no inode is left.
		e = editImage(t, image)
		for i := range 100_000 {
			if err = e.Put(fmt.Sprintf("f%d", i), &tree.Inode{Mode: tree.TypeFIFO | 0o600}); err != nil {
				break
			}
		}
		if !errors.Is(err, ext4.ErrFull) {
			t.Errorf("%s: Put = %v, want ErrFull", args, err)
		}
		e = editImage(t, image)
		must(t, e.Remove("n0"))
		if e.Free() != 0 {
			t.Errorf("%s: %d bytes are free before Commit", args, e.Free())
		}
		must(t, e.Commit())
		must(t, e.Put("one more", noise(1)))
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
	}
}

func TestLastInode(t *testing.T) {
	image := makeImage(t, "9M", "-t ext4 -b 1024 -N 64", "")
	e := editImage(t, image)
	count := 0
	var err error
	for ; err == nil; count++ {
		err = e.Put(fmt.Sprintf("n%d", count), noise(1))
	}
	if !errors.Is(err, ext4.ErrFull) || !strings.Contains(err.Error(), "inode") {
		t.Fatalf("Put = %v, want ErrFull for inodes", err)
	}
	e = editImage(t, image)
	for i := range count - 1 {
		must(t, e.Put(fmt.Sprintf("n%d", i), noise(1)))
	}
	must(t, e.Commit())
	f := openImage(t, image)
	if sb := f.SuperBlock(); sb.FreeInodes != 0 {
		t.Errorf("%d inodes are free", sb.FreeInodes)
	}
	wantSound(t, image, f)
}

// TestSharedAttributes holds that inodes share a block of attributes, and that a
// change makes a copy.
func TestSharedAttributes(t *testing.T) {
	for _, args := range []string{"-t ext4 -I 128", "-t ext4 -b 1024 -O ^metadata_csum", "-t ext2"} {
		image := makeImage(t, "40M", args+" -N 4000", "")
		e := editImage(t, image)
		before := e.Free()
		file := func() *tree.Inode {
			n := &tree.Inode{Mode: tree.TypeFIFO | 0o600}
			n.PutXattr("security.selinux", bytes.Repeat([]byte("label"), 60))
			return n
		}
		const count = 1100 // more than may share one
		must(t, e.Put("dir", tree.NewDir(0o755)))
		for i := range count {
			must(t, e.Put(fmt.Sprintf("dir/%d", i), file()))
		}
		other := file()
		other.PutXattr("security.selinux", bytes.Repeat([]byte("other"), 50))
		must(t, e.Set("dir/7", other))
		must(t, e.Remove("dir/8"))
		must(t, e.Commit())
		f := openImage(t, image)
		wantSound(t, image, f)
		got := kernelList(t, image)
		if a, b := got[key("/dir/7")].Xattrs, got[key("/dir/9")].Xattrs; len(a) != 1 || len(b) != 1 || a[0] == b[0] || a[0] != xattrLine("security.selinux", other.Xattrs[0].Value) {
			t.Errorf("%s: attributes are %v and %v", args, a, b)
		}
		if used := (before - e.Free()) / f.Geometry().BlockSize; used > 60 {
			t.Errorf("%s: %d blocks were taken, nothing is shared", args, used)
		}
		e = editImage(t, image)
		must(t, e.RemoveAll("dir"))
		must(t, e.Commit())
		if e.Free() != before {
			t.Errorf("%s: %d bytes free, %d before", args, e.Free(), before)
		}
		wantSound(t, image, openImage(t, image))
	}
}

// TestQuotaOwners gives files to many owners, so that quota files grow.
func TestQuotaOwners(t *testing.T) {
	image := makeImage(t, "40M", "-t ext4 -O quota,project -I 256 -b 1024", "")
	e := editImage(t, image)
	for i := range uint32(300) {
		file := noise(int64(i) * 100)
		file.UID, file.GID = i*i*i*31, i%7*100_000
		must(t, e.Put(fmt.Sprintf("n%d", i), file))
	}
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
	for i := range uint32(300) {
		if i%3 > 0 {
			must(t, e.Remove(fmt.Sprintf("n%d", i)))
		}
	}
	must(t, e.Commit())
	wantSound(t, image, openImage(t, image))
	out := run(t, "debugfs", "-R", "lq user", image)
	if want := fmt.Sprintf("%10d", 3*3*3*31); !strings.Contains(out, want) {
		t.Errorf("debugfs lists no owner %s", want)
	}
}

// TestMemory holds that a large file costs no more memory than a small one.
func TestMemory(t *testing.T) {
	image := makeImage(t, "200M", "-t ext4", "")
	e := editImage(t, image)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	must(t, e.Put("file", noise(100<<20)))
	must(t, e.Commit())
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes were allocated for a file of 100 MiB", used)
	}
}

// TestSameBytes holds that the same changes give the same bytes.
func TestSameBytes(t *testing.T) {
	start := makeImage(t, "60M", "-t ext4 -b 1024", "")
	var results [][]byte
	for range 2 {
		image := copyImage(t, start)
		e := editImage(t, image)
		must(t, edit(e, make(map[string]*tree.Inode), newOpMaker(4, 1024, 100_000).make(300)))
		must(t, e.Commit())
		b, err := os.ReadFile(image)
		must(t, err)
		results = append(results, b)
	}
	if !bytes.Equal(results[0], results[1]) {
		t.Error("two runs differ")
	}
}

// TestEditRefuses holds that a file system that would be damaged is refused, and
// not touched.
func TestEditRefuses(t *testing.T) {
	for _, c := range []struct {
		args, command string
		want          error
		text          string
	}{
		{"-t ext4 -O bigalloc", "", fault.ErrUnsupported, "bigalloc"},
		{"-t ext4", "feature read-only", fault.ErrUnsupported, "read-only"},
		{"-t ext4", "feature shared_blocks", fault.ErrUnsupported, "shared_blocks"},
		{"-t ext4", "ssv feature_compat 0x80000000", fault.ErrUnsupported, "0x80000000"},
		{"-t ext4", "ssv feature_ro_compat 0x40000000", fault.ErrUnsupported, "0x40000000"},
		{"-t ext4", "ssv state 2", fault.ErrCorrupt, "errors"},
		{"-t ext2", "ssv state 0", fault.ErrCorrupt, "state"},
		{"-t ext2", "ssv creator_os 1", fault.ErrUnsupported, "operating system"},
		{"-t ext4 -O mmp", "mmp", fault.ErrCorrupt, "somebody"},
		{"-t ext4", "ssv want_extra_isize 200", fault.ErrCorrupt, "extra"},
		{"-t ext4 -O ^has_journal", "feature needs_recovery", fault.ErrCorrupt, "journal"},
	} {
		image := makeImage(t, "9M", c.args, "")
		if c.command == "mmp" {
			useMMP(t, image)
		} else if c.command != "" {
			run(t, "debugfs", "-w", "-R", c.command, image)
		}
		before, err := os.ReadFile(image)
		must(t, err)
		disk := memory(bytes.Clone(before))
		_, err = ext4.Edit(disk, int64(len(disk)), ext4.EditOptions{Time: editTime})
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s, %s: Edit = %v, want %v with %q", c.args, c.command, err, c.want, c.text)
		}
		if !bytes.Equal(disk, before) {
			t.Errorf("%s, %s: bytes changed", c.args, c.command)
		}
	}
}

// useMMP makes an image look as if somebody used it.
func useMMP(t *testing.T, image string) {
	t.Helper()
	b, err := os.ReadFile(image)
	must(t, err)
	at := bytes.Index(b, []byte{0x50, 0x4D, 0x4D, 0x00, 0x50, 0x4D, 0x4D, 0xFF})
	if at < 0 {
		t.Fatal("no multi-mount protection")
	}
	copy(b[at+4:], []byte{0x11, 0, 0, 0})
	must(t, os.WriteFile(image, b, 0o644))
}

// TestChangesThatAreRefused holds that a change that cannot be made is told
// before anything of it is done: the next one works.
func TestChangesThatAreRefused(t *testing.T) {
	image := makeImage(t, "9M", "-t ext4 -O casefold,encrypt", "")
	e := editImage(t, image)
	must(t, e.Put("dir", tree.NewDir(0o755)))
	must(t, e.Put("dir/file", regular("x")))
	must(t, e.Put("link", &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "dir"}))
	for _, name := range []string{"fixed", "fold", "secret", "more"} {
		must(t, e.Put(name, tree.NewDir(0o755)))
	}
	must(t, e.Commit())
	run(t, "debugfs", "-w", "-R", "sif fixed flags 0x80010", image)
	run(t, "debugfs", "-w", "-R", "sif more flags 0x80020", image)
	run(t, "debugfs", "-w", "-R", "sif fold flags 0x40080000", image)
	run(t, "debugfs", "-w", "-R", "sif secret flags 0x80800", image)
	e = editImage(t, image)
	must(t, e.Put("more/appended", regular("x")))
	large := regular("x")
	large.PutXattr("user.large", make([]byte, 5000))
	strange := regular("x")
	strange.PutXattr("system.strange", nil)
	broken := regular("x")
	broken.PutXattr("system.posix_acl_access", []byte("123"))
	for _, c := range []struct {
		what string
		err  error
		want error
	}{
		{"no directory", e.Put("none/file", regular("x")), fs.ErrNotExist},
		{"file as directory", e.Put("dir/file/x", regular("x")), fs.ErrInvalid},
		{"link as directory", e.Put("link/x", regular("x")), fs.ErrInvalid},
		{"file for directory", e.Put("dir", regular("x")), fs.ErrExist},
		{"directory for file", e.Put("dir/file", tree.NewDir(0o755)), fs.ErrExist},
		{"long name", e.Put(strings.Repeat("n", 256), regular("x")), fs.ErrInvalid},
		{"dots", e.Put("dir/..", regular("x")), fs.ErrInvalid},
		{"NUL", e.Put("a\x00b", regular("x")), fs.ErrInvalid},
		{"not empty", e.Remove("dir"), fs.ErrExist},
		{"nothing", e.Remove("none"), fs.ErrNotExist},
		{"no file to set", e.Set("none", regular("x")), fs.ErrNotExist},
		{"set of another type", e.Set("dir", regular("x")), fs.ErrExist},
		{"root", e.RemoveAll("/"), fs.ErrInvalid},
		{"immutable", e.Put("fixed/x", regular("x")), fs.ErrPermission},
		{"immutable set", e.Set("fixed", tree.NewDir(0o700)), fs.ErrPermission},
		{"append only", e.Remove("more/appended"), fs.ErrPermission},
		{"append only replaced", e.Put("more/appended", regular("y")), fs.ErrPermission},
		{"casefold", e.Put("fold/x", regular("x")), fault.ErrUnsupported},
		{"encrypted", e.Put("secret/x", regular("x")), fault.ErrUnsupported},
		{"large attribute", e.Put("x", large), ext4.ErrLimit},
		{"strange attribute", e.Put("x", strange), fault.ErrUnsupported},
		{"broken ACL", e.Put("x", broken), fs.ErrInvalid},
		{"no content", e.Put("x", &tree.Inode{Mode: tree.TypeRegular}), fs.ErrInvalid},
		{"no type", e.Put("x", &tree.Inode{Mode: 0o644}), fs.ErrInvalid},
		{"empty link", e.Put("x", &tree.Inode{Mode: tree.TypeSymlink}), fs.ErrInvalid},
		{"long link", e.Put("x", &tree.Inode{Mode: tree.TypeSymlink, Target: strings.Repeat("x", 1024)}), fs.ErrInvalid},
		{"large device", e.Put("x", &tree.Inode{Mode: tree.TypeChar, Device: tree.Device{Major: 5000}}), fs.ErrInvalid},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.err, c.want)
		}
	}
	must(t, e.RemoveAll("none"))
	must(t, e.Put("after", regular("x")))
	must(t, e.Commit())
	run(t, "debugfs", "-w", "-R", "sif fold flags 0x80000", image)
	run(t, "debugfs", "-w", "-R", "sif secret flags 0x80000", image)
	wantSound(t, image, openImage(t, image))
}

// TestFSView looks at a file system through the Editor, between changes.
func TestFSView(t *testing.T) {
	e := editImage(t, makeImage(t, "9M", "-t ext4", ""))
	must(t, e.Put("dir", tree.NewDir(0o755)))
	must(t, e.Put("dir/file", regular("content")))
	must(t, e.Put("link", &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "dir/file"}))
	if b, err := fs.ReadFile(e.FS(), "link"); err != nil || string(b) != "content" {
		t.Errorf("ReadFile = %q, %v", b, err)
	}
	must(t, e.Put("dir/file", regular("other")))
	if b, err := fs.ReadFile(e.FS(), "link"); err != nil || string(b) != "other" {
		t.Errorf("ReadFile = %q, %v", b, err)
	}
	labelled, err := e.FS().Inode("dir/file")
	must(t, err)
	labelled.PutXattr("security.selinux", []byte("label"))
	must(t, e.Set("dir/file", labelled))
	if file, err := e.FS().Inode("dir/file"); err != nil || len(file.Xattrs) != 1 || file.Mode != tree.TypeRegular|0o644 || !file.ModTime.Equal(editTime) {
		t.Errorf("Inode = %+v, %v", file, err)
	}
	if err := fstest.TestFS(e.FS(), "dir/file", "link", "lost+found"); err != nil {
		t.Error(err)
	}
	problems, err := e.FS().Check(t.Context())
	if err != nil || len(problems) > 0 {
		t.Errorf("Check = %v, %v", problems, err)
	}
	must(t, e.Remove("link"))
	if _, err := e.FS().Lstat("link"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lstat = %v, want ErrNotExist", err)
	}
}

// TestTimes holds that times that have no room become the nearest that have.
func TestTimes(t *testing.T) {
	for _, args := range []string{"-t ext4", "-t ext2 -I 128"} {
		image := makeImage(t, "9M", args, "")
		e := editImage(t, image)
		for year := 1800; year <= 2600; year += 50 {
			file := regular("x")
			file.ModTime = time.Date(year, 1, 1, 0, 0, 0, 123456789, time.UTC)
			must(t, e.Put(fmt.Sprint(year), file))
		}
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
		out := strings.Fields(string(inMount(t, image, "ro,noload", "for y in [12]*; do stat -c %.9Y $y; done")))
		last, ns := int64(3)<<32+1<<31-1, "123456789"
		if strings.Contains(args, "128") {
			last, ns = 1<<31-1, "000000000"
		}
		for i, got := range out {
			at := time.Date(1800+50*i, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
			want := fmt.Sprintf("%d.%s", at, ns)
			if at < -1<<31 {
				want = fmt.Sprintf("%d.000000000", int64(-1<<31))
			} else if at > last {
				want = fmt.Sprintf("%d.000000000", last)
			}
			if at >= 0 && got != want {
				t.Errorf("%s, %d: kernel shows %s, want %s", args, 1800+50*i, got, want)
			}
		}
	}
}

// TestNearlyFull puts files into the gaps that the kernel left in a full file
// system.
func TestNearlyFull(t *testing.T) {
	for _, args := range []string{"-t ext4 -b 1024 -N 16000", "-t ext2 -b 1024 -N 16000"} {
		image := makeImage(t, "40M", args, "")
		inMount(t, image, "rw", `
			for i in $(seq 60); do mkdir $i; for k in $(seq 100); do echo $i $k > $i/$k; echo > $i/gap$k; done; done 2>/dev/null || true
			dd if=/dev/zero of=rest bs=1k status=none 2>/dev/null || true
			rm */gap*`)
		before, err := os.ReadFile(image)
		must(t, err)
		e := editImage(t, image)
		free := e.Free()
		if free < 3<<20 || free > 12<<20 {
			t.Fatalf("%s: %d bytes are free", args, free)
		}
		if err := e.Put("new", noise(free)); !errors.Is(err, ext4.ErrFull) {
			t.Errorf("%s: Put = %v, want ErrFull", args, err)
		}
		after, err := os.ReadFile(image)
		must(t, err)
		if !bytes.Equal(before, after) {
			t.Errorf("%s: bytes changed", args)
		}
		e = editImage(t, image)
		file := noise(free * 19 / 20)
		must(t, e.Put("new", file))
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
		want, err := hashContent(file.Content)
		must(t, err)
		out := string(inMount(t, image, "ro,noload", "sha256sum < new | cut -c-16; cat 60/100 1/1"))
		if out != want+"\n60 100\n1 1\n" {
			t.Errorf("%s: kernel shows %q, want %q", args, out, want)
		}
	}
}
