package ext4_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/ext4"
	"sextant/internal/testenv"
)

// format is a way to make a file system: arguments of mke2fs.
type format struct{ name, size, args string }

// formats are ways to make a file system. Where blocks are too large for the
// kernel to mount, what it holds is compared with the source alone.
var formats = []format{
	{"ext2", "24M", "-t ext2"},
	{"ext2-1k", "24M", "-t ext2 -b 1024"},
	{"ext2-2k-inode128", "24M", "-t ext2 -b 2048 -I 128"},
	{"ext2-revision0", "24M", "-t ext2 -r 0"},
	{"ext3", "40M", "-t ext3"},
	{"ext3-1k", "40M", "-t ext3 -b 1024"},
	{"ext4", "40M", "-t ext4"},
	{"ext4-1k", "40M", "-t ext4 -b 1024"},
	{"ext4-2k", "40M", "-t ext4 -b 2048"},
	{"ext4-8k", "60M", "-t ext4 -b 8192"},
	{"ext4-16k", "80M", "-t ext4 -b 16384"},
	{"ext4-32k", "100M", "-t ext4 -b 32768"},
	{"ext4-64k", "200M", "-t ext4 -b 65536"},
	{"no-extents", "40M", "-t ext4 -O ^extents,^64bit"},
	{"inline", "40M", "-t ext4 -O inline_data"},
	{"inline-inode512", "40M", "-t ext4 -O inline_data -I 512"},
	{"inline-1k-inode1024", "40M", "-t ext4 -O inline_data -b 1024 -I 1024"},
	{"no-64bit", "40M", "-t ext4 -O ^64bit"},
	{"bigalloc", "64M", "-t ext4 -O bigalloc -C 16384"},
	{"bigalloc-1k", "64M", "-t ext4 -O bigalloc -b 1024 -C 8192"},
	{"csum-seed", "40M", "-t ext4 -O metadata_csum_seed"},
	{"no-csum", "40M", "-t ext4 -O ^metadata_csum"},
	{"gdt-csum", "40M", "-t ext4 -O ^metadata_csum,uninit_bg"},
	{"gdt-csum-32bit", "300M", "-t ext4 -O ^metadata_csum,uninit_bg,^64bit -b 1024"},
	{"no-flex-bg", "300M", "-t ext4 -O ^flex_bg -b 1024"},
	{"meta-bg", "300M", "-t ext4 -O meta_bg,^resize_inode -b 1024"},
	{"meta-bg-32bit", "300M", "-t ext4 -O meta_bg,^resize_inode,^64bit,^flex_bg -b 1024"},
	{"sparse-super2", "300M", "-t ext4 -O sparse_super2 -b 1024"},
	{"sparse-super2-no-resize", "300M", "-t ext4 -O sparse_super2,^resize_inode -b 1024"},
	{"all-supers", "300M", "-t ext4 -O ^sparse_super,^resize_inode -b 1024"},
	{"no-filetype", "40M", "-t ext4 -O ^filetype"},
	{"ea-inode", "40M", "-t ext4 -O ea_inode"},
	{"quota", "40M", "-t ext4 -O quota,project -I 256"},
	{"orphan-file", "40M", "-t ext4 -O orphan_file"},
	{"mmp", "40M", "-t ext4 -O mmp"},
	{"casefold", "40M", "-t ext4 -O casefold"},
	{"encrypt-verity", "40M", "-t ext4 -O encrypt,verity,large_dir,stable_inodes"},
	{"no-journal", "24M", "-t ext4 -O ^has_journal"},
	{"inode128", "40M", "-t ext4 -I 128"},
}

// makeImage makes a file system in a file of its own.
func makeImage(t testing.TB, size, args, source string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image")
	all := append(strings.Fields(args), "-q", "-F", "-E", "hash_seed=6e4d1d7c-4bd1-43b8-b5a2-9e3e21cd5e0e,lazy_itable_init=0")
	if source != "" {
		all = append(all, "-d", source)
	}
	run(t, "mke2fs", append(all, image, size)...)
	return image
}

// wantSound fails the test if e2fsck or Check find a problem.
func wantSound(t testing.TB, image string, f *ext4.FS) {
	t.Helper()
	run(t, "e2fsck", "-fn", image)
	problems, err := f.Check(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("Check: %v", p)
	}
}

func TestMatrixFromSource(t *testing.T) {
	source := everything(t)
	want, err := listDir(source)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range formats {
		t.Run(format.name, func(t *testing.T) {
			t.Parallel()
			image := makeImage(t, format.size, format.args, source)
			if format.name == "quota" {
				// mke2fs counts before it copies the files. Exit code 1
				// says that e2fsck did correct the counts.
				_ = exec.Command("e2fsck", "-fy", image).Run()
			}
			f := openImage(t, image)
			got := listImage(t, f)
			wantSound(t, image, f)
			if f.Geometry().BlockSize <= 4096 && (format.name != "casefold" || kernelHas(t, image, "ro")) {
				addStat(t, f, got)
				if diff := cmp.Diff(kernelList(t, image), got); diff != "" {
					t.Errorf("kernel (-), ours (+):\n%s", diff)
				}
				return
			}
			if diff := cmp.Diff(asCopied(want), asCopied(got)); diff != "" {
				t.Errorf("source (-), ours (+):\n%s", diff)
			}
		})
	}
}

// kernelHas reports whether the running kernel mounts an image: not every one is
// built with quotas and Unicode.
func kernelHas(t testing.TB, image, options string) bool {
	t.Helper()
	testenv.RequireRoot(t)
	return exec.Command("unshare", "--mount", "--propagation", "private",
		"mount", "-t", "ext4", "-o", "loop,"+options, image, t.TempDir()).Run() == nil
}

// asCopied drops what mke2fs does not copy: it takes 32 bits of a time.
func asCopied(l listing) listing {
	out := make(listing)
	for path, a := range l {
		if path == key("/") || strings.HasPrefix(path, key("/lost+found")[:12]) {
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, a.Time)
		if err != nil {
			panic(err)
		}
		a.Links, a.Inode, a.Time = 0, 0, time.Unix(int64(int32(at.Unix())), 0).UTC().String()
		if strings.HasPrefix(a.Mode, "4") {
			a.Size = 0
		}
		out[path] = a
	}
	return out
}

func TestIOFS(t *testing.T) {
	source := t.TempDir()
	m := newMaker(t, source)
	m.file("a/b/c", []byte("content of c"))
	m.file("a/empty", nil)
	m.file("big", pattern(1, 300000))
	for name, target := range map[string]string{
		"a/up": "../big", "abs": "/a/b/c", "dir": "a/b", "loop": "loop", "out": "../../../big", "dangling": "nowhere",
	} {
		m.must(os.Symlink(target, m.path(name)))
	}
	for _, args := range []string{"-t ext4", "-t ext4 -O inline_data", "-t ext2 -b 1024"} {
		f := openImage(t, makeImage(t, "8M", args, source))
		for path, want := range map[string]string{"a/up": "big", "abs": "a/b/c", "dir/c": "a/b/c", "out": "big"} {
			got, err := f.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if other, err := f.Lstat(want); err != nil || other.Sys().(*ext4.Stat).Inode != got.Sys().(*ext4.Stat).Inode {
				t.Errorf("Stat(%q) is not %s", path, want)
			}
		}
		for _, path := range []string{"loop", "dangling", "a/b/c/d", "none"} {
			if _, err := f.Open(path); err == nil {
				t.Errorf("Open(%q) succeeded", path)
			}
		}
	}
	m.must(os.Remove(m.path("loop")))
	m.must(os.Remove(m.path("dangling")))
	for _, args := range []string{"-t ext4", "-t ext4 -O inline_data", "-t ext2 -b 1024"} {
		f := openImage(t, makeImage(t, "8M", args, source))
		if err := fstest.TestFS(f, "a/b/c", "big", "abs", "lost+found"); err != nil {
			t.Error(err)
		}
	}
}

// TestMatrixFromKernel reads what the kernel wrote: in the usual formats, and in
// all with SEXTANT_TEST_LONG.
func TestMatrixFromKernel(t *testing.T) {
	const usual = " ext2-2k-inode128 ext3-1k ext4 ext4-1k inline bigalloc gdt-csum-32bit meta-bg ea-inode no-filetype "
	testenv.RequireRoot(t)
	for _, format := range formats {
		if strings.HasPrefix(format.name, "ext4-") && len(format.name) > len("ext4-2k") {
			continue // blocks too large for the kernel
		}
		if strings.Contains(format.name, "8k") || format.name == "ext2-revision0" {
			continue
		}
		if !strings.Contains(usual, " "+format.name+" ") && !testenv.Long() {
			continue
		}
		if strings.HasPrefix(format.name, "inline") {
			// Linux 6.18 waits for itself for ever when it moves inline data
			// out of the inode while a small journal is full.
			format.args += " -O ^has_journal"
		}
		t.Run(format.name, func(t *testing.T) {
			image := makeImage(t, "400M", format.args, "")
			if (format.name == "quota" || format.name == "casefold") && !kernelHas(t, image, "rw") {
				t.Skip("LEFT OUT: this kernel cannot write it")
			}
			inMount(t, image, "rw", fillVariable+"=$PWD "+self(t))
			f := openImage(t, image)
			got := listImage(t, f)
			wantSound(t, image, f)
			addStat(t, f, got)
			if diff := cmp.Diff(kernelList(t, image), got); diff != "" {
				t.Errorf("kernel (-), ours (+):\n%s", diff)
			}
			wantHardCases(t, format.name, image, f)
		})
	}
}

// wantHardCases makes sure that the cases that were meant to be hard are.
func wantHardCases(t *testing.T, format, image string, f *ext4.FS) {
	t.Helper()
	var out strings.Builder
	if err := f.DescribeFile(&out, "many"); err != nil {
		t.Fatal(err)
	}
	switch {
	case format == "ext4-1k" && !strings.Contains(run(t, "debugfs", "-R", "ex fragments", image), " 3/ 3 "):
		t.Error("the extent tree is flat")
	case format == "ext4" && !strings.Contains(out.String(), "index: true"):
		t.Error("the large directory has no index")
	}
	xattrs, err := f.Xattrs("xattr/large")
	if err != nil || format == "ea-inode" && (len(xattrs) != 2 || len(xattrs[0].Value) != 60000) {
		t.Errorf("Xattrs = %d, %v", len(xattrs), err)
	}
}

// TestManyDirectories makes more subdirectories than a link count holds, and an
// index of three levels. It takes minutes.
func TestManyDirectories(t *testing.T) {
	testenv.RequireLong(t)
	image := makeImage(t, "800M", "-t ext4 -b 1024 -O large_dir -N 200000", "")
	inMount(t, image, "rw", `
		mkdir dirs names
		(cd dirs; seq 65100 | xargs mkdir)
		(cd names; seq -f "%0240.0f" 60000 | xargs touch)`)
	f := openImage(t, image)
	got := listImage(t, f)
	wantSound(t, image, f)
	addStat(t, f, got)
	if diff := cmp.Diff(kernelList(t, image), got); diff != "" {
		t.Errorf("kernel (-), ours (+):\n%.5000s", diff)
	}
	if links := got[key("/dirs")].Links; links != 1 {
		t.Errorf("%d links, want 1 for too many", links)
	}
}
