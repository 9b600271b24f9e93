package ext4

import (
	"fmt"
	"math/bits"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// Geometry says where things lie. It follows from the superblock alone.
type Geometry struct {
	BlockSize        int64
	Blocks           uint64 // of the whole file system
	FirstDataBlock   uint64 // begin of group 0
	ClusterBlocks    uint64 // blocks of one allocation unit, 1 without bigalloc
	BlocksPerGroup   uint64
	ClustersPerGroup uint32
	InodesPerGroup   uint32
	Inodes           uint32
	InodeSize        int
	DescSize         int
	Groups           uint32

	super *SuperBlock
}

// corrupt makes an error that wraps fault.ErrCorrupt.
func corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrCorrupt)...)
}

// unsupported makes an error that wraps fault.ErrUnsupported.
func unsupported(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrUnsupported)...)
}

// Geometry checks the superblock's numbers against each other and gives what
// follows from them. The errors wrap fault.ErrCorrupt or fault.ErrUnsupported.
func (sb *SuperBlock) Geometry() (*Geometry, error) {
	if err := sb.checkFeatures(); err != nil {
		return nil, err
	}
	if sb.LogBlockSize > 6 {
		return nil, corrupt("block size of 2^%d bytes", uint64(sb.LogBlockSize)+10)
	}
	g := &Geometry{
		BlockSize:        MinBlockSize << sb.LogBlockSize,
		Blocks:           sb.blocks(sb.BlocksCountHi, sb.BlocksCountLo),
		FirstDataBlock:   uint64(sb.FirstDataBlock),
		ClusterBlocks:    1,
		BlocksPerGroup:   uint64(sb.BlocksPerGroup),
		ClustersPerGroup: sb.BlocksPerGroup,
		InodesPerGroup:   sb.InodesPerGroup,
		Inodes:           sb.InodesCount,
		InodeSize:        inodeSize0,
		DescSize:         descSize32,
		super:            sb,
	}
	for _, set := range []func() error{g.setClusters, g.setInodes, g.setDescs, g.setGroups} {
		if err := set(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// blocks joins the halves of a count; the high one is there with 64bit only.
func (sb *SuperBlock) blocks(hi, lo uint32) uint64 {
	if sb.FeatureIncompat&Incompat64Bit == 0 {
		hi = 0
	}
	return join(hi, lo)
}

func (sb *SuperBlock) checkFeatures() error {
	if sb.Magic != Magic {
		return corrupt("no ext4 magic number")
	}
	if sb.Revision > 1 {
		return unsupported("revision %d", sb.Revision)
	}
	if sb.Revision == 0 && (sb.FeatureCompat != 0 || sb.FeatureIncompat != 0 || sb.FeatureROCompat != 0) {
		return corrupt("features in a file system of revision 0")
	}
	if sb.FeatureIncompat&IncompatJournalDev != 0 {
		return unsupported("a journal alone and no file system")
	}
	if unknown := sb.FeatureIncompat &^ readableIncompat; unknown != 0 {
		return unsupported("incompatible features %s (%#x)", unknown, uint32(unknown))
	}
	if sb.checksums() && sb.ChecksumType != checksumCRC32C {
		return unsupported("checksum algorithm %d", sb.ChecksumType)
	}
	return nil
}

// checksums reports metadata_csum.
func (sb *SuperBlock) checksums() bool { return sb.FeatureROCompat&ROCompatChecksums != 0 }

// groupChecksums reports whether descriptors have a checksum of any kind; only
// then do their flags count.
func (sb *SuperBlock) groupChecksums() bool {
	return sb.FeatureROCompat&(ROCompatChecksums|ROCompatGDTChecksum) != 0
}

func (g *Geometry) setClusters() error {
	sb := g.super
	if sb.FeatureROCompat&ROCompatBigAlloc != 0 {
		if sb.LogClusterSize < sb.LogBlockSize || sb.LogClusterSize-sb.LogBlockSize > 20 {
			return corrupt("clusters of 2^%d bytes with blocks of %d", uint64(sb.LogClusterSize)+10, g.BlockSize)
		}
		g.ClusterBlocks = 1 << (sb.LogClusterSize - sb.LogBlockSize)
		g.ClustersPerGroup = sb.ClustersPerGroup
	}
	if g.ClustersPerGroup == 0 || int64(g.ClustersPerGroup) > 8*g.BlockSize || g.ClustersPerGroup%8 != 0 {
		return corrupt("%d clusters in a group", g.ClustersPerGroup)
	}
	if g.BlocksPerGroup != uint64(g.ClustersPerGroup)*g.ClusterBlocks {
		return corrupt("%d blocks and %d clusters in a group", g.BlocksPerGroup, g.ClustersPerGroup)
	}
	return nil
}

func (g *Geometry) setInodes() error {
	if g.super.Revision > 0 {
		g.InodeSize = int(g.super.InodeSize)
	}
	if g.InodeSize < inodeSize0 || bits.OnesCount(uint(g.InodeSize)) != 1 || int64(g.InodeSize) > g.BlockSize {
		return corrupt("inodes of %d bytes", g.InodeSize)
	}
	if g.InodesPerGroup == 0 || int64(g.InodesPerGroup) > 8*g.BlockSize || g.InodesPerGroup%8 != 0 {
		return corrupt("%d inodes in a group", g.InodesPerGroup)
	}
	if int64(g.InodesPerGroup)*int64(g.InodeSize)%g.BlockSize != 0 {
		return corrupt("an inode table of %d inodes ends inside a block", g.InodesPerGroup)
	}
	if first := g.FirstInode(); first < firstInode0 || first > g.Inodes {
		return corrupt("first inode is %d of %d", first, g.Inodes)
	}
	return nil
}

func (g *Geometry) setDescs() error {
	if g.super.FeatureIncompat&Incompat64Bit == 0 {
		return nil
	}
	g.DescSize = int(g.super.DescSize)
	if g.DescSize < descSize64 || g.DescSize > MinBlockSize || bits.OnesCount(uint(g.DescSize)) != 1 {
		return corrupt("group descriptors of %d bytes", g.DescSize)
	}
	return nil
}

func (g *Geometry) setGroups() error {
	if g.Blocks > uint64(1)<<48 {
		return corrupt("%d blocks", g.Blocks)
	}
	if first := g.FirstDataBlock; first > 1 || first >= g.Blocks || g.BlockSize == MinBlockSize && first == 0 && g.ClusterBlocks == 1 {
		return corrupt("first data block is %d of %d", first, g.Blocks)
	}
	if g.BlockSize > MinBlockSize && g.FirstDataBlock != 0 {
		return corrupt("first data block is %d with blocks of %d bytes", g.FirstDataBlock, g.BlockSize)
	}
	groups := (g.Blocks - g.FirstDataBlock + g.BlocksPerGroup - 1) / g.BlocksPerGroup
	if groups*uint64(g.InodesPerGroup) != uint64(g.Inodes) {
		return corrupt("%d inodes in %d groups of %d", g.Inodes, groups, g.InodesPerGroup)
	}
	g.Groups = uint32(groups)
	if head, _ := g.GroupHead(0); head > g.BlocksPerGroup {
		return corrupt("%d blocks of descriptors in groups of %d", head, g.BlocksPerGroup)
	}
	if first := uint64(g.super.FirstMetaGroup); g.metaBG() && first > g.DescBlocks() {
		return corrupt("meta block groups begin at descriptor block %d of %d", first, g.DescBlocks())
	}
	return nil
}

func (g *Geometry) metaBG() bool { return g.super.FeatureIncompat&IncompatMetaBG != 0 }

// Bytes returns the bytes that count blocks from first on take.
func (g *Geometry) Bytes(first, count uint64) span.Span {
	return span.Span{Offset: int64(first) * g.BlockSize, Length: int64(count) * g.BlockSize}
}

// BlockRange returns an error unless the blocks lie behind the begin of group
// 0 and before the file system's end.
func (g *Geometry) BlockRange(first, count uint64) error {
	if first < g.FirstDataBlock || first >= g.Blocks || count > g.Blocks-first {
		return corrupt("blocks %d+%d lie outside %d-%d", first, count, g.FirstDataBlock, g.Blocks)
	}
	return nil
}

// FirstInode returns the first inode number that is not reserved.
func (g *Geometry) FirstInode() uint32 {
	if g.super.Revision == 0 {
		return firstInode0
	}
	return g.super.FirstInode
}

// GroupStart returns the first block of a group.
func (g *Geometry) GroupStart(group uint32) uint64 {
	return g.FirstDataBlock + uint64(group)*g.BlocksPerGroup
}

// GroupBlocks returns the number of blocks of a group; the last can be short.
func (g *Geometry) GroupBlocks(group uint32) uint64 {
	return min(g.BlocksPerGroup, g.Blocks-g.GroupStart(group))
}

// GroupClusters returns the number of clusters of a group, the last of which
// can be cut short by the end of the file system.
func (g *Geometry) GroupClusters(group uint32) uint32 {
	return uint32((g.GroupBlocks(group) + g.ClusterBlocks - 1) / g.ClusterBlocks)
}

// Cluster returns the number of the cluster that a block lies in, counted from
// the begin of group 0.
func (g *Geometry) Cluster(block uint64) uint64 {
	return (block - g.FirstDataBlock) / g.ClusterBlocks
}

// Clusters returns the number of clusters of the file system.
func (g *Geometry) Clusters() uint64 { return g.Cluster(g.Blocks-1) + 1 }

// InodeTableBlocks returns the length of each group's inode table.
func (g *Geometry) InodeTableBlocks() uint64 {
	return uint64(int64(g.InodesPerGroup) * int64(g.InodeSize) / g.BlockSize)
}

// DescsPerBlock returns the number of group descriptors in a block.
func (g *Geometry) DescsPerBlock() uint32 { return uint32(g.BlockSize) / uint32(g.DescSize) }

// DescBlocks returns the number of blocks that hold the group descriptors.
func (g *Geometry) DescBlocks() uint64 {
	per := uint64(g.DescsPerBlock())
	return (uint64(g.Groups) + per - 1) / per
}

// superBlockBlock returns the block that the superblock lies in.
func (g *Geometry) superBlockBlock() uint64 { return uint64(SuperBlockOffset / g.BlockSize) }

// DescBlock returns where the n-th block of group descriptors is.
func (g *Geometry) DescBlock(n uint64) uint64 {
	if !g.metaBG() || n < uint64(g.super.FirstMetaGroup) {
		return g.superBlockBlock() + 1 + n
	}
	group := uint32(n) * g.DescsPerBlock()
	block := g.GroupStart(group)
	if g.HasSuper(group) {
		block++
	}
	// Block 0 belongs to the boot loader where the superblock is in block 1.
	if n == 0 && g.BlockSize == MinBlockSize && g.FirstDataBlock == 0 {
		block++
	}
	return block
}

// HasSuper reports whether a group begins with the superblock or a copy.
func (g *Geometry) HasSuper(group uint32) bool {
	if group == 0 {
		return true
	}
	if g.super.FeatureCompat&CompatSparseSuper2 != 0 {
		return group == g.super.BackupGroups[0] || group == g.super.BackupGroups[1]
	}
	if group == 1 || g.super.FeatureROCompat&ROCompatSparseSuper == 0 {
		return true
	}
	return powerOf(group, 3) || powerOf(group, 5) || powerOf(group, 7)
}

func powerOf(n, base uint32) bool {
	for n%base == 0 {
		n /= base
	}
	return n == 1
}

// GroupHead returns how many blocks the superblock, its copies and descriptors
// take at the begin of a group, and how many of them (the last ones) are only
// kept for descriptors to come.
func (g *Geometry) GroupHead(group uint32) (blocks, reserved uint64) {
	if g.HasSuper(group) {
		blocks = 1
		if group == 0 {
			// Block 0 holds the boot loader if the superblock is in block 1.
			blocks += g.superBlockBlock() - g.FirstDataBlock
		}
	}
	per := g.DescsPerBlock()
	if !g.metaBG() || uint64(group/per) < uint64(g.super.FirstMetaGroup) {
		if blocks == 0 {
			return 0, 0
		}
		descs := g.DescBlocks()
		if g.metaBG() {
			descs = uint64(g.super.FirstMetaGroup)
		}
		reserved = uint64(g.super.ReservedGDTBlocks)
		return blocks + descs + reserved, reserved
	}
	if at := group % per; at == 0 || at == 1 || at == per-1 {
		blocks++
	}
	return blocks, 0
}

// Place returns the group of an inode and its place in the group's table.
func (g *Geometry) Place(inode uint32) (group, index uint32) {
	return (inode - 1) / g.InodesPerGroup, (inode - 1) % g.InodesPerGroup
}
