package ext4_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/imagetest"
	"sextant/internal/tree"
)

// TestOtherReleases edits what the mke2fs of each release makes by default and
// with what it has to offer, and asks its e2fsck and the kernel.
func TestOtherReleases(t *testing.T) {
	checkers := imagetest.Tools("e2fsck")
	for i, tool := range imagetest.Tools("mke2fs") {
		t.Run(strings.ReplaceAll(tool.Name, " ", "-"), func(t *testing.T) {
			for _, args := range []string{
				"-t ext4", "-t ext4 -b 4096", "-t ext3", "-t ext2",
				"-t ext4 -b 4096 -O metadata_csum_seed,orphan_file,large_dir,fast_commit,quota,project,verity,casefold,encrypt,ea_inode,stable_inodes",
				"-t ext4 -O inline_data,^has_journal", "-t ext4 -O sparse_super2,meta_bg,^resize_inode -b 1024",
			} {
				dir := t.TempDir()
				image := filepath.Join(dir, "image")
				must(t, tool.Run(t, []string{dir}, append(strings.Fields(args), "-q", "-F", image, "130M")...))
				block := openImage(t, image).Geometry().BlockSize
				e := editImage(t, image)
				ops := newOpMaker(5, block, 400_000).make(roundsOf(150, 1500))
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
