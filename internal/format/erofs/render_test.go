package erofs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// TestSameBytes renders with several workers and pieces of all sizes, and
// trees whose entries were put in another order.
func TestSameBytes(t *testing.T) {
	want := render(t, imagetest.Corner(), options())
	for _, size := range []int64{4096, 512 << 10, 1 << 20, 100_003} {
		for _, workers := range []int{1, 2, 3, 8} {
			got := renderWith(t, plan(t, imagetest.Corner(), options()), workers, size)
			if !bytes.Equal(got, want) {
				t.Errorf("%d workers with pieces of %d bytes give other bytes from %d on", workers, size, differAt(got, want))
			}
		}
	}
	if got := render(t, shuffled(imagetest.Corner()), options()); !bytes.Equal(got, want) {
		t.Errorf("another order of entries gives other bytes from %d on", differAt(got, want))
	}
	opts := options()
	opts.BuildTime = opts.BuildTime.In(time.FixedZone("east", 3600))
	if got := render(t, imagetest.Corner(), opts); !bytes.Equal(got, want) {
		t.Errorf("another time zone gives other bytes from %d on", differAt(got, want))
	}
}

func differAt(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func renderWith(t *testing.T, l *erofs.Layout, workers int, size int64) []byte {
	p := make([]byte, l.Size())
	for i := range p {
		p[i] = 0xa5 // shows what is not written
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			m := l.Open()
			defer m.Close()
			for off := next.Add(size) - size; off < l.Size(); off = next.Add(size) - size {
				if _, err := m.ReadAt(p[off:min(off+size, l.Size())], off); err != nil {
					t.Errorf("ReadAt(%d) = %v", off, err)
				}
			}
		})
	}
	wg.Wait()
	return p
}

// shuffled puts the entries of each directory again, last first.
func shuffled(src *tree.Tree) *tree.Tree {
	var reverse func(dir *tree.Inode)
	reverse = func(dir *tree.Inode) {
		entries := dir.Entries()
		for _, e := range entries {
			dir.Remove(e.Name)
		}
		for k := len(entries) - 1; k >= 0; k-- {
			if err := dir.Put(entries[k].Name, entries[k].Inode); err != nil {
				panic(err)
			}
			if entries[k].Inode.Mode.IsDir() {
				reverse(entries[k].Inode)
			}
		}
	}
	reverse(src.Root)
	return src
}

// TestAnyRange renders short ranges at random places.
func TestAnyRange(t *testing.T) {
	src := imagetest.Corner()
	want := render(t, src, options())
	m := plan(t, src, options()).Open()
	defer m.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		off := r.Int64N(int64(len(want)))
		if r.IntN(4) == 0 {
			off = r.Int64N(8192)
		}
		size := min(1+r.Int64N(1<<r.IntN(16)), int64(len(want))-off)
		got := bytes.Repeat([]byte{0xa5}, int(size))
		if _, err := m.ReadAt(got, off); err != nil {
			t.Fatalf("ReadAt(%d, %d) = %v", off, size, err)
		}
		if !bytes.Equal(got, want[off:off+size]) {
			t.Fatalf("ReadAt(%d, %d): other bytes from %d on", off, size, off+int64(differAt(got, want[off:])))
		}
	}
	if n, err := m.ReadAt(make([]byte, 100), int64(len(want))-10); n != 10 || err != io.EOF {
		t.Errorf("ReadAt over the end = %d, %v, want 10, %v", n, err, io.EOF)
	}
	if n, err := m.ReadAt(make([]byte, 100), int64(len(want))); n != 0 || err != io.EOF {
		t.Errorf("ReadAt behind the end = %d, %v, want 0, %v", n, err, io.EOF)
	}
}

// changed is a content that is not as long as it says.
type changed struct {
	tree.Content
	real tree.Content
}

func (c changed) Open() (tree.Reader, error) { return c.real.Open() }

type unreadable struct{ tree.Content }

func (unreadable) Open() (tree.Reader, error) { return nil, fs.ErrPermission }

// TestChangedFile: a file that changed after Plan is an error with its origin.
func TestChangedFile(t *testing.T) {
	noise := func(size int64) tree.Content { return imagetest.Noise{Seed: 7, Length: size} }
	hole := imagetest.Sparse(1, 1<<20, span.Between(0, 4096))
	longer := imagetest.Sparse(1, 1<<20+1, span.Between(0, 4096))
	shorter := imagetest.Sparse(1, 1<<20-1, span.Between(0, 4096))
	tests := []struct {
		name    string
		content tree.Content
		want    string
	}{
		{"shrunk tail", changed{noise(100), noise(99)}, "shorter than 100"},
		{"grown tail", changed{noise(100), noise(101)}, "longer than 100"},
		{"shrunk blocks", changed{noise(8192), noise(4096)}, "shorter than 8192"},
		{"grown blocks", changed{noise(8192), noise(8193)}, "longer than 8192"},
		{"shrunk by its tail", changed{noise(8292), noise(8192)}, "shorter than 8292"},
		{"shrunk to nothing", changed{noise(3 << 20), noise(0)}, "shorter than"},
		{"grown from nothing", changed{noise(0), noise(1)}, "longer than 0"},
		{"grown sparse", changed{hole, longer}, "longer than"},
		{"shrunk sparse", changed{hole, shorter}, "shorter than"},
		{"unreadable", unreadable{noise(5)}, "permission denied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := imagetest.NewBuilder()
			b.Content("usr/x", 0o644, test.content).Origin = "/src/the-file"
			l := plan(t, b.Tree, options())
			err := writeTo(discard{}, l, 512<<10)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "/src/the-file") {
				t.Errorf("ReadAt() = %v, want an error with /src/the-file and %q", err, test.want)
			}
		})
	}
}

type discard struct{}

func (discard) WriteAt(p []byte, off int64) (int, error) { return len(p), nil }

// TestLimits: what the format cannot hold is an error that names file and
// limit.
func TestLimits(t *testing.T) {
	value := func(size int) []byte { return make([]byte, size) }
	tests := []struct {
		name string
		make func(b imagetest.Builder)
		opts erofs.Options
		want string
	}{
		{"block size", nil, erofs.Options{BlockSize: 5000}, "block size 5000"},
		{"small block size", nil, erofs.Options{BlockSize: 256}, "block size 256"},
		{"volume name", nil, erofs.Options{VolumeName: "0123456789abcdef"}, "16 bytes, EROFS allows 15"},
		{"xattr value", func(b imagetest.Builder) {
			b.File("usr/x", 0o644, "").PutXattr("user.x", value(65536))
		}, erofs.Options{}, "/usr/x: extended attribute \"user.x\": the value has 65536 bytes, EROFS allows 65535"},
		{"xattr name", func(b imagetest.Builder) {
			b.File("usr/x", 0o644, "").PutXattr("user."+strings.Repeat("x", 251), nil)
		}, erofs.Options{}, "256 bytes, Linux allows 255"},
		{"xattr prefix", func(b imagetest.Builder) {
			b.File("usr/x", 0o644, "").PutXattr("system.nfs4_acl", nil)
		}, erofs.Options{}, "/usr/x: extended attribute \"system.nfs4_acl\": EROFS has no prefix"},
		{"empty xattr name", func(b imagetest.Builder) {
			b.File("usr/x", 0o644, "").PutXattr("user.", nil)
		}, erofs.Options{}, "nothing follows the prefix"},
		{"xattr body", func(b imagetest.Builder) {
			f := b.File("usr/x", 0o644, "")
			for n := range 5 {
				f.PutXattr(fmt.Sprintf("user.%d", n), value(60000))
			}
		}, erofs.Options{}, "/usr/x: extended attributes take 300052 bytes, EROFS allows 262148"},
		{"link target", func(b imagetest.Builder) {
			b.Symlink("usr/x", strings.Repeat("x", 4096))
		}, erofs.Options{}, "/usr/x: the link's target has 4096 bytes"},
		{"empty link", func(b imagetest.Builder) { b.Symlink("usr/x", "") }, erofs.Options{}, "target has 0 bytes"},
		{"device", func(b imagetest.Builder) {
			b.Special("usr/x", tree.TypeChar, tree.Device{Major: 4096})
		}, erofs.Options{}, "/usr/x: device 4096:0 is beyond 4095:1048575"},
		{"type", func(b imagetest.Builder) {
			b.Special("usr/x", 0, tree.Device{})
		}, erofs.Options{}, "/usr/x: file type 0"},
		{"directory twice", func(b imagetest.Builder) {
			b.Put("usr/y", b.Dir("usr/x", 0o755))
		}, erofs.Options{}, "/usr/y: the directory is also at /usr/x"},
		{"directory in itself", func(b imagetest.Builder) {
			b.Put("usr/x/y", b.Dir("usr/x", 0o755))
		}, erofs.Options{}, "/usr/x/y: the directory is also at /usr/x"},
		{"image", func(b imagetest.Builder) {
			b.Content("usr/x", 0o644, imagetest.Noise{Length: 9 << 40})
			b.Content("usr/y", 0o644, imagetest.Noise{Length: 9 << 40})
		}, erofs.Options{}, "/usr/y: does not fit"},
		{"file", func(b imagetest.Builder) {
			b.Content("usr/x", 0o644, imagetest.Noise{Length: math.MaxInt64})
		}, erofs.Options{}, "/usr/x: the file has 9223372036854775807 bytes"},
		{"sparse file", func(b imagetest.Builder) {
			b.Content("usr/x", 0o644, imagetest.Sparse(1, 1<<62, span.Between(0, 1<<61)))
		}, erofs.Options{}, "/usr/x: does not fit"},
		{"extents", func(b imagetest.Builder) {
			b.Content("usr/x", 0o644, imagetest.Sparse(1, 1<<20, span.Between(8192, 9000), span.Between(0, 4096)))
		}, erofs.Options{}, "/usr/x: data extents are not ascending"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := imagetest.NewBuilder()
			if test.make != nil {
				test.make(b)
			}
			l, err := erofs.Plan(b.Tree, test.opts)
			if l != nil || err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Plan() = %v, %v, want an error with %q", l, err, test.want)
			}
		})
	}
	if _, err := erofs.Plan(&tree.Tree{Root: &tree.Inode{Mode: tree.TypeRegular}}, options()); err == nil {
		t.Error("Plan() of a file as root = nil, want an error")
	}
}

// TestLargestXattrs: what is just inside the limits works.
func TestLargestXattrs(t *testing.T) {
	b := imagetest.NewBuilder()
	f := b.File("usr/large", 0o644, "content")
	for n := range 3 {
		f.PutXattr(fmt.Sprintf("trusted.%d", n), bytes.Repeat([]byte{byte(n)}, 65535))
	}
	for n := range 2 {
		shared := b.File(fmt.Sprintf("usr/shared-%d", n), 0o644, "")
		for k := range 300 { // more than the 255 that an inode can share
			shared.PutXattr(fmt.Sprintf("user.%d", k), []byte("the same value"))
		}
	}
	image := writeImage(t, b.Tree, options())
	want := dump(t, b.Tree)
	t.Run("sextant", func(t *testing.T) { checkOursFile(t, image, want) })
	t.Run("kernel", func(t *testing.T) { checkKernel(t, image, want) })
	for _, fsck := range imagetest.Tools("fsck.erofs") {
		t.Run(fsck.Name, func(t *testing.T) {
			if err := fsck.Run(t, []string{filepath.Dir(image)}, image); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestManyFiles is a tree of 100,000 files.
func TestManyFiles(t *testing.T) {
	b := imagetest.NewBuilder()
	for n := range 100_000 {
		b.Content(fmt.Sprintf("usr/%03d/file-%d", n/300, n), 0o644, imagetest.Noise{Seed: uint64(n), Length: int64(n % 5000)})
	}
	start := time.Now()
	image := writeImage(t, b.Tree, options())
	t.Logf("%v", time.Since(start))
	want := dump(t, b.Tree)
	checkOursFile(t, image, want)
	t.Run("kernel", func(t *testing.T) { checkKernel(t, image, want) })
	t.Run("fsck", func(t *testing.T) {
		if err := imagetest.Tools("fsck.erofs")[0].Run(t, nil, image); err != nil {
			t.Error(err)
		}
	})
}

// TestSparse5GiB: holes cost no blocks. Only the interesting places are read,
// as 5 GiB of zeros take long.
func TestSparse5GiB(t *testing.T) {
	const gib = 1 << 30
	b := imagetest.NewBuilder()
	b.Content("usr/hole", 0o644, imagetest.Sparse(1, 5*gib))
	ends := imagetest.Sparse(2, 5*gib+1, span.Between(0, 1), span.Between(5*gib, 5*gib+1))
	b.Content("usr/ends", 0o644, ends)
	image := writeImage(t, b.Tree, options())
	st, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	// Of "ends", 4 KiB chunks would take 5 MiB of table, 256 KiB chunks take 80 KiB.
	if st.Size() > 400<<10 {
		t.Errorf("the image has %d bytes", st.Size())
	}
	want := make([]byte, 8192)
	check := func(r io.ReaderAt) error {
		for _, off := range []int64{0, 100_000, 1<<32 - 4096, 5*gib - 4096} {
			n, _ := ends.ReadAt(want, off)
			got := make([]byte, n)
			if _, err := r.ReadAt(got, off); err != nil {
				return err
			}
			if !bytes.Equal(got, want[:n]) {
				return fmt.Errorf("other bytes from %d on", off+int64(differAt(got, want)))
			}
		}
		return nil
	}
	t.Run("sextant", func(t *testing.T) {
		file, err := os.Open(image)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		f, err := erofs.Open(file, st.Size())
		if err != nil {
			t.Fatal(err)
		}
		r, err := f.Open("usr/ends")
		if err != nil {
			t.Fatal(err)
		}
		if err := check(r.(io.ReaderAt)); err != nil {
			t.Error(err)
		}
	})
	t.Run("kernel", func(t *testing.T) {
		err := imagetest.Mount(t, image, "erofs", func(dir string) error {
			r, err := os.Open(filepath.Join(dir, "usr/ends"))
			if err != nil {
				return err
			}
			defer r.Close()
			return check(r)
		})
		if err != nil {
			t.Error(err)
		}
	})
	for _, fsck := range imagetest.Tools("fsck.erofs") {
		t.Run(fsck.Name, func(t *testing.T) {
			if err := fsck.Run(t, []string{filepath.Dir(image)}, image); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestLargeFile has data beyond 4 GiB. It writes that much with
// SEXTANT_TEST_LONG=1, else it renders the parts that matter.
func TestLargeFile(t *testing.T) {
	const size = 5<<30 + 123
	content := imagetest.Noise{Seed: 9, Length: size}
	b := imagetest.NewBuilder()
	b.Content("usr/before", 0o644, imagetest.Noise{Seed: 1, Length: 200_000})
	b.Content("usr/large", 0o644, content)
	b.Content("usr/next", 0o644, imagetest.Noise{Seed: 2, Length: 200_000})
	l := plan(t, b.Tree, options())
	if testenv.Long() {
		image := writeImage(t, b.Tree, options())
		want := dump(t, b.Tree)
		checkOursFile(t, image, want)
		checkKernel(t, image, want)
		return
	}
	m := l.Open()
	defer m.Close()
	f, err := erofs.Open(m, l.Size())
	if err != nil {
		t.Fatal(err)
	}
	file, err := f.Open("usr/large")
	if err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{0, 1<<32 - 100, 1 << 32, size - 300} {
		got, want := make([]byte, 300), make([]byte, 300)
		if _, err := file.(io.ReaderAt).ReadAt(got, off); err != nil && err != io.EOF {
			t.Fatalf("ReadAt(%d) = %v", off, err)
		}
		if content.ReadAt(want, off); !bytes.Equal(got, want) {
			t.Errorf("ReadAt(%d) gives other bytes than the file has", off)
		}
	}
	if got := checked(t, f); len(got) > 0 {
		t.Errorf("Check() = %v", got)
	}
}

// TestMemory: rendering takes the same memory however large files are.
func TestMemory(t *testing.T) {
	b := imagetest.NewBuilder()
	b.Content("usr/large", 0o644, imagetest.Noise{Seed: 1, Length: 256 << 20})
	l := plan(t, b.Tree, options())
	m := l.Open()
	defer m.Close()
	buf := make([]byte, 512<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	h := sha256.New()
	for off := int64(0); off < l.Size(); off += int64(len(buf)) {
		n, err := m.ReadAt(buf, off)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		h.Write(buf[:min(n, 4096)])
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
		t.Errorf("rendering 256 MiB allocated %d bytes", got)
	}
}
