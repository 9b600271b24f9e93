package source_test

import (
	"os"
	"runtime"
	"testing"

	"sextant/internal/source"
	"sextant/internal/tree"
)

// benchDir returns the directory that benchmarks read; SOURCE_BENCH_DIR names
// another one than the system's own.
func benchDir() string {
	if dir := os.Getenv("SOURCE_BENCH_DIR"); dir != "" {
		return dir
	}
	return "/usr/share"
}

func BenchmarkDirectory(b *testing.B) {
	files := 0
	for b.Loop() {
		tr, err := source.Directory(b.Context(), benchDir(), source.Options{})
		if err != nil {
			b.Fatal(err)
		}
		files = 0
		tr.Walk(func(string, *tree.Inode) error { files++; return nil })
	}
	b.ReportMetric(float64(files), "files")
}

func BenchmarkTar(b *testing.B) {
	archive := b.TempDir() + "/a.tar"
	run(b, "tar", "--format=pax", "-C", benchDir(), "-cf", archive, ".")
	for b.Loop() {
		if _, err := source.Tar(b.Context(), archive, source.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkContents opens, reads and closes every file once.
func BenchmarkContents(b *testing.B) {
	tr, err := source.Directory(b.Context(), benchDir(), source.Options{})
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 1<<20)
	for b.Loop() {
		err := tr.Walk(func(_ string, node *tree.Inode) error {
			if node.Size() == 0 || !node.Mode.IsRegular() {
				return nil
			}
			r, err := node.Content.Open()
			if err != nil {
				return err
			}
			for at := int64(0); at < node.Size(); at += int64(len(buf)) {
				if _, err := r.ReadAt(buf[:min(int64(len(buf)), node.Size()-at)], at); err != nil {
					return err
				}
			}
			return r.Close()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

// heapSize returns the bytes in use after a collection.
func heapSize() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
