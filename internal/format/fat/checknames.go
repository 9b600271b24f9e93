package fat

import (
	"sextant/internal/tree"
)

// listing checks the entries of a directory among themselves.
func (c *checker) listing(list *listing, d *directory, path string) error {
	for _, finding := range list.findings {
		if err := c.Untidy(path, corrupt("entry %d: %s", finding.slot, finding.text)); err != nil {
			return err
		}
	}
	for slot := list.end; slot < len(d.bytes)/DirEntrySize; slot++ {
		if first := d.bytes[slot*DirEntrySize]; first != markEnd && first != markDeleted {
			// Linux reads on behind the end mark, Windows does not.
			if err := c.Bad(path, corrupt("entry %d lies behind the end of the directory at %d", slot, list.end)); err != nil {
				return err
			}
			break
		}
	}
	if err := c.volumeLabels(list, path); err != nil {
		return err
	}
	return c.names(list, path)
}

func (c *checker) volumeLabels(list *listing, path string) error {
	for _, n := range list.labels {
		if c.labels++; c.labels > 1 || path != "/" {
			if err := c.Untidy(path, corrupt("entry %d: one more label of the volume, %q", n.slot, n.entry.Name[:])); err != nil {
				return err
			}
		}
	}
	return nil
}

// names checks that each name means one file. Names that differ in the case of
// letters outside ASCII are two for Linux and one for Windows.
func (c *checker) names(list *listing, path string) error {
	owners := newNameTable(len(list.nodes))
	for _, n := range list.nodes {
		if err := tree.CheckName(n.name); err != nil {
			if err := c.Bad(path, corrupt("entry %d: %v", n.slot, err)); err != nil {
				return err
			}
		}
		if err := c.Bad(path, n.entry.Name.check()); err != nil {
			return err
		}
		for _, name := range []string{n.name, n.short} {
			other, forLinux := owners.claim(name, n)
			if other == nil {
				continue
			}
			if err := c.Add(path, !forLinux, corrupt("entries %d and %d are both %q", other.slot, n.slot, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// nameTable tells who has a name: in ASCII letters of whatever case, and in all
// letters of whatever case.
type nameTable struct {
	ascii, all map[string]*node
}

func newNameTable(size int) nameTable {
	return nameTable{make(map[string]*node, 2*size), make(map[string]*node, 2*size)}
}

// claim gives a name to n and returns who else had it, and whether Linux too
// sees that.
func (t nameTable) claim(name string, n *node) (other *node, forLinux bool) {
	ascii, all := foldASCII(name), fold(name)
	if other = t.ascii[ascii]; other == n {
		other = nil
	}
	forLinux = other != nil
	if o := t.all[all]; other == nil && o != n {
		other = o
	}
	t.ascii[ascii], t.all[all] = n, n
	return other, forLinux
}

// dots checks the entries "." and "..", which every directory but the root has,
// as its first two.
func (c *checker) dots(n, parent *node, list *listing, path string) error {
	if n.root {
		if len(list.dots) > 0 {
			return c.Bad(path, corrupt("root directory with an entry %q", list.dots[0].entry.Name[:]))
		}
		return nil
	}
	if len(list.dots) != 2 || list.dots[0].slot != 0 || list.dots[1].slot != 1 ||
		string(list.dots[0].entry.Name[:]) != dotName || string(list.dots[1].entry.Name[:]) != dotDotName {
		return c.Bad(path, corrupt("does not begin with the entries \".\" and \"..\""))
	}
	up := parent.first
	if parent.root {
		up = 0
	}
	if dot, dotDot := list.dots[0], list.dots[1]; dot.first != n.first || dotDot.first != up {
		return c.Bad(path, corrupt("\".\" and \"..\" are at the clusters %d and %d, not %d and %d", dot.first, dotDot.first, n.first, up))
	}
	return nil
}
