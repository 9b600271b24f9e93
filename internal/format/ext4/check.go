package ext4

import (
	"context"
	"fmt"

	"sextant/internal/fsck"
)

// Check walks every structure of the file system to its end: superblocks,
// descriptors, bitmaps, every inode in use with its map of blocks, directories
// and their indexes, attributes, journal and orphans. It verifies all checksums,
// and that each block and each inode has the users that the counts say.
//
// It returns what it found, at most some thousand problems, and an error only if
// it could not look: because reading failed or ctx ended. Memory grows with the
// number of blocks (one bit each), inodes (five bytes each in groups that have
// any), directories, and the names of the largest one. Quotas are not counted.
func (f *FS) Check(ctx context.Context) ([]*fsck.Problem, error) {
	c := &checker{
		Check:   fsck.Check{Context: ctx},
		fs:      f,
		used:    make(bitmap, f.geo.Clusters()/64+1),
		fixed:   make([]uint32, f.geo.Groups),
		inodes:  make(map[uint32]*inodeTable),
		parents: make(map[uint32]uint32),
		dotdots: make(map[uint32]uint32),
		shares:  make(map[uint64]*shared),
		values:  make(map[uint32]uint64),
		orphans: make(map[uint32]bool),
	}
	err := c.Run(
		c.superBlock, c.copies, c.groups, c.orphanList, c.eachGroup(c.inodeTable), c.directories,
		c.links, c.xattrShares, c.journal, c.eachGroup(c.blockBitmap), c.counts,
	)
	if err != nil {
		return nil, fmt.Errorf("check ext4: %w", err)
	}
	return c.Problems, nil
}

// checker holds what a check has learnt.
type checker struct {
	fsck.Check
	fs *FS

	used    bitmap                 // clusters that something lies in
	fixed   []uint32               // of each group, clusters used by what no inode owns
	inodes  map[uint32]*inodeTable // by group, those with inodes in use
	parents map[uint32]uint32      // of directories, by the entry that names them
	dotdots map[uint32]uint32      // of directories, by their ".."
	shares  map[uint64]*shared     // by xattr block
	values  map[uint32]uint64      // users of xattr values
	orphans map[uint32]bool        // inodes that a mount would delete or cut

	freeClusters uint64
	freeInodes   uint64
}

// inodeTable is what a check knows of the inodes of a group.
type inodeTable struct {
	kinds []FileType // TypeUnknown: not in use
	links []uint32   // by directory entries
}

// shared is what a check knows of an xattr block.
type shared struct {
	users    uint32
	said     uint32 // users by its header
	clusters uint64 // that count for each user
}

func (c *checker) superBlock() error {
	sb := &c.fs.super
	place := "superblock"
	var facts []error
	if sb.State&StateErrors != 0 || sb.State&StateClean == 0 {
		facts = append(facts, corrupt("state is %s", sb.State))
	}
	if sb.FeatureIncompat&IncompatRecover != 0 {
		facts = append(facts, corrupt("the journal has to be replayed (needs_recovery)"))
	}
	if sb.FeatureROCompat&ROCompatOrphanPresent != 0 || sb.LastOrphan != 0 {
		facts = append(facts, corrupt("deleted files wait to be cleaned up"))
	}
	if sb.ErrorCount != 0 {
		facts = append(facts, corrupt("the kernel counted %d errors", sb.ErrorCount))
	}
	if unknown := sb.FeatureROCompat.unknown(); unknown != 0 {
		facts = append(facts, unsupported("read-only compatible features %s", unknown))
	}
	if sb.FeatureCompat&CompatHasJournal == 0 && sb.FeatureIncompat&IncompatRecover != 0 {
		facts = append(facts, corrupt("needs recovery but has no journal"))
	}
	if sb.FeatureCompat&CompatHasJournal == 0 && sb.JournalInode != 0 {
		facts = append(facts, corrupt("inode %d is a journal without feature has_journal", sb.JournalInode))
	}
	for _, err := range facts {
		if err := c.Untidy(place, err); err != nil {
			return err
		}
	}
	return c.multiMount()
}

func (f FeatureROCompat) unknown() FeatureROCompat {
	return f &^ (ROCompatSparseSuper | ROCompatLargeFile | 0x4 | ROCompatHugeFile | ROCompatGDTChecksum |
		ROCompatDirNlink | ROCompatExtraSize | ROCompatQuota | ROCompatBigAlloc | ROCompatChecksums |
		ROCompatReadOnly | ROCompatProject | ROCompatSharedBlocks | ROCompatVerity | ROCompatOrphanPresent)
}

// multiMount checks the block that keeps two hosts from mounting at once.
func (c *checker) multiMount() error {
	f := c.fs
	if f.super.FeatureIncompat&IncompatMMP == 0 {
		return nil
	}
	const place = "multi-mount protection"
	number := f.super.MMPBlock
	b, err := f.block(number)
	if err != nil {
		return c.Untidy(place, err)
	}
	c.claim(number, 1)
	const sumAt = 0x3FC
	switch {
	case le32(b, 0) != mmpMagic:
		err = corrupt("magic number %#x", le32(b, 0))
	case f.super.checksums() && uint32(f.seed.crc32c(b[:sumAt])) != le32(b, sumAt):
		err = corrupt("checksum does not match")
	case le32(b, 4) != mmpClean:
		err = corrupt("somebody uses the file system (sequence %#x)", le32(b, 4))
	default:
		return nil
	}
	return c.Untidy(place, atBlock(number, "block", err))
}

// copies checks the copies of superblock and descriptors, which only repair
// tools read.
func (c *checker) copies() error {
	f := c.fs
	for g := uint32(1); g < f.geo.Groups; g++ {
		if !f.geo.HasSuper(g) {
			continue
		}
		if err := c.Untidy(fmt.Sprintf("superblock copy in group %d", g), c.copy(g)); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) copy(group uint32) error {
	f := c.fs
	start := f.geo.GroupStart(group)
	b, err := f.block(start)
	if err != nil {
		return err
	}
	sb := DecodeSuperBlock(b)
	switch {
	case sb.Magic != Magic:
		err = corrupt("no magic number")
	case f.super.checksums() && sb.checksums() && ChecksumSuperBlock(b) != sb.Checksum:
		err = corrupt("checksum does not match")
	case sb.UUID != f.super.UUID || sb.BlocksCountLo != f.super.BlocksCountLo || sb.InodesCount != f.super.InodesCount:
		err = corrupt("belongs to another file system")
	case sb.BlockGroup != uint16(group):
		err = corrupt("says that it lies in group %d", sb.BlockGroup)
	case !f.geo.metaBG():
		return c.descCopies(start + 1)
	}
	if err != nil {
		return atBlock(start, "block", err)
	}
	return nil
}

// descCopies compares the descriptors from a block on with the ones in use, but
// for their counts, which copies need not follow.
func (c *checker) descCopies(first uint64) error {
	f := c.fs
	for i := range f.geo.DescBlocks() {
		here, err := f.block(first + i)
		if err != nil {
			return err
		}
		used, err := f.block(f.geo.DescBlock(i))
		if err != nil {
			return err
		}
		for at := 0; at < len(here); at += f.geo.DescSize {
			a, b := DecodeGroupDesc(here[at:at+f.geo.DescSize]), DecodeGroupDesc(used[at:at+f.geo.DescSize])
			x, y := joinGroup(0, a), joinGroup(0, b)
			if x.blockBitmap != y.blockBitmap || x.inodeBitmap != y.inodeBitmap || x.inodeTable != y.inodeTable {
				return atBlock(first+i, "block", corrupt("descriptor at byte %d differs", at))
			}
		}
	}
	return nil
}

// bitmap is a set of numbers from 0 on.
type bitmap []uint64

func (b bitmap) has(n uint64) bool { return b[n/64]&(1<<(n%64)) != 0 }
func (b bitmap) set(n uint64)      { b[n/64] |= 1 << (n % 64) }

// claim marks blocks as used and returns the first that was already.
func (c *checker) claim(first, count uint64) (twice uint64, ok bool) {
	geo := c.fs.geo
	if first < geo.FirstDataBlock || count == 0 {
		return 0, true
	}
	ok = true
	for n := geo.Cluster(first); n <= geo.Cluster(first+count-1); n++ {
		if c.used.has(n) && ok {
			twice, ok = geo.FirstDataBlock+n*geo.ClusterBlocks, false
		}
		c.used.set(n)
	}
	return twice, ok
}

// usedIn counts the clusters of a group that are in use.
func (c *checker) usedIn(group uint32) uint32 {
	first, count := uint64(group)*uint64(c.fs.geo.ClustersPerGroup), c.fs.geo.GroupClusters(group)
	return count - c.freeIn(first, first+uint64(count))
}
