package qcow2_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/format/qcow2"
	"sextant/internal/imagetest/virtual"
	"sextant/internal/testenv"
)

// TestReadsQEMU reads what qemu-img makes of the same disk with each of its
// options.
func TestReadsQEMU(t *testing.T) {
	testenv.Require(t, "qemu-img")
	const size = 20<<20 + 512
	raw, want := virtual.Content(t, size)
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
			virtual.Convert(t, "qcow2", options, raw, name)
			f, fileSize := virtual.File(t, name)
			m, err := qcow2.Open(f, fileSize)
			if err != nil {
				t.Fatal(err)
			}
			virtual.Holds(t, m, f, want)
		})
	}
}

// TestQEMUReads lets qemu-img check and compare what the Writer makes, of
// disks of odd sizes that are written in random order.
func TestQEMUReads(t *testing.T) {
	testenv.Require(t, "qemu-img")
	for _, bits := range []int{9, 12, 16, 21} {
		for _, size := range []int64{0, 512, 70_144, 5 << 20, 20<<20 + 512} {
			t.Run(fmt.Sprint(bits, " ", size), func(t *testing.T) {
				raw, want := virtual.Content(t, size)
				f := virtual.Empty(t)
				w, err := qcow2.Create(f, size, qcow2.Options{ClusterBits: bits})
				if err != nil {
					t.Fatal(err)
				}
				virtual.Make(t, w, want)
				virtual.Run(t, "qemu-img", "check", "-f", "qcow2", f.Name())
				virtual.Run(t, "qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, f.Name())
				_, fileSize := virtual.File(t, f.Name())
				m, err := qcow2.Open(f, fileSize)
				if err != nil {
					t.Fatal(err)
				}
				virtual.Holds(t, m, f, want)
			})
		}
	}
}

// TestManyTables writes to more L2 tables than the Writer keeps in memory, in
// turn.
func TestManyTables(t *testing.T) {
	testenv.Require(t, "qemu-img", "qemu-io")
	const reach, tables = 512 << 20, 70
	f := virtual.Empty(t)
	w, err := qcow2.Create(f, reach*tables, qcow2.Options{})
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4096)
	for round := range int64(3) {
		for i := range int64(tables) {
			for k := range block {
				block[k] = byte(i + 1)
			}
			if _, err := w.WriteAt(block, i*reach+round<<20); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	virtual.Run(t, "qemu-img", "check", "-q", "-f", "qcow2", f.Name())
	args := []string{"qemu-io", "-r", "-f", "qcow2"}
	for _, i := range []int64{0, 1, 33, 68, 69} {
		for round := range int64(3) {
			args = append(args, "-c", fmt.Sprintf("read -P %d %d 4096", i+1, i*reach+round<<20))
		}
	}
	if out := virtual.Run(t, append(args, f.Name())...); strings.Contains(out, "failed") {
		t.Errorf("qemu-io:\n%s", out)
	}
}
