package ext4_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// TestOtherReleases edits what the mke2fs of each release makes by default and
// with what it has to offer, and asks its e2fsck and the kernel.
func TestOtherReleases(t *testing.T) {
	checkers := imagetest.Tools("e2fsck")
	for i, tool := range imagetest.Tools("mke2fs") {
		t.Run(strings.ReplaceAll(tool.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			list := []string{
				"-t ext4 -b 4096",
				"-t ext4 -b 4096 -O metadata_csum_seed,orphan_file,large_dir,fast_commit,quota,project,verity,casefold,encrypt,ea_inode,stable_inodes",
			}
			if testenv.Long() {
				list = append(list, "-t ext4", "-t ext3", "-t ext2", "-t ext4 -O inline_data,^has_journal",
					"-t ext4 -O sparse_super2,meta_bg,^resize_inode -b 1024")
			}
			for _, args := range list {
				dir := t.TempDir()
				image := filepath.Join(dir, "image")
				must(t, tool.Run(t, []string{dir}, append(strings.Fields(args), "-q", "-F", image, "130M")...))
				block := openImage(t, image).Geometry().BlockSize
				e := editImage(t, image)
				ops := newOpMaker(5, block, 400_000).make(testenv.Amount(150, 1500))
				must(t, edit(e, make(map[string]*tree.Inode), ops))
				must(t, e.Commit())
				must(t, checkers[i].Run(t, []string{dir}, "-fn", image))
				want := t.TempDir()
				must(t, apply(want, ops))
				l, err := listDir(want)
				must(t, err)
				wantEdited(t, image, l)
				must(t, os.Remove(image))
			}
		})
	}
}

// TestEditBaseImages puts an extension into copies of real root file systems.
func TestEditBaseImages(t *testing.T) {
	images := baseImages("*")
	if !testenv.Long() {
		images = baseImages("trixie")
	}
	if len(images) == 0 {
		testenv.Missing(t, "rootfs", "no root file system in the cache of vmtest")
	}
	for _, start := range images {
		if strings.Contains(start, "build-") {
			continue
		}
		image := copyImage(t, start)
		e := editImage(t, image)
		must(t, e.Put("var/lib/extensions", tree.NewDir(0o755)))
		must(t, e.Put("var/lib/extensions/tools.raw", noise(40<<20)))
		must(t, e.Put("etc/machine-id", regular("uninitialized\n")))
		must(t, e.RemoveAll("usr/share/doc"))
		want := listImage(t, e.FS())
		must(t, e.Commit())
		f := openImage(t, image)
		wantSound(t, image, f)
		addStat(t, f, want)
		if diff := cmp.Diff(want, kernelList(t, image)); diff != "" {
			t.Errorf("%s: before Commit (-), kernel (+):\n%.3000s", start, diff)
		}
		must(t, os.Remove(image))
	}
}
