package plan

import (
	"fmt"
	"path"
	"strings"
	"time"

	"sextant/internal/format/erofs"
	"sextant/internal/format/gpt"
	"sextant/internal/repart"
	"sextant/internal/tree"
)

// contents plans the file system of a data partition: the part of t that
// CopyFiles= names, without what ExcludeFiles= names, and what MakeDirectories=
// and MakeSymlinks= add.
func contents(t *tree.Tree, d repart.Definition, uuid gpt.GUID, now time.Time) (*Data, error) {
	out := tree.New()
	out.Root.ModTime = now
	for _, c := range d.Copies {
		if err := copyFiles(out, t, c, d.ExcludeFiles); err != nil {
			return nil, fmt.Errorf("CopyFiles=%s:%s: %w", c.Source, c.Target, err)
		}
	}
	for _, dir := range d.MakeDirs {
		if _, err := out.MakeDirs(dir, 0o755, now); err != nil {
			return nil, fmt.Errorf("MakeDirectories=%s: %w", dir, err)
		}
	}
	for _, link := range d.MakeSymlinks {
		if err := makeSymlink(out, link, now); err != nil {
			return nil, fmt.Errorf("MakeSymlinks=%s:%s: %w", link.Path, link.Target, err)
		}
	}
	setMissingTimes(out, now)
	layout, err := erofs.Plan(out, erofs.Options{UUID: uuid, BuildTime: now})
	if err != nil {
		return nil, err
	}
	return &Data{Tree: out, Layout: layout, UUID: uuid}, nil
}

// copyFiles merges one source of the built tree into out. A source that is not
// there is passed over, as systemd-repart does.
func copyFiles(out, from *tree.Tree, c repart.Copy, exclude []string) error {
	node := from.Lookup(c.Source)
	if node == nil {
		return nil
	}
	clean := path.Join("/", c.Source)
	kept := without(node, clean, exclude)
	if kept == nil {
		return nil
	}
	return out.Merge(c.Target, kept)
}

// without returns a copy of the directories of node in which the excluded
// paths are missing; files are shared with the original. An exclusion that
// ends in a slash keeps the directory and drops what is in it.
func without(node *tree.Inode, at string, exclude []string) *tree.Inode {
	for _, x := range exclude {
		if path.Join("/", x) != at {
			continue
		}
		if !strings.HasSuffix(x, "/") {
			return nil
		}
		return node.CopyDir()
	}
	if !node.Mode.IsDir() {
		return node
	}
	kept := node.CopyDir()
	for _, e := range node.Entries() {
		if child := without(e.Inode, path.Join(at, e.Name), exclude); child != nil {
			if err := kept.Put(e.Name, child); err != nil {
				panic("internal error: " + err.Error()) // the name was in a directory before
			}
		}
	}
	return kept
}

func makeSymlink(t *tree.Tree, link repart.Symlink, now time.Time) error {
	return t.Merge(link.Path, &tree.Inode{
		Mode: tree.TypeSymlink | 0o777, Target: link.Target, ModTime: now, Origin: "MakeSymlinks=" + link.Path,
	})
}

// setMissingTimes gives directories that the merging made a time.
func setMissingTimes(t *tree.Tree, now time.Time) {
	t.Each(func(_ string, node *tree.Inode) {
		if node.ModTime.IsZero() {
			node.ModTime = now
		}
	})
}
