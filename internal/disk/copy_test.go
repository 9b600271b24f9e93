//go:build linux

package disk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sextant/internal/disk"
	"sextant/internal/format/qcow2"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/virtual"
	"sextant/internal/testenv"
)

// TestShares copies a qcow2 on a file system whose files can share bytes, until
// copies of the bytes would not fit, and elsewhere: the files are the same.
func TestShares(t *testing.T) {
	testenv.Require(t, "mkfs.btrfs", "qemu-img", "cmp")
	scratch := t.TempDir()
	image, raw, elsewhere := filepath.Join(scratch, "btrfs"), filepath.Join(scratch, "raw"), filepath.Join(scratch, "copy")
	content := virtual.Noise(40<<20, 1)
	clear(content[10<<20 : 11<<20])
	clear(content[20<<20+8192 : 20<<20+12288])
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	virtual.Run(t, "truncate", "-s", "160M", image)
	virtual.Run(t, "mkfs.btrfs", "-q", image)
	err := imagetest.MountWritable(t, image, "btrfs", func(dir string) error {
		base := filepath.Join(dir, "base")
		virtual.Convert(t, "qcow2", "", raw, base)
		for i := range 3 {
			out := filepath.Join(dir, fmt.Sprint("out", i))
			if err := copyFile(base, out, disk.QCOW2); err != nil {
				return err
			}
			virtual.Run(t, "qemu-img", "check", "-q", "-f", "qcow2", out)
			virtual.Run(t, "qemu-img", "compare", "-f", "raw", "-F", "qcow2", raw, out)
		}
		if err := copyFile(base, elsewhere, disk.QCOW2); err != nil {
			return err
		}
		return exec.Command("cmp", elsewhere, filepath.Join(dir, "out0")).Run()
	})
	if err != nil {
		t.Error(err)
	}
}

// TestScattered has a disk whose clusters lie in its file in the opposite order,
// a hole behind each block: those are found, and when there are more than are
// remembered the blocks still are.
func TestScattered(t *testing.T) {
	const cluster = 64 << 10
	for _, clusters := range []int64{1000, 20_000} {
		name := filepath.Join(t.TempDir(), "scattered")
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w, err := qcow2.Create(f, clusters*cluster, qcow2.Options{})
		if err != nil {
			t.Fatal(err)
		}
		b := bytes.Repeat([]byte{1}, 4096)
		for i := clusters - 1; i >= 0; i-- {
			if _, err := w.WriteAt(b, i*cluster); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		d := open(t, name)
		found := int64(0)
		for e, err := range d.Extents() {
			if err != nil {
				t.Fatal(err)
			}
			if e.Offset != found*cluster || e.Length < 4096 || clusters == 1000 && e.Length != 4096 {
				t.Fatalf("extent %d: %s", found, e)
			}
			found++
		}
		if found != clusters {
			t.Errorf("%d extents, want %d", found, clusters)
		}
	}
}

// TestSmallHoles copies a disk from a file with holes smaller than a page, and
// from one with none: the copies are the same.
func TestSmallHoles(t *testing.T) {
	testenv.Require(t, "mke2fs", "cp", "cmp")
	scratch := t.TempDir()
	image := filepath.Join(scratch, "ext2")
	virtual.Run(t, "truncate", "-s", "16M", image)
	virtual.Run(t, "mke2fs", "-q", "-t", "ext2", "-b", "1024", image)
	err := imagetest.MountWritable(t, image, "ext2", func(dir string) error {
		sparse, full := filepath.Join(dir, "sparse"), filepath.Join(scratch, "full")
		f, err := os.Create(sparse)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Truncate(4 << 20); err != nil {
			return err
		}
		for i, at := range []int64{0, 3, 4, 7, 9, 11, 15, 1022, 1024, 4095} {
			if _, err := f.WriteAt(virtual.Noise(1024, byte(i)), at<<10); err != nil {
				return err
			}
		}
		virtual.Run(t, "cp", "--sparse=never", sparse, full)
		for _, format := range disk.Formats() {
			a, b := filepath.Join(scratch, "a"), filepath.Join(scratch, "b")
			if err := errors.Join(copyFile(sparse, a, format), copyFile(full, b, format)); err != nil {
				return err
			}
			sameFile(t, a, b)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFullDisk says that the output does not fit, and stops.
func TestFullDisk(t *testing.T) {
	testenv.Require(t, "mke2fs", "qemu-img")
	scratch := t.TempDir()
	image, base := filepath.Join(scratch, "ext4"), filepath.Join(scratch, "base")
	virtual.Run(t, "truncate", "-s", "16M", image)
	virtual.Run(t, "mke2fs", "-q", "-t", "ext2", image)
	raw := filepath.Join(scratch, "raw")
	if err := os.WriteFile(raw, virtual.Noise(40<<20, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	virtual.Convert(t, "qcow2", "", raw, base)
	err := imagetest.MountWritable(t, image, "ext2", func(dir string) error {
		for _, format := range disk.Formats() {
			d := open(t, base)
			o, err := disk.Create(filepath.Join(dir, "out"), format, d.Size(), disk.Options{})
			if err != nil {
				return err
			}
			if err := disk.Copy(context.Background(), o, d); err == nil {
				t.Errorf("Copy to %s on a full disk worked", format)
			}
			o.Discard()
		}
		left, err := filepath.Glob(filepath.Join(dir, "*out*"))
		if len(left) > 0 {
			t.Errorf("left behind: %s", left)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
