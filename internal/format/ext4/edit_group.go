package ext4

import (
	"maps"
	"slices"
)

// groupEdit is a block group that changes.
type groupEdit struct {
	group
	blocks    []byte // block bitmap as it will be, nil as long as it does not change
	committed []byte // block bitmap as it is on disk
	inodes    []byte // inode bitmap as it will be, nil as long as it does not change
}

// groupFor returns a group to be changed.
func (e *Editor) groupFor(number uint32) (*groupEdit, error) {
	if g := e.groups[number]; g != nil {
		return g, nil
	}
	g, err := e.fs.group(number)
	if err != nil {
		return nil, err
	}
	if g.freeClusters > e.fs.geo.GroupClusters(number) || g.freeInodes > e.fs.geo.InodesPerGroup {
		return nil, corrupt("group %d: %d free clusters, %d free inodes", number, g.freeClusters, g.freeInodes)
	}
	edit := &groupEdit{group: g}
	e.groups[number] = edit
	return edit, nil
}

// blockBitmap returns a group's block bitmap, made up if it was never written.
// The caller must not change it.
func (e *Editor) blockBitmap(g *groupEdit) ([]byte, error) {
	if g.blocks != nil {
		return g.blocks, nil
	}
	if g.flags&GroupBlockUninit == 0 {
		return e.fs.readBitmap(g.blockBitmap, e.fs.geo.ClustersPerGroup, g.blockSum)
	}
	return e.initialBlocks(&g.group)
}

// initialBlocks makes the bitmap of a group that holds nothing but its own
// metadata (ext4_init_block_bitmap).
func (e *Editor) initialBlocks(g *group) ([]byte, error) {
	geo := e.fs.geo
	b := make([]byte, geo.BlockSize)
	start, count := geo.GroupStart(g.number), geo.GroupBlocks(g.number)
	mark := func(first, count uint64) {
		for n := first; n < first+count; n++ {
			if n >= start && n-start < geo.BlocksPerGroup {
				setBits(b, uint32(n-start), 1, true)
			}
		}
	}
	head, _ := geo.GroupHead(g.number)
	mark(start, min(head, count))
	mark(g.blockBitmap, 1)
	mark(g.inodeBitmap, 1)
	mark(g.inodeTable, geo.InodeTableBlocks())
	if free := uint32(count) - countBits(b, geo.ClustersPerGroup); free != g.freeClusters {
		return nil, corrupt("group %d: %d free blocks without bitmap, the descriptor says %d", g.number, free, g.freeClusters)
	}
	setBits(b, uint32(count), uint32(geo.BlockSize*8)-uint32(count), true)
	return b, nil
}

// changeBlocks returns a group's block bitmap, to be changed.
func (e *Editor) changeBlocks(g *groupEdit) ([]byte, error) {
	if g.blocks != nil {
		return g.blocks, nil
	}
	b, err := e.blockBitmap(g)
	if err != nil {
		return nil, err
	}
	g.committed = slices.Clone(b)
	g.blocks = e.fresh(g.blockBitmap)
	copy(g.blocks, b)
	g.flags &^= GroupBlockUninit
	return g.blocks, nil
}

// changeInodes returns a group's inode bitmap, to be changed. The kernel wants
// the block bitmap of a group with inodes too (__ext4_new_inode).
func (e *Editor) changeInodes(g *groupEdit) ([]byte, error) {
	if g.inodes != nil {
		return g.inodes, nil
	}
	if g.flags&GroupBlockUninit != 0 {
		if _, err := e.changeBlocks(g); err != nil {
			return nil, err
		}
	}
	per := e.fs.geo.InodesPerGroup
	if g.flags&GroupInodeUninit != 0 {
		g.inodes = e.fresh(g.inodeBitmap)
		setBits(g.inodes, per, uint32(e.fs.geo.BlockSize*8)-per, true)
		g.flags &^= GroupInodeUninit
		g.unusedInodes = per
		return g.inodes, nil
	}
	b, err := e.fs.readBitmap(g.inodeBitmap, per, g.inodeSum)
	if err != nil {
		return nil, err
	}
	g.inodes = e.fresh(g.inodeBitmap)
	copy(g.inodes, b)
	return g.inodes, nil
}

// settle writes what the groups know to the descriptors' blocks, which stay in
// memory.
func (e *Editor) settle() error {
	for _, number := range slices.Sorted(maps.Keys(e.groups)) {
		g := e.groups[number]
		if g.blocks == nil && g.inodes == nil {
			delete(e.groups, number) // was only looked at
			continue
		}
		if err := e.saveGroup(g); err != nil {
			return err
		}
	}
	e.fs.lastGroup.Store(nil)
	return nil
}

func (e *Editor) saveGroup(g *groupEdit) error {
	f := e.fs
	per := f.geo.DescsPerBlock()
	block, err := e.write(f.geo.DescBlock(uint64(g.number / per)))
	if err != nil {
		return err
	}
	at := int(g.number%per) * f.geo.DescSize
	raw := block[at : at+f.geo.DescSize]
	if f.super.checksums() {
		if g.blocks != nil {
			g.blockSum = f.seed.Bitmap(g.blocks[:f.geo.ClustersPerGroup/8])
		}
		if g.inodes != nil {
			g.inodeSum = f.seed.Bitmap(g.inodes[:f.geo.InodesPerGroup/8])
		}
	}
	f.encodeGroup(raw, &g.group)
	return nil
}

// encodeGroup changes what an Editor changes in a descriptor.
func (f *FS) encodeGroup(raw []byte, g *group) {
	d := DecodeGroupDesc(raw)
	d.FreeClustersLo, d.FreeClustersHi = uint16(g.freeClusters), uint16(g.freeClusters>>16)
	d.FreeInodesLo, d.FreeInodesHi = uint16(g.freeInodes), uint16(g.freeInodes>>16)
	d.UsedDirsLo, d.UsedDirsHi = uint16(g.usedDirs), uint16(g.usedDirs>>16)
	d.BlockBitmapChecksumLo, d.BlockBitmapChecksumHi = uint16(g.blockSum), uint16(g.blockSum>>16)
	d.InodeBitmapChecksumLo, d.InodeBitmapChecksumHi = uint16(g.inodeSum), uint16(g.inodeSum>>16)
	if f.super.groupChecksums() {
		d.UnusedInodesLo, d.UnusedInodesHi = uint16(g.unusedInodes), uint16(g.unusedInodes>>16)
		d.Flags = g.flags
	}
	var full [descSize64]byte
	encode(full[:], &d)
	copy(raw, full[:min(len(raw), descSize64)])
	switch {
	case f.super.checksums():
		put16(raw, groupDescChecksumOffset, f.seed.GroupDesc(g.number, raw))
	case f.super.groupChecksums():
		put16(raw, groupDescChecksumOffset, ChecksumGroupDesc16(f.super.UUID, g.number, raw))
	}
}

// setBits sets or clears count bits from first on.
func setBits(b []byte, first, count uint32, set bool) {
	for n := first; n < first+count; n++ {
		if n%8 == 0 && first+count-n >= 8 {
			b[n/8] = 0
			if set {
				b[n/8] = 0xff
			}
			n += 7
			continue
		}
		if set {
			b[n/8] |= 1 << (n % 8)
		} else {
			b[n/8] &^= 1 << (n % 8)
		}
	}
}

// nextBit returns the first bit from n on that is set, or clear; end if there is
// none before it.
func nextBit(b []byte, n, end uint32, set bool) uint32 {
	skip := byte(0xff)
	if set {
		skip = 0
	}
	for n < end {
		if n%8 == 0 && b[n/8] == skip {
			n += 8
			continue
		}
		if bit(b, n) == set {
			return n
		}
		n++
	}
	return end
}
