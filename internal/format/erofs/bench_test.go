package erofs_test

import (
	"crypto/sha256"
	"go/build"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/source"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// benchDir is the tree that speed is measured with: SEXTANT_BENCH_TREE, or the
// Go toolchain.
func benchDir() string {
	if dir := os.Getenv("SEXTANT_BENCH_TREE"); dir != "" {
		return dir
	}
	return build.Default.GOROOT
}

// renderHashed does what a build does: render, hash each 4 KiB block with a
// salt, write.
func renderHashed(b testing.TB, src *tree.Tree, f *os.File, workers int) int64 {
	l, err := erofs.Plan(src, erofs.Options{BuildTime: time.Unix(1700000000, 0)})
	if err != nil {
		b.Fatal(err)
	}
	const segment = 512 << 10
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			m := l.Open()
			defer m.Close()
			buf := make([]byte, segment)
			block := make([]byte, 32+4096)
			for {
				off := next.Add(segment) - segment
				if off >= l.Size() {
					return
				}
				p := buf[:min(segment, l.Size()-off)]
				if _, err := m.ReadAt(p, off); err != nil {
					b.Error(err)
					return
				}
				for at := 0; at < len(p); at += 4096 {
					copy(block[32:], p[at:])
					sha256.Sum256(block)
				}
				if _, err := f.WriteAt(p, off); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return l.Size()
}

func benchOutput(b *testing.B) *os.File {
	f, err := os.Create(filepath.Join(b.TempDir(), "image"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	return f
}

// BenchmarkRender plans and renders an image on all processors, with hashing
// and writing.
func BenchmarkRender(b *testing.B) {
	src, err := imagetest.Scan(benchDir())
	if err != nil {
		b.Fatal(err)
	}
	f := benchOutput(b)
	b.ReportAllocs()
	for b.Loop() {
		f.Truncate(0)
		b.SetBytes(renderHashed(b, src, f, runtime.GOMAXPROCS(0)))
	}
}

// BenchmarkAgainstMkfs makes images by turns with us, from the directory to the
// hashed and written image, and with mkfs.erofs, which does not hash. Its
// "ratio" is our time in terms of the peer's.
func BenchmarkAgainstMkfs(b *testing.B) {
	testenv.Require(b, "mkfs.erofs")
	f := benchOutput(b)
	var ours, theirs time.Duration
	for b.Loop() {
		f.Truncate(0)
		start := time.Now()
		src, err := source.Directory(b.Context(), benchDir(), source.Options{})
		if err != nil {
			b.Fatal(err)
		}
		size := renderHashed(b, src, f, runtime.GOMAXPROCS(0))
		ours += time.Since(start)

		f.Truncate(0)
		start = time.Now()
		cmd := exec.Command("mkfs.erofs", "--quiet", f.Name(), benchDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		theirs += time.Since(start)
		st, err := f.Stat()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(size)/float64(st.Size()), "size-ratio")
	}
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio")
	b.ReportMetric(ours.Seconds()/float64(b.N), "s/ours")
	b.ReportMetric(theirs.Seconds()/float64(b.N), "s/mkfs")
}

// BenchmarkPlan is the planning alone.
func BenchmarkPlan(b *testing.B) {
	src, err := imagetest.Scan(benchDir())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := erofs.Plan(src, erofs.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads all files of images of benchDir that mkfs.erofs of the
// newest release compressed.
func BenchmarkRead(b *testing.B) {
	mkfs := imagetest.Tools("mkfs.erofs")[2]
	for _, args := range []string{"-zlz4hc,level=3 -C65536", "-zzstd,level=3 -C65536", "-zdeflate,level=1 -C65536", "-zlzma,level=1 -C65536"} {
		b.Run(args, func(b *testing.B) {
			image := filepath.Join(b.TempDir(), "image")
			paths := []string{filepath.Dir(image), benchDir()}
			if err := mkfs.Run(b, paths, append(strings.Fields(args), "--quiet", image, benchDir())...); err != nil {
				b.Fatal(err)
			}
			f := openFS(b, image)
			buf := make([]byte, 1<<20)
			b.ReportAllocs()
			for b.Loop() {
				b.SetBytes(readAll(b, f, buf))
			}
		})
	}
}

// readAll reads all files and returns how many bytes they have.
func readAll(b *testing.B, f *erofs.FS, buf []byte) (total int64) {
	t, err := f.Tree()
	if err != nil {
		b.Fatal(err)
	}
	err = t.Walk(func(path string, node *tree.Inode) error {
		if !node.Mode.IsRegular() {
			return nil
		}
		r, err := node.Content.Open()
		if err != nil {
			return err
		}
		n, err := io.CopyBuffer(discardWriter{}, io.NewSectionReader(r, 0, node.Size()), buf)
		total += n
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}

// discardWriter is io.Discard without its ReadFrom, which has a small buffer.
type discardWriter struct{}

func (discardWriter) Write(p []byte) (int, error) { return len(p), nil }
