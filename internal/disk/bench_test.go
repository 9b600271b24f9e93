package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"sextant/internal/disk"
	"sextant/internal/testenv"
)

// BenchmarkCopy times Copy and the tools of today in turn, each with sync, and
// prints the ratio. The disk is that of the goal: 4 GiB, of which 1 GiB is
// data.
func BenchmarkCopy(b *testing.B) {
	testenv.Require(b, "qemu-img", "cp", "sync")
	dir := b.TempDir()
	raw := filepath.Join(dir, "base.raw")
	sparseDisk(b, raw, 4<<30, 1<<30)
	for _, c := range []struct{ name, from, options string }{
		{"raw", "raw", ""},
		{"qcow2", "qcow2", ""},
		{"qcow2-deflate", "qcow2", "-c"},
		{"qcow2-zstd", "qcow2", "-c -o compression_type=zstd"},
	} {
		b.Run(c.name, func(b *testing.B) {
			base := raw
			if c.from != "raw" {
				base = filepath.Join(dir, "base."+c.from)
				shell(b, "rm -f %s; qemu-img convert -O %s %s %s %s", base, c.from, c.options, raw, base)
			}
			out := filepath.Join(dir, "out")
			theirs := fmt.Sprintf("qemu-img convert -O %s %s %s && sync %s", c.from, base, out, out)
			if c.from == "raw" {
				theirs = fmt.Sprintf("cp --sparse=always %s %s && sync %s", base, out, out)
			}
			var us, them []time.Duration
			shell(b, "cat %s >/dev/null", base)
			for range b.N {
				them = append(them, timed(b, dir, func() { shell(b, "%s", theirs) }))
				us = append(us, timed(b, dir, func() { copyFile(b, base, out, disk.Format(c.from)) }))
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(least(us).Seconds(), "us-s")
			b.ReportMetric(least(them).Seconds(), "them-s")
			b.ReportMetric(least(us).Seconds()/least(them).Seconds(), "ratio")
			b.ReportMetric(float64(m.Sys)/(1<<20), "MiB")
		})
	}
}

func least(list []time.Duration) time.Duration {
	best := list[0]
	for _, d := range list {
		best = min(best, d)
	}
	return best
}

// timed times f after everything before is on stable storage.
func timed(b *testing.B, dir string, f func()) time.Duration {
	shell(b, "rm -f %s/out; sync -f %s", dir, dir)
	start := time.Now()
	f()
	return time.Since(start)
}

func shell(t testing.TB, format string, args ...any) {
	t.Helper()
	out, err := exec.Command("sh", "-c", fmt.Sprintf(format, args...)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", fmt.Sprintf(format, args...), err, out)
	}
}

func copyFile(t testing.TB, from, to string, format disk.Format) {
	t.Helper()
	d, err := disk.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	o, err := disk.Create(to, format, d.Size(), disk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Discard()
	if err := disk.Copy(context.Background(), o, d); err != nil {
		t.Fatal(err)
	}
	if err := o.Commit(); err != nil {
		t.Fatal(err)
	}
}

// sparseDisk makes a disk with data in runs of 4 KiB to 8 MiB, half of it
// compressible.
func sparseDisk(t testing.TB, name string, size, data int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{7})
	r := rand.New(random)
	buf := make([]byte, 8<<20)
	for done, at := int64(0), int64(0); done < data && at < size-int64(len(buf)); {
		n := (1 + r.Int64N(1<<r.Int64N(12))) * 4096
		n = min(n, int64(len(buf)))
		random.Read(buf[:n])
		for i := int64(0); i < n; i += 2048 {
			clear(buf[i : i+1024])
		}
		if _, err := f.WriteAt(buf[:n], at); err != nil {
			t.Fatal(err)
		}
		done += n
		at += n + r.Int64N(6*n/4096)*4096
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}
