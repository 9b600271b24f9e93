package inspect

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"sextant/internal/tree"
)

// Files counts what is in an image. Contents count once for all their hard
// links.
type Files struct {
	Count       int            `json:"count"` // names, the root's left out
	Bytes       int64          `json:"bytes"`
	Kinds       map[string]int `json:"kinds"`       // names by type: "file", "dir" …
	Biggest     []File         `json:"biggest"`     // at most ten
	Directories []Directory    `json:"directories"` // of the first two levels
}

// File is a file and its size.
type File struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// Directory counts what is below a directory and not below one that is listed
// too.
type Directory struct {
	Path  string `json:"path"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

// biggest is how many files are named.
const biggest = 10

// Count counts the files of a tree.
func Count(t *tree.Tree) *Files {
	f := &Files{Kinds: make(map[string]int), Biggest: []File{}, Directories: []Directory{}}
	seen := make(map[*tree.Inode]bool)
	dirs := make(map[string]*Directory)
	t.Each(func(p string, node *tree.Inode) {
		if p == "/" {
			return
		}
		f.Count++
		f.Kinds[node.Mode.Kind()]++
		if node.Mode.IsDir() {
			return
		}
		size := int64(0)
		if node.Mode.IsRegular() && !seen[node] {
			size = node.Size()
			f.Biggest = append(f.Biggest, File{p, size})
		}
		seen[node] = true
		f.Bytes += size
		add(dirs, p, size)
	})
	slices.SortFunc(f.Biggest, func(a, b File) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.Path, b.Path))
	})
	f.Biggest = slices.Clip(f.Biggest[:min(biggest, len(f.Biggest))])
	for _, d := range dirs {
		f.Directories = append(f.Directories, *d)
	}
	slices.SortFunc(f.Directories, func(a, b Directory) int { return cmp.Compare(a.Path, b.Path) })
	return f
}

// add counts a file for the first two names of its directory.
func add(dirs map[string]*Directory, p string, size int64) {
	names := tree.Split(path.Dir(p))
	at := "/" + strings.Join(names[:min(len(names), 2)], "/")
	if dirs[at] == nil {
		dirs[at] = &Directory{Path: at}
	}
	dirs[at].Files++
	dirs[at].Bytes += size
}
