package ext4

import "fmt"

// group is a descriptor with its halves joined.
type group struct {
	number      uint32
	blockBitmap uint64
	inodeBitmap uint64
	inodeTable  uint64

	freeClusters, freeInodes, usedDirs, unusedInodes uint32
	blockSum, inodeSum                               uint32 // of the bitmaps

	flags GroupFlags
}

// DecodeGroupDesc fills a descriptor from its 32 or more bytes.
func DecodeGroupDesc(b []byte) GroupDesc {
	var full [descSize64]byte
	copy(full[:], b)
	var d GroupDesc
	decode(full[:], &d)
	return d
}

func joinGroup(number uint32, d GroupDesc) group {
	return group{
		number:       number,
		blockBitmap:  join(d.BlockBitmapHi, d.BlockBitmapLo),
		inodeBitmap:  join(d.InodeBitmapHi, d.InodeBitmapLo),
		inodeTable:   join(d.InodeTableHi, d.InodeTableLo),
		freeClusters: uint32(d.FreeClustersHi)<<16 | uint32(d.FreeClustersLo),
		freeInodes:   uint32(d.FreeInodesHi)<<16 | uint32(d.FreeInodesLo),
		usedDirs:     uint32(d.UsedDirsHi)<<16 | uint32(d.UsedDirsLo),
		unusedInodes: uint32(d.UnusedInodesHi)<<16 | uint32(d.UnusedInodesLo),
		blockSum:     uint32(d.BlockBitmapChecksumHi)<<16 | uint32(d.BlockBitmapChecksumLo),
		inodeSum:     uint32(d.InodeBitmapChecksumHi)<<16 | uint32(d.InodeBitmapChecksumLo),
		flags:        d.Flags,
	}
}

// group reads one descriptor and checks it.
func (f *FS) group(number uint32) (group, error) {
	if g := f.lastGroup.Load(); g != nil && g.number == number {
		return *g, nil
	}
	g, err := f.readGroup(number)
	if err == nil {
		f.lastGroup.Store(&g)
	}
	return g, err
}

func (f *FS) readGroup(number uint32) (group, error) {
	per := f.geo.DescsPerBlock()
	block, err := f.block(f.geo.DescBlock(uint64(number / per)))
	if err != nil {
		return group{}, err
	}
	at := int(number%per) * f.geo.DescSize
	raw := block[at : at+f.geo.DescSize]
	d := DecodeGroupDesc(raw)
	switch {
	case f.super.checksums() && f.seed.GroupDesc(number, raw) != d.Checksum,
		!f.super.checksums() && f.super.groupChecksums() &&
			ChecksumGroupDesc16(f.super.UUID, number, raw) != d.Checksum:
		return group{}, corrupt("group %d: descriptor: checksum does not match", number)
	}
	g := joinGroup(number, d)
	if !f.super.groupChecksums() {
		g.flags, g.unusedInodes = 0, 0
	}
	return g, f.checkGroup(g)
}

func (f *FS) checkGroup(g group) error {
	if err := f.geo.BlockRange(g.blockBitmap, 1); err != nil {
		return fmt.Errorf("group %d: block bitmap: %w", g.number, err)
	}
	if err := f.geo.BlockRange(g.inodeBitmap, 1); err != nil {
		return fmt.Errorf("group %d: inode bitmap: %w", g.number, err)
	}
	if err := f.geo.BlockRange(g.inodeTable, f.geo.InodeTableBlocks()); err != nil {
		return fmt.Errorf("group %d: inode table: %w", g.number, err)
	}
	if g.unusedInodes > f.geo.InodesPerGroup {
		return corrupt("group %d: %d of %d inodes unused", g.number, g.unusedInodes, f.geo.InodesPerGroup)
	}
	return nil
}
