//go:build linux

package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
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
			var us, them []spent
			shell(b, "cat %s >/dev/null", base)
			for range b.N {
				them = append(them, timed(b, dir, func() { shell(b, "%s", theirs) }))
				us = append(us, timed(b, dir, func() {
					if err := copyFile(base, out, disk.Format(c.from)); err != nil {
						b.Fatal(err)
					}
				}))
			}
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			u, o := least(us), least(them)
			b.ReportMetric(u.wall.Seconds(), "us-s")
			b.ReportMetric(o.wall.Seconds(), "them-s")
			b.ReportMetric(u.wall.Seconds()/o.wall.Seconds(), "ratio")
			b.ReportMetric(u.cpu.Seconds()/o.cpu.Seconds(), "cpu-ratio")
			b.ReportMetric(float64(m.Sys)/(1<<20), "MiB")
		})
	}
}

// spent is what something took: time on the clock, and of processors.
type spent struct{ wall, cpu time.Duration }

// least returns the smallest of both.
func least(list []spent) spent {
	best := list[0]
	for _, s := range list {
		best = spent{min(best.wall, s.wall), min(best.cpu, s.cpu)}
	}
	return best
}

// timed times f after everything before is on stable storage.
func timed(b *testing.B, dir string, f func()) spent {
	shell(b, "rm -f %s/out; sync -f %s", dir, dir)
	start, before := time.Now(), processors(b)
	f()
	return spent{time.Since(start), processors(b) - before}
}

// processors returns the time that this program and those it waited for took
// of processors.
func processors(b *testing.B) (total time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return total
}

func shell(t testing.TB, format string, args ...any) {
	t.Helper()
	out, err := exec.Command("sh", "-c", fmt.Sprintf(format, args...)).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", fmt.Sprintf(format, args...), err, out)
	}
}

// copyFile copies a disk into a file of a format.
func copyFile(from, to string, format disk.Format) error {
	d, err := disk.Open(from)
	if err != nil {
		return err
	}
	defer d.Close()
	o, err := disk.Create(to, format, d.Size(), disk.Options{})
	if err != nil {
		return err
	}
	defer o.Discard()
	if err := disk.Copy(context.Background(), o, d); err != nil {
		return err
	}
	return o.Commit()
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
