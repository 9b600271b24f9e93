package qcow2_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/format/qcow2"
	"sextant/internal/testenv"
)

// run runs a program and returns what it prints.
func run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// noise fills b with bytes that do not compress.
func noise(b []byte, seed uint64) {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
}

// content is a disk of size bytes: noise, zeros, text that compresses and
// scattered sectors, with holes between them.
func content(t testing.TB, size int64) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "content.raw")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	put := func(at int64, b []byte) {
		if at < 0 || at >= size {
			return
		}
		if _, err := f.WriteAt(b[:min(int64(len(b)), size-at)], at); err != nil {
			t.Fatal(err)
		}
	}
	random := make([]byte, 300_000)
	noise(random, 1)
	text := bytes.Repeat([]byte("All happy families are alike. "), 30_000)
	put(0, random)
	put(700_000, text)
	put(2<<20, make([]byte, 1<<20))
	for i := range int64(40) {
		put(4<<20+i*41*512, random[i*512:][:512])
	}
	put(size/2, text[:100_001])
	put(size-70_001, random[:70_001])
	return name
}

func open(t testing.TB, name string) *qcow2.Image {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := qcow2.Open(f, info.Size())
	if err != nil {
		t.Fatalf("Open %s: %v", name, err)
	}
	return m
}

// TestReadsQEMU reads what qemu-img makes of the same disk with each of its
// options.
func TestReadsQEMU(t *testing.T) {
	testenv.Require(t, "qemu-img")
	const size = 20<<20 + 512
	raw := content(t, size)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	for _, options := range []string{
		"", "compat=0.10", "compat=0.10 -c", "-c",
		"cluster_size=512", "cluster_size=512 -c", "cluster_size=4k", "cluster_size=4k -c", "cluster_size=2M", "cluster_size=2M -c",
		"compression_type=zstd -c", "compression_type=zstd,cluster_size=512 -c", "compression_type=zstd,cluster_size=2M -c",
		"extended_l2=on", "extended_l2=on,cluster_size=16k", "extended_l2=on,cluster_size=2M", "extended_l2=on -c",
		"refcount_bits=1", "refcount_bits=2", "refcount_bits=64", "lazy_refcounts=on",
		"preallocation=metadata", "preallocation=falloc", "preallocation=full", "preallocation=metadata,extended_l2=on",
		"extent_size_hint=1M", "nocow=on",
		"-S0", "-S0 cluster_size=512",
	} {
		t.Run(options, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "made.qcow2")
			args := []string{"qemu-img", "convert", "-O", "qcow2"}
			for _, o := range strings.Fields(options) {
				if !strings.HasPrefix(o, "-") {
					args = append(args, "-o")
				}
				args = append(args, o)
			}
			run(t, append(args, raw, name)...)
			m := open(t, name)
			if m.Size() != size {
				t.Errorf("Size() = %d, want %d", m.Size(), size)
			}
			sameAs(t, m, want)
		})
	}
}

type disk interface {
	io.ReaderAt
	Size() int64
}

// sameAs compares all bytes, read in one go and in odd pieces.
func sameAs(t testing.TB, d disk, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	for _, piece := range []int{len(want), 999_983, 70_000} {
		clear(got)
		for at := 0; at < len(got); at += piece {
			n := min(piece, len(got)-at)
			if _, err := d.ReadAt(got[at:at+n], int64(at)); err != nil && err != io.EOF {
				t.Fatalf("ReadAt(%d bytes, %d) = %v", n, at, err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("read in pieces of %d: other bytes from %d on", piece, firstDifference(got, want))
		}
	}
}

func firstDifference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

// TestQEMUReads lets qemu-img check and compare what the Writer makes, of
// disks of odd sizes that are written in random order.
func TestQEMUReads(t *testing.T) {
	testenv.Require(t, "qemu-img")
	for _, bits := range []int{9, 12, 16, 21} {
		for _, size := range []int64{0, 512, 70_144, 5 << 20, 20<<20 + 512} {
			t.Run(fmt.Sprint(bits, " ", size), func(t *testing.T) {
				raw := filepath.Join(t.TempDir(), "raw")
				if size > 0 {
					raw = content(t, size)
				} else if err := os.WriteFile(raw, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				want, err := os.ReadFile(raw)
				if err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(t.TempDir(), "made.qcow2")
				f, err := os.Create(name)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				w, err := qcow2.Create(f, size, qcow2.Options{ClusterBits: bits})
				if err != nil {
					t.Fatal(err)
				}
				writeShuffled(t, w, want)
				sameAs(t, w, want)
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
				sameAs(t, open(t, name), want)
				run(t, "qemu-img", "check", "-f", "qcow2", name)
				run(t, "qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, name)
			})
		}
	}
}

// writeShuffled writes b in pieces of odd lengths, the later ones first, and
// writes over some of it.
func writeShuffled(t testing.TB, w io.WriterAt, b []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var cuts []int
	for at := 0; at < len(b); at += 1 + r.IntN(200_000) {
		cuts = append(cuts, at)
	}
	junk := bytes.Repeat([]byte{0xee}, 1000)
	for _, i := range r.Perm(len(cuts)) {
		end := len(b)
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		n := min(len(junk), end-cuts[i])
		if _, err := w.WriteAt(junk[:n], int64(cuts[i])); err != nil {
			t.Fatal(err)
		}
		if _, err := w.WriteAt(b[cuts[i]:end], int64(cuts[i])); err != nil {
			t.Fatal(err)
		}
	}
}
