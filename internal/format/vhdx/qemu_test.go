package vhdx_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"sextant/internal/format/vhdx"
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
		"", "subformat=fixed", "subformat=fixed,preallocation=falloc", "subformat=fixed,preallocation=full",
		"block_size=1M", "block_size=1M,log_size=3M", "block_size=256M", "block_size=1M,subformat=fixed",
		"block_state_zero=off -S0", "extent_size_hint=1M", "nocow=on",
	} {
		t.Run(options, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "made.vhdx")
			virtual.Convert(t, "vhdx", options, raw, name)
			f, fileSize := virtual.File(t, name)
			d, err := vhdx.Open(f, fileSize)
			if err != nil {
				t.Fatal(err)
			}
			virtual.Holds(t, d, f, want)
		})
	}
}

// TestQEMUReads lets qemu-img check and compare what the Writer makes, of
// disks of odd sizes that are written in random order.
func TestQEMUReads(t *testing.T) {
	testenv.Require(t, "qemu-img")
	for _, opts := range []vhdx.Options{{}, {Fixed: true}, {BlockSize: 8 << 20}, {SectorSize: 4096}} {
		for _, size := range []int64{0, 4096, 69_632, 5 << 20, 20<<20 + 4096} {
			t.Run(fmt.Sprint(opts.Fixed, opts.BlockSize, opts.SectorSize, " ", size), func(t *testing.T) {
				raw, want := virtual.Content(t, size)
				f := virtual.Empty(t)
				w, err := vhdx.Create(f, size, opts)
				if err != nil {
					t.Fatal(err)
				}
				virtual.Make(t, w, want)
				if opts.SectorSize != 4096 && size > 0 { // QEMU takes neither
					virtual.Run(t, "qemu-img", "check", "-f", "vhdx", f.Name())
					virtual.Run(t, "qemu-img", "compare", "-f", "raw", "-F", "vhdx", raw, f.Name())
				}
				_, fileSize := virtual.File(t, f.Name())
				d, err := vhdx.Open(f, fileSize)
				if err != nil {
					t.Fatal(err)
				}
				virtual.Holds(t, d, f, want)
			})
		}
	}
}
