package tree

import (
	"slices"
	"strings"
	"time"
)

// ClampTimes turns every modification time later than epoch into epoch, and
// so every time that is not set.
func (t *Tree) ClampTimes(epoch time.Time) {
	t.Each(func(_ string, node *Inode) {
		if node.ModTime.IsZero() || node.ModTime.After(epoch) {
			node.ModTime = epoch
		}
	})
}

// SquashOwners gives every file to root.
func (t *Tree) SquashOwners() {
	t.Each(func(_ string, node *Inode) { node.UID, node.GID = 0, 0 })
}

// SetID returns the paths of the regular files that have the setuid or the
// setgid bit.
func (t *Tree) SetID() []string {
	var list []string
	t.Each(func(path string, node *Inode) {
		if node.Mode.IsRegular() && node.Mode&(SetUID|SetGID) != 0 {
			list = append(list, path)
		}
	})
	return list
}

// Each is Walk for a visit that never fails.
func (t *Tree) Each(visit func(path string, node *Inode)) {
	err := t.Walk(func(path string, node *Inode) error {
		visit(path, node)
		return nil
	})
	if err != nil {
		panic("internal error: " + err.Error())
	}
}

// PruneEmptyDirs removes the directories that are empty or hold only such,
// and returns the paths of the outermost ones. The root stays.
func (t *Tree) PruneEmptyDirs() []string {
	var pruned []string
	prune("", t.Root, &pruned)
	return pruned
}

// prune empties dir of empty directories and reports whether nothing is left.
// What it removes from an emptied directory is one removal, that of the
// directory.
func prune(path string, dir *Inode, pruned *[]string) bool {
	mark := len(*pruned)
	for _, e := range dir.Entries() {
		child := path + "/" + e.Name
		if e.Inode.Mode.IsDir() && prune(child, e.Inode, pruned) {
			dir.Remove(e.Name)
			*pruned = append(*pruned, child)
		}
	}
	if dir.Len() > 0 {
		return false
	}
	if path != "" {
		*pruned = (*pruned)[:mark]
	}
	return true
}

// Restrict leaves only what lies in the given directories ("/usr", "/opt"),
// with the directories above them, and returns the paths of what it removed:
// files, and directories that were empty. Something that has the name of a
// hierarchy and is no directory goes too.
func (t *Tree) Restrict(hierarchies []string) []string {
	clean := make([]string, len(hierarchies))
	for i, h := range hierarchies {
		clean[i] = "/" + strings.Join(Split(h), "/")
	}
	var removed []string
	restrict("", t.Root, clean, &removed)
	return removed
}

func restrict(path string, dir *Inode, hierarchies []string, removed *[]string) {
	for _, e := range dir.Entries() {
		child := path + "/" + e.Name
		isDir := e.Inode.Mode.IsDir()
		switch {
		case isDir && slices.Contains(hierarchies, child):
		case isDir && slices.ContainsFunc(hierarchies, func(h string) bool {
			return strings.HasPrefix(h, child+"/")
		}):
			restrict(child, e.Inode, hierarchies, removed)
		default:
			leaves(child, e.Inode, removed)
			dir.Remove(e.Name)
		}
	}
}

// leaves appends the paths of all that is at path but is no directory with
// something in it.
func leaves(path string, node *Inode, list *[]string) {
	if node.Len() == 0 {
		*list = append(*list, path)
		return
	}
	for _, e := range node.Entries() {
		leaves(path+"/"+e.Name, e.Inode, list)
	}
}
