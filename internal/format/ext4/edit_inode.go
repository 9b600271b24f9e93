package ext4

import (
	"fmt"
	"math"
	"slices"
	"time"

	"sextant/internal/tree"
)

// load reads an inode to be changed.
func (e *Editor) load(number uint32) (*node, error) {
	n, err := e.fs.node(number)
	if err != nil {
		return nil, err
	}
	n.record = slices.Clone(n.record)
	return n, nil
}

// save puts an inode back into its table. Behind its fields the record may hold
// attributes.
func (e *Editor) save(n *node) error {
	at, offset, err := e.fs.inodeBlock(n.number)
	if err != nil {
		return err
	}
	block, err := e.write(at)
	if err != nil {
		return err
	}
	n.encode()
	if e.fs.super.checksums() {
		sum, hasHi := n.seed.Inode(n.record)
		put16(n.record, inodeChecksumLo, uint16(sum))
		if hasHi {
			put16(n.record, inodeChecksumHi, uint16(sum>>16))
		}
		n.disk = DecodeInode(n.record)
	}
	copy(block[offset:], n.record)
	return nil
}

// encode writes the fields that the record has.
func (n *node) encode() {
	var full [inodeSize0 + inodeExtra]byte
	encode(full[:], &n.disk)
	end := inodeSize0
	if len(n.record) > inodeSize0 {
		// ExtraSize itself is always there.
		end += max(2, min(int(n.disk.ExtraSize), inodeExtra))
	}
	copy(n.record, full[:end])
}

// newNode makes an inode, near the given group, with a mode and nothing else.
func (e *Editor) newNode(near uint32, mode tree.Mode) (*node, error) {
	number, err := e.takeInode(near, mode.IsDir())
	if err != nil {
		return nil, err
	}
	n, err := e.fs.readNode(number)
	if err != nil {
		return nil, err
	}
	generation := n.disk.Generation + 1
	n.record = make([]byte, e.fs.geo.InodeSize)
	n.disk = Inode{Mode: uint16(mode), Generation: generation}
	n.seed = e.fs.seed.ForInode(number, generation)
	if room := len(n.record) - inodeSize0; room > 0 {
		n.disk.ExtraSize = uint16(min(room, e.fs.extraSize()))
	}
	n.setTime(&n.disk.AccessTime, &n.disk.AccessTimeExtra, endOfModTimeExtra+4, e.time)
	n.setTime(&n.disk.CreateTime, &n.disk.CreateTimeExtra, endOfModTimeExtra+12, e.time)
	n.disk.Links = 1
	e.charge(n, 1, 0)
	return n, nil
}

// extraSize returns the bytes of fields behind the first 128 that new inodes get.
func (f *FS) extraSize() int {
	size := inodeExtra
	if f.super.FeatureROCompat&ROCompatExtraSize != 0 {
		size = max(size, int(f.super.WantExtraSize))
	}
	return size
}

// takeInode marks a free inode as used: in a group or behind it.
func (e *Editor) takeInode(near uint32, isDir bool) (uint32, error) {
	for i := range e.fs.geo.Groups {
		number := (near + i) % e.fs.geo.Groups
		g, err := e.peekGroup(number)
		if err != nil {
			return 0, err
		}
		if g.freeInodes == 0 {
			continue
		}
		if g, err = e.groupFor(number); err != nil {
			return 0, err
		}
		if inode, err := e.takeInodeIn(g, isDir); err != nil || inode != 0 {
			return inode, err
		}
	}
	return 0, fmt.Errorf("no free inode: %w", ErrFull)
}

func (e *Editor) takeInodeIn(g *groupEdit, isDir bool) (uint32, error) {
	per := e.fs.geo.InodesPerGroup
	b, err := e.changeInodes(g)
	if err != nil {
		return 0, err
	}
	first := uint32(0)
	if base := g.number * per; base+1 < e.fs.geo.FirstInode() {
		first = min(per, e.fs.geo.FirstInode()-1-base)
	}
	index := nextBit(b, first, per, false)
	if index == per {
		return 0, nil
	}
	sb := &e.fs.super
	if sb.FreeInodes == 0 {
		return 0, corrupt("group %d: more free inodes than the superblock says", g.number)
	}
	setBits(b, index, 1, true)
	g.freeInodes--
	sb.FreeInodes--
	if isDir {
		g.usedDirs++
	}
	e.useTable(g, index)
	return g.number*per + index + 1, nil
}

// useTable notes that an inode of a group's table is used. The bytes of blocks
// of which no inode was ever used are anything.
func (e *Editor) useTable(g *groupEdit, index uint32) {
	if !e.fs.super.groupChecksums() {
		return
	}
	per, size := e.fs.geo.InodesPerGroup, int64(e.fs.geo.InodeSize)
	known := per - g.unusedInodes
	if index < known {
		return
	}
	g.unusedInodes = per - index - 1
	if g.flags&GroupInodeZeroed != 0 {
		return
	}
	begun := (int64(known)*size + e.fs.geo.BlockSize - 1) / e.fs.geo.BlockSize
	for block := begun; block <= int64(index)*size/e.fs.geo.BlockSize; block++ {
		e.fresh(g.inodeTable + uint64(block))
	}
}

// dropInode marks an inode as free that has neither blocks nor names.
func (e *Editor) dropInode(n *node) error {
	group, index := e.fs.geo.Place(n.number)
	g, err := e.groupFor(group)
	if err != nil {
		return err
	}
	b, err := e.changeInodes(g)
	if err != nil {
		return err
	}
	if !bit(b, index) {
		return corrupt("inode %d is marked as free", n.number)
	}
	if n.mode().IsDir() {
		if g.usedDirs == 0 {
			return corrupt("group %d: directory %d where the descriptor says there is none", group, n.number)
		}
		g.usedDirs--
	}
	setBits(b, index, 1, false)
	g.freeInodes++
	e.fs.super.FreeInodes++
	e.charge(n, -1, 0)
	clear(n.record)
	n.disk = Inode{Generation: n.disk.Generation, DeletionTime: uint32(e.time.Unix())}
	return e.save(n)
}

// setTime sets a time whose extra bits end at a place of the record. A time that
// has no room becomes the nearest that has, as in the kernel.
func (n *node) setTime(seconds *int32, extra *uint32, end int, t time.Time) {
	sec := t.Unix()
	if len(n.record) == inodeSize0 || inodeSize0+int(n.disk.ExtraSize) < end {
		*seconds = int32(max(math.MinInt32, min(math.MaxInt32, sec)))
		return
	}
	const last = int64(3)<<32 + math.MaxInt32
	if sec < math.MinInt32 {
		t = time.Unix(math.MinInt32, 0)
	} else if sec > last {
		t = time.Unix(last, 0)
	}
	sec = t.Unix()
	*seconds = int32(sec)
	*extra = uint32((sec-int64(int32(sec)))>>32)&3 | uint32(t.Nanosecond())<<2
}

// setAttributes gives an inode the owner, mode and times of a file. One without
// a time was changed now.
func (e *Editor) setAttributes(n *node, file *tree.Inode) {
	sectors := int64(e.fs.sectors(n))
	e.charge(n, -1, -sectors) // the owner may be another one from here on
	n.disk.Mode = uint16(n.mode().Type() | file.Mode.Perm())
	n.disk.UIDLo, n.disk.UIDHi = uint16(file.UID), uint16(file.UID>>16)
	n.disk.GIDLo, n.disk.GIDHi = uint16(file.GID), uint16(file.GID>>16)
	e.charge(n, 1, sectors)
	modified := file.ModTime
	if modified.IsZero() {
		modified = e.time
	}
	n.setModTime(modified)
	n.setChangeTime(e.time)
}

func (n *node) setModTime(t time.Time) {
	n.setTime(&n.disk.ModTime, &n.disk.ModTimeExtra, endOfModTimeExtra, t)
}

func (n *node) setChangeTime(t time.Time) {
	n.setTime(&n.disk.ChangeTime, &n.disk.ChangeTimeExtra, endOfModTimeExtra-4, t)
}

// touch sets the times of a directory whose entries change.
func (e *Editor) touch(n *node) {
	n.setModTime(e.time)
	n.setChangeTime(e.time)
}

// setSize sets the length of a content.
func (e *Editor) setSize(n *node, size int64) {
	hi, lo := split(uint64(size))
	n.disk.SizeLo = lo
	if n.mode().IsRegular() || e.fs.super.FeatureIncompat&IncompatLargeDir != 0 {
		n.disk.SizeHi = hi
	}
}

// addSectors counts blocks that an inode gets or loses.
func (e *Editor) addSectors(n *node, blocks int64) error {
	per := e.fs.geo.BlockSize / 512
	sectors := int64(e.fs.sectors(n)) + blocks*per
	if sectors < 0 {
		return corrupt("inode %d: frees more blocks than it has", n.number)
	}
	e.charge(n, 0, blocks*per)
	n.disk.Flags &^= FlagHugeFile
	huge := e.fs.super.FeatureROCompat&ROCompatHugeFile != 0
	switch {
	case sectors <= math.MaxUint32:
	case !huge:
		return fmt.Errorf("file of %d sectors without feature huge_file: %w", sectors, ErrLimit)
	case sectors >= 1<<48:
		n.disk.Flags |= FlagHugeFile
		sectors /= per
	}
	hi, lo := split(uint64(sectors))
	n.disk.BlocksLo = lo
	if huge {
		n.disk.BlocksHi = uint16(hi)
	}
	return nil
}
