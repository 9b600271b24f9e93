package fat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"sextant/internal/fsck"
	"sextant/internal/pages"
)

// Check walks every structure of the file system to its end: boot sector and its
// copy, FSInfo, all FATs, every directory with its names, every chain of
// clusters, and that each cluster has one user.
//
// It returns what it found, at most some thousand problems, and an error only if
// it could not look: because reading failed or ctx ended. Memory grows with the
// number of clusters (one bit each) and the names of the largest directory.
func (f *FS) Check(ctx context.Context) ([]*fsck.Problem, error) {
	c, err := f.check(ctx)
	if err != nil {
		return nil, err
	}
	return c.Problems, nil
}

func (f *FS) check(ctx context.Context) (*checker, error) {
	c := &checker{Check: fsck.Check{Context: ctx}, fs: f, used: make([]uint64, (f.geo.end()+63)/64)}
	if err := c.Run(c.boot, c.fats, c.directories, c.clusters, c.fsInfo); err != nil {
		return nil, fmt.Errorf("check FAT: %w", err)
	}
	return c, nil
}

// checker holds what a check has learnt.
type checker struct {
	fsck.Check
	fs     *FS
	used   []uint64 // clusters that somebody has, a bit each
	free   uint32   // clusters that the FAT says nobody has
	labels int
}

// boot checks the boot sector and, of a FAT32, its copy.
func (c *checker) boot() error {
	const place = "boot sector"
	f, g := c.fs, c.fs.geo
	if g.lost != 0 {
		if err := c.Bad(place, corrupt("%d clusters have no room in the FAT", g.lost)); err != nil {
			return err
		}
	}
	if n := f.bpb.RootEntries; int64(n)*DirEntrySize%g.SectorSize != 0 {
		if err := c.Bad(place, corrupt("%d entries in the root directory do not fill its sectors", n)); err != nil {
			return err
		}
	}
	dirty, err := f.Dirty()
	if err != nil {
		return err
	}
	if dirty {
		if err := c.Untidy(place, corrupt("volume was in use and not unmounted")); err != nil {
			return err
		}
	}
	failing, err := f.flagged(noErrors16, noErrors32)
	if err != nil {
		return err
	}
	if failing || f.tail.State&StateError != 0 {
		if err := c.Untidy(place, corrupt("disk had errors when the volume was in use")); err != nil {
			return err
		}
	}
	return c.bootCopy()
}

// bootCopy compares the two boot sectors of a FAT32. The dirty bit may differ.
func (c *checker) bootCopy() error {
	f := c.fs
	sector := int64(f.bpb32.BackupBoot)
	if f.geo.Bits != 32 || sector == 0 || sector == 0xFFFF {
		return nil
	}
	if sector >= int64(f.bpb.ReservedSectors) {
		return c.Bad("boot sector", corrupt("copy in sector %d of %d reserved ones", sector, f.bpb.ReservedSectors))
	}
	first, second := make([]byte, BootSize), make([]byte, BootSize)
	_, err1 := pages.ReadFull(f.r, first, 0)
	_, err2 := pages.ReadFull(f.r, second, sector*f.geo.SectorSize)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	first[tailAt32+1], second[tailAt32+1] = 0, 0
	if !bytes.Equal(first, second) {
		return c.Untidy("boot sector", corrupt("copy in sector %d differs", sector))
	}
	return nil
}

// fats compares the FATs and checks their first entry.
func (c *checker) fats() error {
	g := c.fs.geo
	media, err := c.fs.table.entry(0)
	if err != nil {
		return err
	}
	if byte(media) != c.fs.bpb.Media {
		if err := c.Untidy("FAT", corrupt("media type %#x, the boot sector has %#x", byte(media), c.fs.bpb.Media)); err != nil {
			return err
		}
	}
	a, b := make([]byte, chunkSize), make([]byte, chunkSize)
	length := (g.place(g.end()-1) + 4 + g.SectorSize - 1) / g.SectorSize * g.SectorSize
	length = min(length, g.FATSize)
	for n := range g.FATs {
		if n == g.Active {
			continue
		}
		for at := int64(0); at < length; at += chunkSize {
			if err := c.Context.Err(); err != nil {
				return err
			}
			size := min(chunkSize, length-at)
			_, err1 := pages.ReadFull(c.fs.r, a[:size], g.FATStart+int64(g.Active)*g.FATSize+at)
			_, err2 := pages.ReadFull(c.fs.r, b[:size], g.FATStart+int64(n)*g.FATSize+at)
			if err := errors.Join(err1, err2); err != nil {
				return err
			}
			if bytes.Equal(a[:size], b[:size]) {
				continue
			}
			if err := c.Bad("FAT", corrupt("copy %d differs from copy %d", n, g.Active)); err != nil {
				return err
			}
			break
		}
	}
	return nil
}

// claim marks the clusters of a chain as used and returns how many there are.
func (c *checker) claim(first uint32) (count int64, err error) {
	walk, err := c.fs.table.walk(first)
	if err != nil {
		return 0, err
	}
	for walk.at != 0 {
		word, bit := walk.at/64, uint64(1)<<(walk.at%64)
		if c.used[word]&bit != 0 {
			return count, corrupt("cluster %d has another use", walk.at)
		}
		c.used[word] |= bit
		if count++; count%4096 == 0 && c.Context.Err() != nil {
			return count, c.Context.Err()
		}
		if err := walk.advance(); err != nil {
			return count, err
		}
	}
	return count, nil
}

// clusters counts free clusters, and those that are taken and in no file.
func (c *checker) clusters() error {
	lost := 0
	for n := uint32(firstCluster); n < c.fs.geo.end(); n++ {
		if n%4096 == 0 && c.Context.Err() != nil {
			return c.Context.Err()
		}
		next, err := c.fs.table.next(n)
		switch {
		case err != nil:
			return err
		case next == entryFree:
			c.free++
		case next != entryBad && c.used[n/64]&(1<<(n%64)) == 0:
			lost++
		}
	}
	if lost > 0 {
		return c.Untidy("FAT", corrupt("%d clusters are in use and in no file", lost))
	}
	return nil
}

// fsInfo checks the hints of a FAT32.
func (c *checker) fsInfo() error {
	info, at, err := c.fs.fsInfo()
	if err != nil || at == 0 {
		return c.Untidy("FSInfo", err)
	}
	if info.FreeCount != unknown32 && info.FreeCount != c.free {
		err = corrupt("%d clusters are free, it says %d", c.free, info.FreeCount)
	}
	return c.Untidy("FSInfo", err)
}

// fsInfo reads the FSInfo and tells where it is: at 0 there is none.
func (f *FS) fsInfo() (info FSInfo, at int64, err error) {
	sector := int64(f.bpb32.FSInfoSector)
	if f.geo.Bits != 32 || sector == 0 || sector == 0xFFFF {
		return info, 0, nil
	}
	if sector >= int64(f.bpb.ReservedSectors) {
		return info, 0, corrupt("in sector %d of %d reserved ones", sector, f.bpb.ReservedSectors)
	}
	at = sector * f.geo.SectorSize
	b := make([]byte, BootSize)
	if _, err := pages.ReadFull(f.r, b, at); err != nil {
		return info, 0, err
	}
	decode(b, &info)
	if info.LeadSignature != leadSignature || info.StructSignature != structSignature {
		return info, 0, corrupt("signatures are %#x and %#x", info.LeadSignature, info.StructSignature)
	}
	return info, at, nil
}

// directories checks the root directory and all below it.
func (c *checker) directories() error { return c.directory(c.fs.rootNode(), nil, "/", 0) }

func (c *checker) directory(n, parent *node, path string, depth int) error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return c.Bad(path, unsupported("directories lie more than %d deep in each other", maxDepth))
	}
	if !n.root || c.fs.geo.Bits == 32 {
		if _, err := c.claim(n.first); err != nil {
			return c.Bad(path, err)
		}
	}
	d, err := c.fs.readBytes(n)
	if err != nil {
		return c.Bad(path, err)
	}
	list := c.fs.scan(d, n.first)
	if err := c.listing(list, d, path); err != nil {
		return err
	}
	if err := c.dots(n, parent, list, path); err != nil {
		return err
	}
	for _, child := range list.nodes {
		below := strings.TrimSuffix(path, "/") + "/" + child.name
		if !child.isDir() {
			err = c.Bad(below, c.file(child))
		} else if err = c.Bad(below, noSize(child)); err == nil {
			err = c.directory(child, n, below, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func noSize(n *node) error {
	if n.entry.Size != 0 {
		return corrupt("directory with a size of %d", n.entry.Size)
	}
	return nil
}

// file checks that the chain of a file is as long as its size.
func (c *checker) file(n *node) error {
	if n.first == 0 {
		if n.entry.Size != 0 {
			return corrupt("%d bytes and no cluster", n.entry.Size)
		}
		return nil
	}
	count, err := c.claim(n.first)
	if err != nil {
		return err
	}
	if need := c.fs.geo.clustersFor(n.size()); need != count {
		return corrupt("%d bytes in %d clusters, not in %d", n.entry.Size, count, need)
	}
	return nil
}
