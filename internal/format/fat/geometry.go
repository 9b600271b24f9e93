package fat

import (
	"errors"
	"fmt"

	"sextant/internal/span"
)

// Bits tells the three kinds of FAT apart: the bits of an entry, 12, 16 or 32.
type Bits int

// String gives the usual name: FAT12, FAT16 or FAT32.
func (b Bits) String() string { return fmt.Sprintf("FAT%d", int(b)) }

// Clusters above these make the next kind (the specification, "FAT Type
// Determination").
const (
	maxClusters12 = 4084
	maxClusters16 = 65524
	maxClusters32 = 0x0FFFFFF7 - firstCluster
)

// ErrNoFileSystem says that an image does not begin with the boot sector of a
// FAT. It comes together with fault.ErrCorrupt.
var ErrNoFileSystem = errors.New("no FAT boot sector")

// Geometry is where things lie. Sizes and offsets are in bytes.
type Geometry struct {
	Bits        Bits
	SectorSize  int64
	ClusterSize int64
	FATStart    int64  // of the first FAT
	FATSize     int64  // of each
	FATs        int    // how many
	Active      int    // the FAT that counts
	RootStart   int64  // FAT12 and FAT16: of the root directory
	RootSize    int64  // FAT12 and FAT16
	RootCluster uint32 // FAT32
	DataStart   int64  // of cluster 2
	Clusters    uint32 // they are numbered from 2 on
	Size        int64  // of the whole

	// lost is how many clusters the volume has room for and the FAT has not.
	lost uint32
}

// end is the number behind the last cluster.
func (g *Geometry) end() uint32 { return firstCluster + g.Clusters }

// valid reports whether a cluster is there.
func (g *Geometry) valid(cluster uint32) bool { return cluster >= firstCluster && cluster < g.end() }

// ClusterSpan gives the bytes of clusters that follow each other.
func (g *Geometry) ClusterSpan(cluster, count uint32) span.Span {
	return span.Span{
		Offset: g.DataStart + int64(cluster-firstCluster)*g.ClusterSize,
		Length: int64(count) * g.ClusterSize,
	}
}

// clustersFor is the number of clusters that hold size bytes.
func (g *Geometry) clustersFor(size int64) int64 {
	return (size + g.ClusterSize - 1) / g.ClusterSize
}

// notFAT makes the error of a boot sector that is none of a FAT.
func notFAT(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrNoFileSystem, corrupt(format, args...))
}

// checkBPB tells whether a boot sector is one of a FAT: what Linux wants of it
// (fs/fat/inode.c, fat_read_bpb).
func checkBPB(b *BPB) error {
	switch {
	case b.BytesPerSector < 512 || !powerOfTwo(b.BytesPerSector):
		return notFAT("%d bytes per sector", b.BytesPerSector)
	case b.SectorsPerCluster == 0 || !powerOfTwo(b.SectorsPerCluster):
		return notFAT("%d sectors per cluster", b.SectorsPerCluster)
	case b.ReservedSectors == 0:
		return notFAT("no reserved sectors")
	case b.FATs == 0:
		return notFAT("no FAT")
	case b.Media < 0xF8 && b.Media != 0xF0:
		return notFAT("media type %#x", b.Media)
	case b.BytesPerSector > 4096:
		return unsupported("sectors of %d bytes", b.BytesPerSector)
	}
	return nil
}

func powerOfTwo[T uint8 | uint16](n T) bool { return n&(n-1) == 0 }

// newGeometry computes where things lie in an image of size bytes.
func newGeometry(b *BPB, b32 *BPB32, size int64) (*Geometry, error) {
	if err := checkBPB(b); err != nil {
		return nil, err
	}
	g := &Geometry{
		SectorSize:  int64(b.BytesPerSector),
		ClusterSize: int64(b.BytesPerSector) * int64(b.SectorsPerCluster),
		FATStart:    int64(b.BytesPerSector) * int64(b.ReservedSectors),
		FATSize:     int64(b.BytesPerSector) * int64(b.FATSectors16),
		FATs:        int(b.FATs),
		RootSize:    int64(b.RootEntries) * DirEntrySize,
	}
	fat32 := b.FATSectors16 == 0
	if fat32 {
		if err := g.take32(b32); err != nil {
			return nil, err
		}
	}
	if g.FATSize == 0 {
		return nil, notFAT("FAT of no sectors")
	}
	if g.RootSize == 0 && !fat32 {
		return nil, notFAT("root directory without entries")
	}
	sectors := int64(b.TotalSectors16)
	if sectors == 0 {
		sectors = int64(b.TotalSectors32)
	}
	g.Size = sectors * g.SectorSize
	g.RootStart = g.FATStart + int64(g.FATs)*g.FATSize
	g.DataStart = span.AlignUp(g.RootStart+g.RootSize, g.SectorSize)
	if g.DataStart > g.Size {
		return nil, notFAT("%d sectors, and files begin at sector %d", sectors, g.DataStart/g.SectorSize)
	}
	if g.Size > size {
		return nil, corrupt("file system of %d bytes, the image has %d", g.Size, size)
	}
	return g, g.count(fat32)
}

// take32 takes what only a FAT32 has.
func (g *Geometry) take32(b *BPB32) error {
	if b.Version != 0 {
		return unsupported("FAT32 of version %d.%d", b.Version>>8, b.Version&0xFF)
	}
	g.FATSize = g.SectorSize * int64(b.FATSectors)
	g.RootCluster = b.RootCluster
	if b.ExtFlags&NotMirrored != 0 {
		g.Active = int(b.ExtFlags & ActiveFAT)
	}
	if g.Active >= g.FATs {
		return corrupt("FAT %d is the active one of %d", g.Active, g.FATs)
	}
	if g.RootSize != 0 {
		return corrupt("FAT32 with a root directory of %d bytes outside its clusters", g.RootSize)
	}
	return nil
}

// count finds the number of clusters and the kind that follows from it.
func (g *Geometry) count(fat32 bool) error {
	clusters := (g.Size - g.DataStart) / g.ClusterSize
	switch {
	case fat32:
		g.Bits = 32
	case clusters <= maxClusters12:
		g.Bits = 12
	default:
		g.Bits = 16
	}
	limit := map[Bits]int64{12: maxClusters12, 16: maxClusters16, 32: maxClusters32}[g.Bits]
	if clusters > limit {
		return corrupt("%s with %d clusters", g.Bits, clusters)
	}
	room := max(0, g.FATSize*8/int64(g.Bits)-firstCluster)
	g.Clusters = uint32(min(clusters, room))
	g.lost = uint32(clusters) - g.Clusters
	if fat32 && !g.valid(g.RootCluster) {
		return corrupt("root directory begins at cluster %d of %d", g.RootCluster, g.Clusters)
	}
	return nil
}
