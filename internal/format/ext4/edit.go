package ext4

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"sextant/internal/tree"
)

// Storage is what an Editor changes: a file or a device of fixed size.
type Storage interface {
	io.ReaderAt
	io.WriterAt
}

// EditOptions are what an edit needs besides the files.
type EditOptions struct {
	// Time becomes the change time of all that changes, the modification time
	// of directories that get or lose entries, and the time of the last write
	// in the superblock. The zero Time stands for 1970.
	Time time.Time
}

var (
	// ErrFull says that a file system has no block or no inode left for what
	// was to be added.
	ErrFull = errors.New("file system is full")

	// ErrLimit says that something is larger than the format can have it,
	// however much room there is.
	ErrLimit = errors.New("beyond the limits of the file system")
)

// Editor changes a file system without mounting it.
//
// The content of files goes to blocks that are free, at once; everything else
// that changes is held in memory until Commit. Without Commit, or when it was
// not reached, the file system is what it was. An error in the middle of a
// change makes the Editor useless: Commit then returns that error too.
//
// Memory grows with the number of inode table blocks, directory blocks and
// bitmaps that change, not with the size of files. Copies of the superblock and
// of the group descriptors stay as they are, as the kernel leaves them. An Editor
// must not be used by two goroutines at once.
type Editor struct {
	fs   *FS
	disk Storage
	time time.Time

	groups  map[uint32]*groupEdit
	system  []Run                        // blocks that no file may have, by Physical
	longest uint32                       // no free run is longer, in clusters
	waiting uint64                       // clusters that are free after Commit only
	links   map[*tree.Inode]identity     // inodes that Put has made
	shares  map[[sha256.Size]byte]uint64 // xattr blocks by what is in them
	usage   map[quotaKey]quotaDelta      // what owners have more or less, with quota
	failed  error                        // a change that was not completed

	superChanged bool // even if nothing else has
}

// Edit prepares changes to the file system in the first size bytes of disk. It
// returns fault.ErrUnsupported, and has written nothing, unless every feature of
// the file system is one that the Editor keeps right; fault.ErrCorrupt for a
// file system that needs e2fsck.
//
// A journal that was not emptied is written to its place first, as a mount would
// do it. Files that were deleted while still open are then removed, as part of
// what Commit writes.
func Edit(disk Storage, size int64, opts EditOptions) (*Editor, error) {
	e, err := edit(disk, size, opts)
	if err != nil {
		return nil, fmt.Errorf("edit ext4: %w", err)
	}
	return e, nil
}

func edit(disk Storage, size int64, opts EditOptions) (*Editor, error) {
	f, err := open(disk, size)
	if err != nil {
		return nil, err
	}
	if err := f.checkEditable(); err != nil {
		return nil, err
	}
	if f.super.FeatureIncompat&IncompatRecover != 0 {
		if err := f.replay(disk); err != nil {
			return nil, fmt.Errorf("replay journal: %w", err)
		}
		if f, err = open(disk, size); err == nil {
			err = f.checkEditable()
		}
		if err != nil {
			return nil, fmt.Errorf("after replay of the journal: %w", err)
		}
	}
	if opts.Time.IsZero() {
		opts.Time = time.Unix(0, 0)
	}
	f.changed = make(map[uint64][]byte)
	e := &Editor{
		fs:      f,
		disk:    disk,
		time:    opts.Time,
		groups:  make(map[uint32]*groupEdit),
		longest: f.geo.ClustersPerGroup,
		links:   make(map[*tree.Inode]identity),
		shares:  make(map[[sha256.Size]byte]uint64),
		usage:   make(map[quotaKey]quotaDelta),
	}
	if err := e.readGroups(); err != nil {
		return nil, err
	}
	if err := e.removeOrphans(); err != nil {
		return nil, fmt.Errorf("remove orphans: %w", err)
	}
	return e, nil
}

// FS returns the file system as it is with the changes so far. A file that was
// opened in it is only good until the next change.
func (e *Editor) FS() *FS {
	if e.failed == nil {
		e.failed = e.settle()
	}
	return e.fs
}

// Free returns the number of bytes that can still be used. What is removed
// counts after Commit.
func (e *Editor) Free() int64 {
	sb := &e.fs.super
	free := sb.blocks(sb.FreeBlocksHi, sb.FreeBlocksLo)
	return int64(free-min(free, e.waiting*e.fs.geo.ClusterBlocks)) * e.fs.geo.BlockSize
}

// Commit writes all changes. The Editor can be used on.
func (e *Editor) Commit() error {
	if e.failed == nil {
		e.failed = e.commit()
	}
	if e.failed != nil {
		return fmt.Errorf("commit ext4: %w", e.failed)
	}
	return nil
}

func (e *Editor) commit() error {
	if err := e.applyUsage(); err != nil {
		return fmt.Errorf("quota: %w", err)
	}
	if err := e.settle(); err != nil {
		return err
	}
	if len(e.fs.changed) == 0 && !e.superChanged {
		return nil
	}
	for _, number := range slices.Sorted(maps.Keys(e.fs.changed)) {
		if _, err := e.disk.WriteAt(e.fs.changed[number], e.fs.geo.Bytes(number, 1).Offset); err != nil {
			return fmt.Errorf("write block %d: %w", number, err)
		}
	}
	if err := e.fs.writeSuper(e.disk, e.time); err != nil {
		return err
	}
	clear(e.fs.changed)
	clear(e.groups)
	e.superChanged = false
	e.waiting, e.longest = 0, e.fs.geo.ClustersPerGroup
	return nil
}

// writeSuper writes the superblock with a new checksum.
func (f *FS) writeSuper(disk io.WriterAt, now time.Time) error {
	sb := &f.super
	sb.WriteTime, sb.WriteTimeHi = uint32(now.Unix()), uint8(now.Unix()>>32)
	b := make([]byte, SuperBlockSize)
	encode(b, sb)
	if sb.checksums() {
		sb.Checksum = ChecksumSuperBlock(b)
		put32(b, SuperBlockSize-4, sb.Checksum)
	}
	if _, err := disk.WriteAt(b, SuperBlockOffset); err != nil {
		return fmt.Errorf("write superblock: %w", err)
	}
	return nil
}

// write returns a metadata block that is in use, to be changed.
func (e *Editor) write(number uint64) ([]byte, error) {
	if b, ok := e.fs.changed[number]; ok {
		return b, nil
	}
	b, err := e.fs.block(number)
	if err != nil {
		return nil, err
	}
	b = slices.Clone(b)
	e.fs.changed[number] = b
	e.fs.blocks.drop(number)
	return b, nil
}

// fresh returns a metadata block whose old bytes do not matter, as zeros.
func (e *Editor) fresh(number uint64) []byte {
	b := make([]byte, e.fs.geo.BlockSize)
	e.fs.changed[number] = b
	e.fs.blocks.drop(number)
	return b
}

// forget drops changes to blocks that are free now.
func (e *Editor) forget(first, count uint64) {
	if count <= uint64(len(e.fs.changed)) {
		for n := range count {
			delete(e.fs.changed, first+n)
		}
		return
	}
	maps.DeleteFunc(e.fs.changed, func(n uint64, _ []byte) bool { return n-first < count })
}
