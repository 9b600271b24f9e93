package ext4

import (
	"fmt"
	"math"

	"sextant/internal/tree"
)

func inodePlace(number uint32) string { return fmt.Sprintf("inode %d", number) }

// inodeTable checks the inodes of a group that its bitmap marks.
func (c *checker) inodeTable(g group) error {
	geo, place := c.fs.geo, groupPlace(g.number)
	free := geo.InodesPerGroup
	var dirs uint32
	if g.flags&GroupInodeUninit == 0 {
		b, err := c.fs.readBitmap(g.inodeBitmap, geo.InodesPerGroup, g.inodeSum)
		if err != nil {
			// Without the bitmap all inodes with a link count as used.
			if err := c.Bad(place, fmt.Errorf("inode bitmap: %w", err)); err != nil {
				return err
			}
			b = nil
		} else {
			free -= countBits(b, geo.InodesPerGroup)
			if err := c.Untidy(place, inodePadding(g, b, geo.InodesPerGroup)); err != nil {
				return err
			}
		}
		if dirs, err = c.inodesOf(g, b); err != nil {
			return err
		}
	}
	c.freeInodes += uint64(free)
	if free != g.freeInodes {
		if err := c.Untidy(place, corrupt("%d free inodes, the descriptor says %d", free, g.freeInodes)); err != nil {
			return err
		}
	}
	if dirs != g.usedDirs {
		return c.Untidy(place, corrupt("%d directories, the descriptor says %d", dirs, g.usedDirs))
	}
	return nil
}

// inodePadding wants the bits behind those of inodes to be set.
func inodePadding(g group, b []byte, inodes uint32) error {
	for i := inodes; i < uint32(len(b)*8); i++ {
		if !bit(b, i) {
			return atBlock(g.inodeBitmap, "block", corrupt("inode bitmap: bit %d behind the end is clear", i))
		}
	}
	return nil
}

// inodesOf checks the inodes that a bitmap marks, and that the others are not
// used. It returns the number of directories.
func (c *checker) inodesOf(g group, b []byte) (dirs uint32, err error) {
	geo := c.fs.geo
	t := &inodeTable{kinds: make([]FileType, geo.InodesPerGroup), links: make([]uint32, geo.InodesPerGroup)}
	c.inodes[g.number] = t
	known := geo.InodesPerGroup - g.unusedInodes
	for i := range geo.InodesPerGroup {
		number := g.number*geo.InodesPerGroup + i + 1
		marked := b != nil && bit(b, i)
		if i >= known {
			if !marked {
				continue
			}
			if err := c.Bad(inodePlace(number), corrupt("in use where the descriptor says that none ever was")); err != nil {
				return dirs, err
			}
		}
		n, err := c.fs.readNode(number)
		if err != nil {
			return dirs, c.Bad(inodePlace(number), err)
		}
		if b == nil {
			marked = n.disk.Links > 0
		}
		if t.kinds[i], err = c.inodeInUse(n, marked); err != nil {
			return dirs, err
		}
		if t.kinds[i] == TypeDir {
			dirs++
		}
	}
	return dirs, nil
}

// inodeInUse checks one inode and returns its type, TypeUnknown if it is free.
func (c *checker) inodeInUse(n *node, marked bool) (FileType, error) {
	place := inodePlace(n.number)
	reserved := n.number < c.fs.geo.FirstInode() && n.number != RootInode
	empty := n.disk.Links == 0 && n.disk.Mode == 0
	switch {
	case !marked && n.disk.Links > 0:
		return TypeUnknown, c.Untidy(place, corrupt("has %d links but is not marked in the bitmap", n.disk.Links))
	case !marked, reserved && empty && n.number != badBlocksInode:
		return TypeUnknown, nil
	case empty && n.number != badBlocksInode:
		return TypeUnknown, c.Untidy(place, corrupt("marked in the bitmap but empty"))
	}
	if n.number != badBlocksInode {
		if err := c.fs.checkNode(n); err != nil {
			return TypeUnknown, c.Bad(place, err)
		}
	}
	if n.disk.Links == 0 && !c.orphans[n.number] && !reserved {
		if err := c.Untidy(place, corrupt("has no links and is no orphan")); err != nil {
			return TypeUnknown, err
		}
	}
	return typeOf(n.mode()), c.inode(n)
}

func typeOf(m tree.Mode) FileType {
	for t := TypeRegular; t <= TypeSymlink; t++ {
		if mode, _ := t.mode(); mode == m.Type() {
			return t
		}
	}
	return TypeUnknown
}

// inode checks what an inode says and all that belongs to it but for the
// entries of directories.
func (c *checker) inode(n *node) error {
	f, place := c.fs, inodePlace(n.number)
	if err := c.Bad(place, c.flags(n)); err != nil {
		return err
	}
	if typeOf(n.mode()) == TypeUnknown && n.number >= f.geo.FirstInode() {
		return c.Bad(place, corrupt("file type %#o", uint16(n.mode().Type())))
	}
	if err := c.Untidy(place, c.strayFields(n)); err != nil {
		return err
	}
	if n.disk.Links > 0 && n.disk.DeletionTime != 0 && !c.orphans[n.number] && n.number >= f.geo.FirstInode() {
		if err := c.Untidy(place, corrupt("in use but has a deletion time")); err != nil {
			return err
		}
	}
	clusters, err := c.attributes(n)
	if err != nil {
		return err
	}
	if n.mode().Type() == tree.TypeSymlink && !n.has(FlagEncrypt) {
		if _, err := f.target(n); err != nil {
			return c.Bad(place, err)
		}
	}
	if n.has(FlagInlineData) {
		_, err := f.inlineContent(n)
		return c.Bad(place, err)
	}
	if !f.hasMap(n) {
		return nil
	}
	owned, whole, err := c.blocks(n)
	if err != nil || !whole || n.number == badBlocksInode {
		return err
	}
	return c.Untidy(place, c.sectors(n, clusters+owned))
}

// strayFields wants fields to be zero that nothing of this inode uses, and a
// size that blocks can have. Reserved inodes use them as they like.
func (c *checker) strayFields(n *node) error {
	f := c.fs
	switch {
	case n.number < f.geo.FirstInode() && n.number != RootInode:
		return nil
	case n.disk.FragmentAddr != 0:
		return corrupt("fragment address is %d", n.disk.FragmentAddr)
	case f.super.FeatureIncompat&Incompat64Bit == 0 && n.disk.XattrBlockHi != 0:
		return corrupt("xattr block has a high half without feature 64bit")
	case f.super.FeatureROCompat&ROCompatHugeFile == 0 && n.disk.BlocksHi != 0:
		return corrupt("sectors have a high half without feature huge_file")
	case f.sizeBlocks(n) > math.MaxUint32+1:
		return corrupt("%d bytes, more than blocks can be numbered", f.size(n))
	}
	return nil
}

// hasMap reports whether Inode.Block leads to blocks.
func (f *FS) hasMap(n *node) bool {
	switch n.mode().Type() {
	case tree.TypeRegular, tree.TypeDir:
		return true
	case tree.TypeSymlink:
		return !f.isFastLink(n)
	}
	return n.number < f.geo.FirstInode()
}

// flags compares an inode's flags with the file system's features.
func (c *checker) flags(n *node) error {
	incompat := c.fs.super.FeatureIncompat
	for _, need := range []struct {
		flag    InodeFlags
		feature FeatureIncompat
	}{
		{FlagExtents, IncompatExtents},
		{FlagInlineData, IncompatInlineData},
		{FlagEAInode, IncompatEAInode},
		{FlagEncrypt, IncompatEncrypt},
		{FlagCaseFold, IncompatCaseFold},
	} {
		if n.has(need.flag) && incompat&need.feature == 0 {
			return corrupt("has flag %s without feature %s", need.flag, need.feature)
		}
	}
	if n.has(FlagExtents) && n.has(FlagInlineData) {
		return corrupt("has extents and inline data")
	}
	return nil
}

// blocks marks the blocks of an inode as used. It returns the number of their
// clusters, and whether it came to the end.
func (c *checker) blocks(n *node) (clusters uint64, whole bool, err error) {
	f, place := c.fs, inodePlace(n.number)
	u := &usage{checker: c, resize: n.number == ResizeInode}
	walkErr := f.walkRuns(n, 0, u.inner, u.run)
	if walkErr != nil {
		return 0, false, c.Bad(place, walkErr)
	}
	if u.end > f.sizeBlocks(n) && !n.has(FlagVerity) && n.number >= f.geo.FirstInode() {
		last := (f.sizeBlocks(n) + f.geo.ClusterBlocks - 1) / f.geo.ClusterBlocks * f.geo.ClusterBlocks
		if u.end > last {
			err := corrupt("%d bytes, but blocks up to %d were written", f.size(n), u.end)
			return u.clusters, true, c.Untidy(place, err)
		}
	}
	return u.clusters, true, nil
}

// usage marks the blocks of one inode.
type usage struct {
	*checker
	clusters uint64
	end      uint64 // behind the last logical block that was written
	last     Run    // the one before
	resize   bool   // of the resize inode, see claimHead
}

func (u *usage) inner(block uint64) error {
	if err := u.fs.geo.BlockRange(block, 1); err != nil {
		return err
	}
	u.clusters++
	return u.take(block, 1)
}

func (u *usage) run(r Run) error {
	geo := u.fs.geo
	if !r.Unwritten {
		u.end = r.Logical + r.Length
	}
	first, count := r.Physical, r.Length
	last := u.last
	u.last = r
	if last.Length > 0 && (last.Logical+last.Length-1)/geo.ClusterBlocks == r.Logical/geo.ClusterBlocks &&
		geo.Cluster(last.Physical+last.Length-1) == geo.Cluster(first) {
		// Runs of one file may share a cluster.
		skip := min(count, geo.ClusterBlocks-(first-geo.FirstDataBlock)%geo.ClusterBlocks)
		first, count = first+skip, count-skip
	}
	if count == 0 {
		return nil
	}
	u.clusters += geo.Cluster(first+count-1) - geo.Cluster(first) + 1
	return u.take(first, count)
}

func (u *usage) take(first, count uint64) error {
	twice, ok := u.claim(first, count)
	mayShare := u.fs.super.FeatureROCompat&ROCompatSharedBlocks != 0 ||
		u.resize && u.fs.geo.ClusterBlocks > 1
	if !ok && !mayShare {
		return atBlock(twice, "block", corrupt("has another use"))
	}
	return nil
}

// sectors compares the clusters of an inode with its count of sectors.
func (c *checker) sectors(n *node, clusters uint64) error {
	want := clusters * c.fs.geo.ClusterBlocks * uint64(c.fs.geo.BlockSize/512)
	if got := c.fs.sectors(n); got != want {
		return corrupt("takes %d sectors, it says %d", want, got)
	}
	return nil
}

// attributes checks an inode's xattrs and returns the clusters they take.
func (c *checker) attributes(n *node) (clusters uint64, err error) {
	f, place := c.fs, inodePlace(n.number)
	area, err := f.xattrBody(n)
	if err == nil {
		clusters, err = c.area(n, area, nil)
	}
	number := f.xattrBlock(n)
	if err != nil || number == 0 {
		return clusters, c.Bad(place, err)
	}
	if known := c.shares[number]; known != nil {
		known.users++
		return clusters + known.clusters, nil
	}
	share := &shared{users: 1, clusters: 1}
	c.shares[number] = share
	area, header, err := f.xattrBlockArea(number)
	if err == nil {
		if twice, ok := c.claim(number, 1); !ok {
			err = atBlock(twice, "xattr block", corrupt("has another use"))
		}
	}
	if err == nil {
		var more uint64
		more, err = c.area(n, area, &header)
		share.clusters += more
	}
	share.said = header.References
	return clusters + share.clusters, c.Bad(place, err)
}

// area checks the attributes in one place, whose header is nil in an inode.
func (c *checker) area(n *node, area xattrArea, header *XattrHeader) (clusters uint64, err error) {
	var hashes []uint32
	for x, err := range area.entries() {
		if err != nil {
			return clusters, err
		}
		hashes = append(hashes, x.Hash)
		if err := c.entryHash(n, x); err != nil {
			return clusters, err
		}
		if x.ValueInode != 0 {
			if c.values[x.ValueInode]++; c.values[x.ValueInode] == 1 {
				if _, err := c.fs.readValueInode(n, x); err != nil {
					return clusters, err
				}
			}
			cluster := c.fs.geo.ClusterBlocks * uint64(c.fs.geo.BlockSize)
			clusters += (uint64(x.ValueSize) + cluster - 1) / cluster
		} else if x.NameIndex == XattrACLAccess || x.NameIndex == XattrACLDefault {
			if _, err := convertACL(x.value); err != nil {
				return clusters, err
			}
		}
		if x.NameIndex == 0 || x.NameIndex > XattrHurd {
			return clusters, corrupt("attribute %q has a name of %s", x.name, x.NameIndex)
		}
	}
	if header != nil && header.Hash != 0 && hashXattrBlock(hashes) != header.Hash {
		return clusters, corrupt("xattr block: hash does not match")
	}
	return clusters, nil
}

// entryHash compares an attribute's hash, where it has one.
func (c *checker) entryHash(n *node, x xattr) error {
	if x.Hash == 0 {
		return nil
	}
	words := xattrWords(x.value)
	if x.ValueInode != 0 {
		v, err := c.fs.readNode(x.ValueInode)
		if err != nil {
			return err
		}
		words = []uint32{uint32(v.disk.AccessTime)}
	}
	if hashXattr(x.name, words, false) != x.Hash && hashXattr(x.name, words, true) != x.Hash {
		return corrupt("attribute %q: hash does not match", x.name)
	}
	return nil
}
