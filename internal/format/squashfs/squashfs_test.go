package squashfs_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/squashfs"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// matrix lists the ways in which mksquashfs is asked to write the same tree.
func matrix() []string {
	return []string{
		"-comp gzip",
		"-comp gzip -b 4096",
		"-comp gzip -b 1M -Xcompression-level 1 -Xwindow-size 8 -Xstrategy huffman_only",
		"-comp gzip -no-fragments",
		"-comp gzip -always-use-fragments -b 64K",
		"-comp gzip -no-xattrs -no-exports",
		"-comp gzip -noI -noId",
		"-comp gzip -noD -noF",
		"-comp gzip -noI -noD -noF -noX",
		"-comp gzip -all-root -no-duplicates -no-hardlinks",
		"-comp gzip -no-sparse",
		"-comp xz",
		"-comp xz -b 1M -Xbcj x86 -Xdict-size 50%",
		"-comp xz -b 4096 -always-use-fragments",
		"-comp lz4",
		"-comp lz4 -Xhc -b 1M",
		"-comp lz4 -b 4096 -no-fragments",
		"-comp zstd",
		"-comp zstd -Xcompression-level 22 -b 1M",
		"-comp zstd -Xcompression-level 1 -b 4096 -always-use-fragments",
	}
}

// TestMatrix compares what the reader sees with what the kernel sees.
func TestMatrix(t *testing.T) {
	testenv.Require(t, "mksquashfs", "setfattr")
	dir := newMaker(t).everything()
	for _, options := range matrix() {
		t.Run(options, func(t *testing.T) {
			image := mksquashfs(t, dir, strings.Fields(options)...)
			fsys := open(t, image)
			tr, err := fsys.Tree()
			if err != nil {
				t.Fatal(err)
			}
			got, err := imagetest.Dump(tr)
			if err != nil || len(got) < 3100 {
				t.Fatalf("Dump gives %d files, %v", len(got), err)
			}
			err = imagetest.Mount(t, image, "squashfs", func(dir string) error {
				want, err := imagetest.DumpDir(dir)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("tree (-kernel +reader):\n%s", diff)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			problems, err := fsys.Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range problems {
				t.Errorf("Check: %v", p)
			}
			checkNames(t, fsys, tr)
		})
	}
}

// checkNames wants Names to give the names that the tree has, in its order.
func checkNames(t *testing.T, fsys *squashfs.FS, files *tree.Tree) {
	t.Helper()
	var want, got []string
	files.Each(func(path string, node *tree.Inode) {
		if path != "/" {
			want = append(want, node.Mode.Kind()+" "+path)
		}
	})
	err := fsys.Names(func(dir, name string, kind tree.Mode) error {
		got = append(got, kind.Kind()+" "+dir+name)
		return nil
	})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Names: %v (-tree +names):\n%s", err, diff)
	}
}

func TestHoles(t *testing.T) {
	m := newMaker(t)
	m.sparse("sparse", 3<<20, 1<<20+77)
	m.file("full", text(300000))
	m.file("empty", nil)
	m.sparse("tail", 1<<20+11, 1<<20)
	fsys := open(t, mksquashfs(t, m.dir))
	tr, err := fsys.Tree()
	if err != nil {
		t.Fatal(err)
	}
	const block = 128 << 10
	for name, want := range map[string][]span.Span{
		"sparse": {{Offset: 1 << 20, Length: block}},
		"full":   {{Length: 300000}},
		"empty":  nil,
		"tail":   {{Offset: 1 << 20, Length: 11}},
	} {
		if diff := cmp.Diff(want, tr.Lookup(name).Content.Extents()); diff != "" {
			t.Errorf("extents of %s (-want +got):\n%s", name, diff)
		}
	}
}

// TestHuge has more bytes than 32 bits can count, nearly all in holes.
func TestHuge(t *testing.T) {
	const at, size = 5<<30 + 12345, 6 << 30
	m := newMaker(t)
	m.sparse("huge", size, at)
	fsys := open(t, mksquashfs(t, m.dir, "-comp", "lz4"))
	f, err := fsys.Open("huge")
	m.must(err)
	p := make([]byte, 12)
	if n, err := f.(io.ReaderAt).ReadAt(p, at-1); n != len(p) || string(p) != "\x00some bytes\x00" {
		t.Errorf("ReadAt(%d) = %q, %v", int64(at-1), p, err)
	}
	tr, err := fsys.Tree()
	m.must(err)
	huge := tr.Lookup("huge").Content
	if s := huge.Extents(); huge.Size() != size || len(s) != 1 || s[0].Offset > at || s[0].End() < at+10 {
		t.Errorf("Size() = %d, Extents() = %v, want %d with one block around %d", huge.Size(), s, int64(size), int64(at))
	}
}

// TestParallel reads from several goroutines; the race detector watches.
func TestParallel(t *testing.T) {
	m := newMaker(t)
	want := append(text(200000), m.noise(100000)...)
	m.mkdir("dir")
	m.file("dir/file", want)
	fsys := open(t, mksquashfs(t, m.dir, "-b", "8192"))
	f, err := fsys.Open("dir/file")
	m.must(err)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			p := make([]byte, 30000)
			at := int64(i * 30000)
			if _, err := f.(io.ReaderAt).ReadAt(p, at); err != nil || string(p) != string(want[at:at+30000]) {
				t.Errorf("ReadAt(%d) = %v, or not the content", at, err)
			}
			if got, err := fs.ReadFile(fsys, "dir/file"); err != nil || string(got) != string(want) {
				t.Errorf("ReadFile = %v, or not the content", err)
			}
		})
	}
	wait.Wait()
}

func TestFS(t *testing.T) {
	m := newMaker(t)
	m.mkdir("usr/lib/empty")
	m.mkdir("usr/bin")
	m.file("usr/bin/tool", m.noise(300000))
	m.file("usr/lib/text", text(5000))
	m.file("zero", nil)
	m.must(os.Symlink("usr/lib", m.path("lib")))
	m.must(os.Symlink("/usr/bin/../bin/tool", m.path("tool")))
	m.must(os.Symlink("../../lib/text", m.path("usr/bin/text")))
	fsys := open(t, mksquashfs(t, m.dir))
	if err := fstest.TestFS(fsys, "usr/bin/tool", "usr/lib/text", "zero", "lib", "tool", "usr/lib/empty"); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ name, same string }{
		{"tool", "usr/bin/tool"},
		{"lib/text", "usr/lib/text"},
		{"usr/bin/text", "usr/lib/text"},
	} {
		got, err := fs.ReadFile(fsys, c.name)
		if err != nil {
			t.Error(err)
		}
		want, err := os.ReadFile(m.path(c.same))
		if err != nil || string(got) != string(want) {
			t.Errorf("ReadFile(%s) differs from %s (%v)", c.name, c.same, err)
		}
	}
}

// TestWalk compares Walk with fs.WalkDir.
func TestWalk(t *testing.T) {
	m := newMaker(t)
	m.names()
	m.file("zero", nil)
	fsys := open(t, mksquashfs(t, m.dir))
	var want, got []string
	m.must(fs.WalkDir(fsys, ".", func(path string, e fs.DirEntry, err error) error {
		if path == "." {
			return err
		}
		if want = append(want, path+" "+e.Type().String()); path == "many" {
			return fs.SkipDir
		}
		return err
	}))
	m.must(fsys.Walk(func(path string, e fs.DirEntry) error {
		if got = append(got, path+" "+e.Type().String()); path == "many" {
			return fs.SkipDir
		}
		return nil
	}))
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 70 {
		t.Errorf("Walk, %d names (-WalkDir +Walk):\n%s", len(want), diff)
	}
}

func TestPaths(t *testing.T) {
	m := newMaker(t)
	m.mkdir("dir")
	m.file("dir/file", []byte("x"))
	m.must(os.Symlink("loop", m.path("loop")))
	m.must(os.Symlink("../../../../dir", m.path("dir/up")))
	m.must(os.Symlink("dir/file/..", m.path("through")))
	fsys := open(t, mksquashfs(t, m.dir))
	for _, c := range []struct {
		name string
		want error
	}{
		{"dir/file", nil},
		{"dir/up/file", nil},
		{"nothing", fs.ErrNotExist},
		{"dir/file/x", nil}, // not a directory
		{"loop", nil},
		{"through", nil},
		{"/dir", fs.ErrInvalid},
		{"dir/..", fs.ErrInvalid},
	} {
		_, err := fsys.Open(c.name)
		fine := c.name == "dir/file" || c.name == "dir/up/file"
		if fine != (err == nil) || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("Open(%s) = %v, want %v", c.name, err, c.want)
		}
	}
	if target, err := fsys.ReadLink("loop"); target != "loop" || err != nil {
		t.Errorf("ReadLink(loop) = %q, %v", target, err)
	}
	if i, err := fsys.Lstat("dir/up"); err != nil || i.Mode().Type() != fs.ModeSymlink {
		t.Errorf("Lstat(dir/up) = %v, %v", i, err)
	}
}

func TestSys(t *testing.T) {
	testenv.RequireRoot(t)
	m := newMaker(t)
	m.file("file", []byte("x"))
	m.must(os.Chown(m.path("file"), 7, 70000))
	m.xattr("file", "user.a", []byte("b"))
	m.must(os.Link(m.path("file"), m.path("link")))
	i, err := open(t, mksquashfs(t, m.dir)).Stat("link")
	if err != nil {
		t.Fatal(err)
	}
	s := i.Sys().(*squashfs.Stat)
	if s.UID != 7 || s.GID != 70000 || s.Links != 2 || s.Inode == 0 {
		t.Errorf("Sys() = %+v, want owner 7, group 70000, 2 links", s)
	}
	xattrs, err := s.Xattrs()
	if err != nil || len(xattrs) != 1 || xattrs[0].Name != "user.a" || string(xattrs[0].Value) != "b" {
		t.Errorf("Xattrs() = %v, %v, want user.a=b", xattrs, err)
	}
}

// TestSeek reads pieces of a file that has blocks, holes and a fragment.
func TestSeek(t *testing.T) {
	m := newMaker(t)
	content := append(append(m.noise(9000), make([]byte, 9000)...), text(9000)...)
	m.file("file", content)
	f, err := open(t, mksquashfs(t, m.dir, "-b", "4096", "-always-use-fragments")).Open("file")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := f.(io.ReaderAt)
	for at := 0; at < len(content); at += 997 {
		for _, n := range []int{1, 4096, 5000} {
			p := make([]byte, n)
			got, err := r.ReadAt(p, int64(at))
			want := content[at:min(len(content), at+n)]
			if string(p[:got]) != string(want) || (got < n) != (err == io.EOF) {
				t.Fatalf("ReadAt(%d bytes, %d) = %d, %v, and not the content", n, at, got, err)
			}
		}
	}
}

func TestUnsupported(t *testing.T) {
	m := newMaker(t)
	m.file("file", text(5000))
	for _, c := range []string{"lzo", "lzma"} {
		image := mksquashfs(t, m.dir, "-comp", c)
		f, err := os.Open(image)
		m.must(err)
		defer f.Close()
		fsys, err := squashfs.Open(f, 1<<20)
		if fsys != nil || !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), c) {
			t.Errorf("Open(%s image) = %v, want ErrUnsupported", c, err)
		}
	}
}

// TestUnpackXZ feeds streams of the xz program to the decoder, one after the
// other, good and bad, as blocks are.
func TestUnpackXZ(t *testing.T) {
	testenv.Require(t, "xz")
	m := newMaker(t)
	code := text(1 << 19)
	file := filepath.Join(t.TempDir(), "code")
	m.must(os.WriteFile(file, code, 0o644))
	unpack := squashfs.UnpackXZ(1<<20, nil)
	for _, c := range []struct {
		arguments string
		want      error
	}{
		{"--lzma2=preset=1,dict=1MiB --check=none", nil},
		{"--lzma2=preset=1,dict=1MiB --check=crc32", nil},
		{"--lzma2=preset=1,dict=1536KiB --check=crc32", fault.ErrUnsupported}, // more than a block
		{"--x86 --lzma2=preset=1,dict=64KiB --check=crc64 --block-size=300000", nil},
		{"--ia64 --delta --lzma2=preset=1,dict=64KiB --check=sha256", nil},
	} {
		args := append(strings.Fields(c.arguments), "-T1", "-c", file)
		packed, err := exec.Command("xz", args...).Output()
		if err != nil {
			t.Fatalf("xz %s: %v", args, err)
		}
		got, err := unpack(len(code), packed)
		if !errors.Is(err, c.want) || err == nil && string(got) != string(code) {
			t.Errorf("xz %s: unpack = %d bytes, %v, want %d, %v", args, len(got), err, len(code), c.want)
		}
		if _, err := unpack(len(code)-1, packed); err == nil {
			t.Errorf("xz %s: unpack into too little room works", args)
		}
		if strings.Contains(c.arguments, "none") {
			continue
		}
		for i := 0; i < len(packed); i += 1 + i/30 {
			packed[i] ^= 0x10
			if _, err := unpack(1<<20, packed); err == nil {
				t.Errorf("xz %s: flipped bit in byte %d of %d is not noticed", args, i, len(packed))
			}
			packed[i] ^= 0x10
		}
	}
	// The dictionary of the compressor options counts.
	packed, err := exec.Command("xz", "--lzma2=preset=1,dict=1MiB", "-c", file).Output()
	m.must(err)
	small := squashfs.UnpackXZ(1<<20, []byte{0, 0, 8, 0, 0, 0, 0, 0})
	if _, err := small(1<<20, packed); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "1048576") || !strings.Contains(err.Error(), "524288") {
		t.Errorf("unpack with a dictionary of 1 MiB and options of 512 KiB = %v, want ErrUnsupported with both", err)
	}
}
