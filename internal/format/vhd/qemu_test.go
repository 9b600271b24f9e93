package vhd_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/vhd"
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
		"", "subformat=dynamic", "subformat=fixed", "subformat=fixed,preallocation=falloc", "subformat=fixed,preallocation=full",
		"-S0", "subformat=fixed -S0", "extent_size_hint=1M", "nocow=on",
	} {
		t.Run(options, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "made.vhd")
			o := strings.ReplaceAll(options, "subformat", "force_size=on,subformat")
			if !strings.Contains(options, "subformat") {
				o = "force_size=on " + options
			}
			virtual.Convert(t, "vpc", o, raw, name)
			f, fileSize := virtual.File(t, name)
			d, err := vhd.Open(f, fileSize)
			if err != nil {
				t.Fatal(err)
			}
			virtual.Holds(t, d, f, want)
		})
	}
}

// TestNoEmptyFixedDisk: its footer would be where dynamic disks have the copy.
func TestNoEmptyFixedDisk(t *testing.T) {
	if _, err := vhd.Create(virtual.Empty(t), 0, vhd.Options{Kind: vhd.Fixed}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Create of 0 bytes = %v, want %v", err, fault.ErrUnsupported)
	}
}

// TestQEMUReads lets qemu-img compare what the Writer makes, of disks of odd
// sizes that are written in random order.
func TestQEMUReads(t *testing.T) {
	testenv.Require(t, "qemu-img")
	for _, kind := range []vhd.Kind{vhd.Fixed, vhd.Dynamic} {
		for _, size := range []int64{512, 70_144, 5 << 20, 20<<20 + 512} {
			t.Run(fmt.Sprint(kind, " ", size), func(t *testing.T) {
				raw, want := virtual.Content(t, size)
				f := virtual.Empty(t)
				w, err := vhd.Create(f, size, vhd.Options{Kind: kind, Time: time.Unix(1<<30, 0)})
				if err != nil {
					t.Fatal(err)
				}
				virtual.Make(t, w, want)
				virtual.Run(t, "qemu-img", "compare", "-f", "raw", "-F", "vpc", raw, f.Name())
				_, fileSize := virtual.File(t, f.Name())
				d, err := vhd.Open(f, fileSize)
				if err != nil {
					t.Fatal(err)
				}
				virtual.Holds(t, d, f, want)
			})
		}
	}
}
