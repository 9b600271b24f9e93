package gpt_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sextant/internal/format/gpt"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// TestSameBytesAsRepart reads tables of systemd-repart, with both sector sizes
// that disks have, and writes them again.
func TestSameBytesAsRepart(t *testing.T) {
	testenv.RequireRoot(t)
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		for _, sectorSize := range []int{512, 4096} {
			t.Run(fmt.Sprint(release, "-", sectorSize), func(t *testing.T) {
				image := repart(t, rootfs.Require(t, release), sectorSize)
				size := int64(len(image))
				table, problems, err := gpt.Read(image, size)
				if err != nil || len(problems) > 0 || table.SectorSize != sectorSize || len(table.Partitions) != 2 {
					t.Fatalf("Read = %v, %v, %v", table, problems, err)
				}
				again := slices.Clone(image)
				if err := gpt.Write(again, size, table); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(again, image) {
					t.Error("Write gives other bytes than systemd-repart")
				}
				usual, err := gpt.New(size, sectorSize)
				if err != nil || usual.FirstUsable != table.FirstUsable || usual.LastUsable != table.LastUsable {
					t.Errorf("New = %v, %v, systemd-repart has the usable range %d-%d", usual, err, table.FirstUsable, table.LastUsable)
				}
			})
		}
	}
}

func repart(t *testing.T, root rootfs.Rootfs, sectorSize int) memory {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "definitions"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, typ := range []string{"root", "usr"} {
		content := fmt.Sprintf("[Partition]\nType=%s\nSizeMinBytes=8M\nSizeMaxBytes=8M\n", typ)
		if err := os.WriteFile(filepath.Join(dir, "definitions", fmt.Sprint(i, ".conf")), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := root.Command(context.Background(), []rootfs.Bind{{Host: dir, Guest: "/build"}},
		"systemd-repart", "--offline=yes", "--empty=create", "--size=auto", "--dry-run=no", fmt.Sprint("--sector-size=", sectorSize),
		"--definitions=/build/definitions", "/build/image.raw")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return readFile(t, filepath.Join(dir, "image.raw"))
}
