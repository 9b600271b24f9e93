package preflight_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
	"sextant/internal/testenv"
)

// TestCompressors has images of the stock tools, with one compressor each, and
// kernels with and without what they need.
func TestCompressors(t *testing.T) {
	testenv.Require(t, "mkfs.erofs", "mksquashfs")
	dir := t.TempDir()
	if err := imagetest.Materialize(release("ID=_any\n").Tree, dir); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		command []string
		option  string
	}{
		{"erofs, lz4", []string{"mkfs.erofs", "-zlz4hc", "OUT", dir}, "CONFIG_EROFS_FS_ZIP"},
		{"squashfs, gzip", []string{"mksquashfs", dir, "OUT", "-quiet", "-comp", "gzip"}, "CONFIG_SQUASHFS_ZLIB"},
		{"squashfs, xz", []string{"mksquashfs", dir, "OUT", "-quiet", "-comp", "xz"}, "CONFIG_SQUASHFS_XZ"},
		{"squashfs, zstd", []string{"mksquashfs", dir, "OUT", "-quiet", "-comp", "zstd"}, "CONFIG_SQUASHFS_ZSTD"},
		{"squashfs, lz4", []string{"mksquashfs", dir, "OUT", "-quiet", "-comp", "lz4"}, "CONFIG_SQUASHFS_LZ4"},
	} {
		out := filepath.Join(t.TempDir(), "image")
		for i, word := range c.command {
			if word == "OUT" {
				c.command[i] = out
			}
		}
		if text, err := exec.Command(c.command[0], c.command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, text)
		}
		bytes, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		const both = "CONFIG_OVERLAY_FS=y\nCONFIG_BLK_DEV_LOOP=y\nCONFIG_EROFS_FS=y\nCONFIG_SQUASHFS=y\n"
		for config, want := range map[string][]string{both: {"error kernel-lacks"}, both + c.option + "=y\n": nil} {
			s := start(t)
			s.put(place, disk.Blob(bytes))
			s.write("boot/config-6.12", config)
			if diff := cmp.Diff(want, summary(s.check(t))); diff != "" {
				t.Errorf("%s, with\n%s: Check (-want +got):\n%s", c.name, config, diff)
			}
		}
	}
}
