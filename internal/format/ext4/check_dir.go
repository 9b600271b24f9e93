package ext4

import (
	"slices"
)

// eachInUse calls visit for every inode in use, in order.
func (c *checker) eachInUse(visit func(number uint32, kind FileType) error) error {
	for group := range c.fs.geo.Groups {
		t := c.inodes[group]
		if t == nil {
			continue
		}
		for i, kind := range t.kinds {
			if kind == TypeUnknown {
				continue
			}
			if err := visit(group*c.fs.geo.InodesPerGroup+uint32(i)+1, kind); err != nil {
				return err
			}
		}
	}
	return nil
}

// kind returns the type of an inode in use, else TypeUnknown.
func (c *checker) kind(number uint32) FileType {
	group, i := c.fs.geo.Place(number)
	if t := c.inodes[group]; t != nil {
		return t.kinds[i]
	}
	return TypeUnknown
}

// link counts a directory entry of an inode.
func (c *checker) link(number uint32) {
	group, i := c.fs.geo.Place(number)
	if t := c.inodes[group]; t != nil {
		t.links[i]++
	}
}

// directories checks the entries of all directories.
func (c *checker) directories() error {
	if c.kind(RootInode) != TypeDir {
		if err := c.Bad(inodePlace(RootInode), corrupt("the root is not a directory in use")); err != nil {
			return err
		}
	}
	return c.eachInUse(func(number uint32, kind FileType) error {
		if err := c.Context.Err(); err != nil || kind != TypeDir {
			return err
		}
		n, err := c.fs.node(number)
		if err != nil {
			return c.Bad(inodePlace(number), err)
		}
		d := &dirCheck{checker: c, node: n, names: make(map[string]bool)}
		if err := d.check(); err != nil {
			return c.Bad(inodePlace(number), err)
		}
		return nil
	})
}

// dirCheck checks one directory.
type dirCheck struct {
	*checker
	node   *node
	names  map[string]bool
	parent uint32 // what ".." says
	leaves []leaf
}

// leaf is a block with entries.
type leaf struct {
	block    dirBlock
	min, max uint32 // hashes of its names
	empty    bool
}

func (d *dirCheck) check() error {
	f, n := d.fs, d.node
	if n.has(FlagInlineData) {
		d.parent = le32(n.disk.Block[:], 0)
		d.link(n.number)
		if d.parent == 0 || d.parent > f.geo.Inodes {
			return corrupt("directory in inode %d of %d", d.parent, f.geo.Inodes)
		}
		d.link(d.parent)
	} else if err := d.size(); err != nil {
		return err
	}
	hash, err := d.hasher()
	if err != nil {
		return err
	}
	for b, err := range f.dirBlocks(n) {
		if err != nil {
			return err
		}
		if err := d.block(b, hash); err != nil {
			return err
		}
	}
	c := d.checker
	if n.number == RootInode && d.parent != RootInode {
		return corrupt("the root's \"..\" is inode %d", d.parent)
	}
	c.dotdots[n.number] = d.parent
	return d.index()
}

// size wants a directory of whole blocks without holes.
func (d *dirCheck) size() error {
	f := d.fs
	if size := f.size(d.node); size == 0 || size%f.geo.BlockSize != 0 {
		return corrupt("directory of %d bytes", size)
	}
	next := uint64(0)
	for r, err := range f.runs(d.node, 0) {
		if err != nil {
			return err
		}
		if r.Logical != next || r.Unwritten {
			return corrupt("directory has a hole at block %d", next)
		}
		next = r.Logical + r.Length
	}
	if next < f.sizeBlocks(d.node) {
		return corrupt("directory has a hole at block %d", next)
	}
	return nil
}

// block checks the entries of one block.
func (d *dirCheck) block(b dirBlock, hash func(name []byte) (uint32, bool)) error {
	first := b.logical == 0 && !d.node.has(FlagInlineData)
	l := leaf{block: b, empty: true, min: ^uint32(0)}
	position := 0
	for e, err := range d.fs.entries(b) {
		if err == nil {
			err = d.entry(e, first, position)
		}
		if err != nil {
			return err
		}
		position++
		if h, ok := hash(e.name); ok && !e.isDots() {
			l.min, l.max, l.empty = min(l.min, h), max(l.max, h), false
		}
	}
	if first && position < 2 {
		return corrupt("has no entries \".\" and \"..\"")
	}
	if b.index {
		l.min, l.max, l.empty = 0, 0, true
	} else {
		l.block.bytes = nil // a directory can be larger than memory
	}
	d.leaves = append(d.leaves, l)
	return nil
}

// entry checks one entry. The first two of a directory are "." and "..".
func (d *dirCheck) entry(e dirent, first bool, position int) error {
	c, name := d.checker, string(e.name)
	switch {
	case first && position == 0 && (name != "." || e.inode != d.node.number):
		return corrupt("first entry is %q, inode %d", name, e.inode)
	case first && position == 1 && name != "..":
		return corrupt("second entry is %q", name)
	case first && position < 2:
		c.link(e.inode)
		if position == 1 {
			d.parent = e.inode
		}
		return nil
	case e.isDots():
		return corrupt("entry %q in the middle", name)
	case d.names[name]:
		return corrupt("two entries %q", name)
	}
	d.names[name] = true
	if err := d.checkName(e.name); err != nil {
		return err
	}
	kind := c.kind(e.inode)
	switch {
	case kind == TypeUnknown:
		return c.Bad(inodePlace(d.node.number), corrupt("entry %q of inode %d, which is not in use", name, e.inode))
	case c.fs.isSpecial(e.inode):
		return corrupt("entry %q of the special inode %d", name, e.inode)
	case e.fileType != TypeUnknown && e.fileType != kind:
		return c.Bad(inodePlace(d.node.number), corrupt("entry %q says %s, inode %d is a %s", name, e.fileType, e.inode, kind))
	}
	c.link(e.inode)
	if kind != TypeDir {
		return nil
	}
	if _, twice := c.parents[e.inode]; twice || e.inode == RootInode {
		return corrupt("entry %q of inode %d, a directory with another name", name, e.inode)
	}
	c.parents[e.inode] = d.node.number
	return nil
}

// checkName wants a name that a file can have. Encrypted ones are any bytes.
func (d *dirCheck) checkName(name []byte) error {
	if d.node.has(FlagEncrypt) {
		return nil
	}
	return checkName(name)
}

// links checks that directories hang together, and counts links.
func (c *checker) links() error {
	reached := map[uint32]bool{RootInode: true}
	return c.eachInUse(func(number uint32, kind FileType) error {
		if err := c.Context.Err(); err != nil {
			return err
		}
		if kind == TypeDir && !c.reach(number, reached) {
			if err := c.Untidy(inodePlace(number), corrupt("directory that no path leads to")); err != nil {
				return err
			}
		}
		if up, ok := c.dotdots[number]; ok && kind == TypeDir && number != RootInode && up != c.parents[number] {
			if err := c.Bad(inodePlace(number), corrupt("\"..\" is inode %d, its entry is in inode %d", up, c.parents[number])); err != nil {
				return err
			}
		}
		n, err := c.fs.node(number)
		if err != nil || c.fs.isSpecial(number) || number < c.fs.geo.FirstInode() && number != RootInode {
			return nil // what is wrong with it is known
		}
		return c.linkCount(n)
	})
}

// reach reports whether the entries that name a directory lead up to the root.
func (c *checker) reach(number uint32, reached map[uint32]bool) bool {
	var way []uint32
	seen := make(map[uint32]bool)
	for !reached[number] {
		parent := c.parents[number]
		if parent == 0 || seen[number] {
			return false
		}
		seen[number] = true
		way = append(way, number)
		number = parent
	}
	for _, n := range way {
		reached[n] = true
	}
	return true
}

func (c *checker) linkCount(n *node) error {
	group, i := c.fs.geo.Place(n.number)
	found, said := c.inodes[group].links[i], uint32(n.disk.Links)
	place := inodePlace(n.number)
	switch {
	case n.has(FlagEAInode):
		return c.Untidy(place, c.valueUsers(n))
	case found == said, c.orphans[n.number]:
		return nil
	case n.mode().IsDir() && said == linksUnknown && c.fs.super.FeatureROCompat&ROCompatDirNlink != 0:
		return nil
	}
	return c.Untidy(place, corrupt("%d entries name it, it says %d", found, said))
}

// valueUsers compares the users of an xattr value with the count.
func (c *checker) valueUsers(n *node) error {
	said := join(uint32(n.disk.ChangeTime), n.disk.VersionLo)
	if found := c.values[n.number]; found != said {
		return corrupt("%d attributes use it, it says %d", found, said)
	}
	return nil
}

// xattrShares compares the users of xattr blocks with their counts.
func (c *checker) xattrShares() error {
	var numbers []uint64
	for number := range c.shares {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	for _, number := range numbers {
		s := c.shares[number]
		if s.said == s.users || s.said == 0 {
			continue
		}
		err := atBlock(number, "xattr block", corrupt("%d inodes use it, it says %d", s.users, s.said))
		if err := c.Untidy("attributes", err); err != nil {
			return err
		}
	}
	return nil
}

// isSpecial reports whether an inode holds what belongs to the file system and
// has no name.
func (f *FS) isSpecial(number uint32) bool {
	sb := &f.super
	if number == RootInode {
		return false
	}
	return number < f.geo.FirstInode() ||
		sb.FeatureCompat&CompatOrphanFile != 0 && number == sb.OrphanFileInode ||
		sb.FeatureCompat&CompatHasJournal != 0 && number == sb.JournalInode ||
		sb.FeatureROCompat&(ROCompatQuota|ROCompatProject) != 0 &&
			(number == sb.UserQuotaInode || number == sb.GroupQuotaInode || number == sb.ProjectQuotaInode)
}
