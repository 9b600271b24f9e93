package squashfs_test

import (
	"io/fs"
	"strings"

	"sextant/internal/format/squashfs"
	"sextant/internal/tree"
)

// walkFuzzed reads the start and the end of each file by both ways. A file can
// claim any size, so not all of it is read.
func walkFuzzed(fsys *squashfs.FS, tr *tree.Tree) {
	left := 500
	tr.Walk(func(path string, node *tree.Inode) error {
		if left--; left < 0 {
			return fs.SkipAll
		}
		fsys.Stat(strings.TrimPrefix(path, "/"))
		fsys.ReadDir(strings.TrimPrefix(path, "/"))
		if node.Content == nil {
			return nil
		}
		node.Content.Extents()
		r, err := node.Content.Open()
		if err != nil {
			return nil
		}
		defer r.Close()
		p := make([]byte, 10000)
		r.ReadAt(p, 0)
		r.ReadAt(p, node.Size()/2)
		r.ReadAt(p, max(0, node.Size()-9999))
		return nil
	})
}
