package plan

import (
	"path"
	"strings"

	"sextant/internal/tree"
)

// Summary says what is in a tree. Contents are counted once for all their hard
// links, as they are stored.
type Summary struct {
	Files       int            `json:"files"` // all that are not directories
	Bytes       int64          `json:"bytes"` // in regular files
	Directories []DirectorySum `json:"directories"`
	SetID       []string       `json:"setId"` // paths of setuid and setgid files
}

// DirectorySum counts what is below one directory of the second level, such
// as /usr/bin.
type DirectorySum struct {
	Path  string `json:"path"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
}

func summarize(t *tree.Tree) Summary {
	s := Summary{Directories: []DirectorySum{}, SetID: []string{}}
	seen := make(map[*tree.Inode]bool)
	t.Each(func(p string, node *tree.Inode) {
		if node.Mode.IsDir() {
			return
		}
		size := node.Size()
		if !node.Mode.IsRegular() || seen[node] {
			size = 0
		}
		seen[node] = true
		s.add(p, size)
		if node.Mode.IsRegular() && node.Mode&(tree.SetUID|tree.SetGID) != 0 {
			s.SetID = append(s.SetID, p)
		}
	})
	return s
}

// add counts one file. The walk is in order, so its directory is near the end
// of the list.
func (s *Summary) add(p string, size int64) {
	s.Files++
	s.Bytes += size
	dir := topDirectory(p)
	i := len(s.Directories) - 1
	for i >= 0 && s.Directories[i].Path != dir {
		i--
	}
	if i < 0 {
		i = len(s.Directories)
		s.Directories = append(s.Directories, DirectorySum{Path: dir})
	}
	s.Directories[i].Files++
	s.Directories[i].Bytes += size
}

// topDirectory returns the first two names of the directory of p: /usr/bin for
// /usr/bin/a/b, and /usr for /usr/a.
func topDirectory(p string) string {
	names := tree.Split(path.Dir(p))
	return "/" + strings.Join(names[:min(len(names), 2)], "/")
}
