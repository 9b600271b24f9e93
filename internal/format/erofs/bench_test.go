package erofs_test

import (
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// benchDir is the tree that speed is measured with: SEXTANT_BENCH_TREE, or the
// Go toolchain.
func benchDir() string {
	if dir := os.Getenv("SEXTANT_BENCH_TREE"); dir != "" {
		return dir
	}
	return runtime.GOROOT()
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

// BenchmarkScanAndRender includes looking at the source directory, which
// mkfs.erofs does too.
func BenchmarkScanAndRender(b *testing.B) {
	f := benchOutput(b)
	for b.Loop() {
		f.Truncate(0)
		src, err := imagetest.Scan(benchDir())
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(renderHashed(b, src, f, runtime.GOMAXPROCS(0)))
	}
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

// BenchmarkMkfs is the peer, without hashing.
func BenchmarkMkfs(b *testing.B) {
	testenv.Require(b, "mkfs.erofs")
	path := benchOutput(b).Name()
	for b.Loop() {
		os.Truncate(path, 0)
		if out, err := exec.Command("mkfs.erofs", "--quiet", path, benchDir()).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
}
