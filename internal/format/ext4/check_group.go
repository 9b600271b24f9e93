package ext4

import (
	"fmt"
	"math/bits"
)

func groupPlace(number uint32) string { return fmt.Sprintf("group %d", number) }

// groups checks the descriptors and marks what no inode owns as used.
func (c *checker) groups() error {
	f := c.fs
	for number := range f.geo.Groups {
		if err := c.Context.Err(); err != nil {
			return err
		}
		c.claimHead(number)
		g, err := f.group(number)
		if err != nil {
			if err := c.Bad(groupPlace(number), err); err != nil {
				return err
			}
			continue
		}
		for _, part := range []struct {
			what         string
			first, count uint64
		}{
			{"block bitmap", g.blockBitmap, 1},
			{"inode bitmap", g.inodeBitmap, 1},
			{"inode table", g.inodeTable, f.geo.InodeTableBlocks()},
		} {
			twice, ok := c.claim(part.first, part.count)
			if ok || f.geo.ClusterBlocks > 1 {
				continue // bitmaps of several groups share a cluster
			}
			if err := c.Bad(groupPlace(number), corrupt("%s: block %d has another use", part.what, twice)); err != nil {
				return err
			}
		}
	}
	for number := range f.geo.Groups {
		c.fixed[number] = c.usedIn(number) + c.reservedIn(number)
	}
	return nil
}

// reservedIn counts the clusters at a group's begin that the resize inode takes
// later.
func (c *checker) reservedIn(number uint32) uint32 {
	geo := c.fs.geo
	if head, reserved := geo.GroupHead(number); reserved > 0 && geo.ClusterBlocks == 1 {
		start := geo.GroupStart(number)
		return c.freeIn(geo.Cluster(start), geo.Cluster(start+min(head, geo.GroupBlocks(number))-1)+1)
	}
	return 0
}

// freeIn counts the clusters in [first, end) that are not in use.
func (c *checker) freeIn(first, end uint64) (count uint32) {
	for n := first; n < end; n++ {
		if !c.used.has(n) {
			count++
		}
	}
	return count
}

// claimHead marks the superblock's copy and the descriptors at a group's begin.
// Blocks that are kept for more descriptors belong to the resize inode, which
// may share a cluster with the ones in use.
func (c *checker) claimHead(number uint32) {
	geo := c.fs.geo
	head, reserved := geo.GroupHead(number)
	if c.fs.super.FeatureCompat&CompatResizeInode != 0 && geo.ClusterBlocks == 1 {
		head -= reserved
	}
	c.claim(geo.GroupStart(number), min(head, geo.GroupBlocks(number)))
}

// readBitmap returns the bytes of a bitmap that hold count bits, after a look at
// the checksum.
func (f *FS) readBitmap(number uint64, count uint32, sum uint32) ([]byte, error) {
	b, err := f.block(number)
	if err != nil || !f.super.checksums() {
		return b, err
	}
	want := f.seed.Bitmap(b[:count/8])
	if f.geo.DescSize < descSize64 {
		want &= 0xffff
	}
	if want != sum {
		return b, atBlock(number, "bitmap", corrupt("checksum does not match"))
	}
	return b, nil
}

func bit(b []byte, n uint32) bool { return b[n/8]&(1<<(n%8)) != 0 }

// difference counts where a bitmap is not as it should be, and gives the first
// place.
type difference struct {
	count int
	first uint64
}

func (d *difference) add(n uint64) {
	if d.count == 0 {
		d.first = n
	}
	d.count++
}

// eachGroup is a step that checks the groups whose descriptor can be read. Of
// the others it is known since groups.
func (c *checker) eachGroup(check func(g group) error) func() error {
	return func() error { return c.overGroups(check) }
}

func (c *checker) overGroups(check func(g group) error) error {
	for number := range c.fs.geo.Groups {
		if err := c.Context.Err(); err != nil {
			return err
		}
		g, err := c.fs.group(number)
		if err != nil {
			continue
		}
		if err := check(g); err != nil {
			return err
		}
	}
	return nil
}

// blockBitmap compares the block bitmap of a group with what was found to be in
// use.
func (c *checker) blockBitmap(g group) error {
	geo, place := c.fs.geo, groupPlace(g.number)
	used := c.usedIn(g.number)
	free := geo.GroupClusters(g.number) - used
	c.freeClusters += uint64(free)
	if free != g.freeClusters {
		err := corrupt("%d free clusters, the descriptor says %d", free, g.freeClusters)
		if err := c.Untidy(place, err); err != nil {
			return err
		}
	}
	if g.flags&GroupBlockUninit != 0 {
		if used != c.fixed[g.number] {
			return c.Untidy(place, corrupt("blocks in use in a group without block bitmap"))
		}
		return nil
	}
	b, err := c.fs.readBitmap(g.blockBitmap, geo.ClustersPerGroup, g.blockSum)
	if err != nil {
		return c.Untidy(place, fmt.Errorf("block bitmap: %w", err))
	}
	return c.compareBlocks(g, b)
}

func (c *checker) compareBlocks(g group, b []byte) error {
	geo, place := c.fs.geo, groupPlace(g.number)
	var lost, free, end difference
	start := uint64(g.number) * uint64(geo.ClustersPerGroup)
	clusters := geo.GroupClusters(g.number)
	for i := range uint32(len(b) * 8) {
		block := geo.FirstDataBlock + (start+uint64(i))*geo.ClusterBlocks
		switch set := bit(b, i); {
		case i >= clusters && !set:
			end.add(block)
		case i < clusters && set && !c.used.has(start+uint64(i)):
			lost.add(block)
		case i < clusters && !set && c.used.has(start+uint64(i)):
			free.add(block)
		}
	}
	for _, d := range []struct {
		difference
		text string
	}{
		{lost, "block bitmap: %d clusters are marked but not in use, the first at block %d"},
		{free, "block bitmap: %d clusters are in use but not marked, the first at block %d"},
		{end, "block bitmap: %d bits behind the end are clear, the first for block %d"},
	} {
		if d.count == 0 {
			continue
		}
		if err := c.Untidy(place, atBlock(g.blockBitmap, "block", corrupt(d.text, d.count, d.first))); err != nil {
			return err
		}
	}
	return nil
}

// counts compares the superblock's sums with what was found.
func (c *checker) counts() error {
	sb := &c.fs.super
	free := c.freeClusters * c.fs.geo.ClusterBlocks
	if said := sb.blocks(sb.FreeBlocksHi, sb.FreeBlocksLo); said != free {
		if err := c.Untidy("superblock", corrupt("%d free blocks, it says %d", free, said)); err != nil {
			return err
		}
	}
	if said := uint64(sb.FreeInodes); said != c.freeInodes {
		return c.Untidy("superblock", corrupt("%d free inodes, it says %d", c.freeInodes, said))
	}
	return nil
}

// countBits counts the bits that are set among the first n.
func countBits(b []byte, n uint32) uint32 {
	count := 0
	for _, c := range b[:n/8] {
		count += bits.OnesCount8(c)
	}
	return uint32(count)
}
