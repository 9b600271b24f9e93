package ext4

import (
	"fmt"
	"io/fs"
	"math"
	"time"

	"sextant/internal/pages"
	"sextant/internal/tree"
)

// node is an inode that was read and whose checksum matched.
type node struct {
	number uint32
	disk   Inode
	record []byte // the whole record, with the xattrs behind the fields
	seed   Seed   // of the checksums of everything that belongs to it
}

// Stat holds the attributes of a file. The FileInfos of an FS return a *Stat
// from Sys.
type Stat struct {
	Inode      uint32
	Mode       tree.Mode
	UID, GID   uint32
	Links      uint32 // 1 for directories with more than 64998 subdirectories
	Size       int64
	Sectors    uint64 // of 512 bytes that it takes
	AccessTime time.Time
	ChangeTime time.Time
	ModTime    time.Time
	Device     tree.Device
	Flags      InodeFlags
	Generation uint32
}

// inodeBlock returns the block that holds an inode's record, and where in it.
func (f *FS) inodeBlock(number uint32) (block uint64, at int, err error) {
	if number == 0 || number > f.geo.Inodes {
		return 0, 0, corrupt("inode %d of %d", number, f.geo.Inodes)
	}
	groupNumber, index := f.geo.Place(number)
	g, err := f.group(groupNumber)
	if err != nil {
		return 0, 0, err
	}
	offset := int64(index) * int64(f.geo.InodeSize)
	return g.inodeTable + uint64(offset/f.geo.BlockSize), int(offset % f.geo.BlockSize), nil
}

// readNode reads an inode without a look at its checksum or fields.
func (f *FS) readNode(number uint32) (*node, error) {
	at, offset, err := f.inodeBlock(number)
	if err != nil {
		return nil, err
	}
	block, err := f.block(at)
	if err != nil {
		return nil, err
	}
	n := &node{number: number, record: block[offset : offset+f.geo.InodeSize]}
	n.disk = DecodeInode(n.record)
	n.seed = f.seed.ForInode(number, n.disk.Generation)
	return n, nil
}

// node reads an inode that is in use.
func (f *FS) node(number uint32) (*node, error) {
	n, err := f.readNode(number)
	if err == nil {
		err = f.checkNode(n)
	}
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", number, err)
	}
	return n, nil
}

func (f *FS) checkNode(n *node) error {
	if f.super.checksums() && f.super.CreatorOS == creatorLinux && !n.checksumMatches() {
		return corrupt("checksum does not match")
	}
	if n.disk.Links == 0 && n.disk.Mode == 0 {
		return corrupt("not in use")
	}
	room := len(n.record) - inodeSize0
	if extra := int(n.disk.ExtraSize); extra > room || extra%4 != 0 {
		return corrupt("%d bytes of extra fields, room for %d", extra, room)
	}
	if f.size(n) < 0 {
		return corrupt("size of %d bytes", uint64(f.size(n)))
	}
	if n.disk.Flags&FlagCompressed != 0 && f.super.FeatureIncompat&IncompatCompression != 0 {
		return unsupported("compressed")
	}
	return nil
}

func (n *node) checksumMatches() bool {
	sum, hasHi := n.seed.Inode(n.record)
	stored := uint32(n.disk.ChecksumLo)
	if hasHi {
		stored |= uint32(n.disk.ChecksumHi) << 16
	}
	return sum == stored
}

// DecodeInode fills an inode from its record of 128 bytes or more. Fields that
// the record has no room for are zero.
func DecodeInode(record []byte) Inode {
	var full [inodeSize0 + inodeExtra]byte
	copy(full[:], record)
	var i Inode
	decode(full[:], &i)
	return i
}

func (n *node) mode() tree.Mode          { return tree.Mode(n.disk.Mode) }
func (n *node) has(flag InodeFlags) bool { return n.disk.Flags&flag != 0 }

// size returns the content's length. Only files and, with large_dir,
// directories use the high half (ext4_isize).
func (f *FS) size(n *node) int64 {
	if n.mode().IsRegular() || f.super.FeatureIncompat&IncompatLargeDir != 0 {
		return int64(join(n.disk.SizeHi, n.disk.SizeLo))
	}
	return int64(n.disk.SizeLo)
}

// sizeBlocks returns the number of blocks that the content reaches into.
func (f *FS) sizeBlocks(n *node) uint64 {
	block := uint64(f.geo.BlockSize)
	return (uint64(f.size(n)) + block - 1) / block
}

// sectors returns the number of 512-byte sectors that an inode takes.
func (f *FS) sectors(n *node) uint64 {
	if f.super.FeatureROCompat&ROCompatHugeFile == 0 {
		return uint64(n.disk.BlocksLo)
	}
	count := join(uint32(n.disk.BlocksHi), n.disk.BlocksLo)
	if n.has(FlagHugeFile) {
		return count * uint64(f.geo.BlockSize/512)
	}
	return count
}

// xattrBlock returns the block with the inode's xattrs, or 0.
func (f *FS) xattrBlock(n *node) uint64 {
	if f.super.FeatureIncompat&Incompat64Bit == 0 {
		return uint64(n.disk.XattrBlockLo)
	}
	return join(uint32(n.disk.XattrBlockHi), n.disk.XattrBlockLo)
}

// time joins a time with its extra bits: two more of the seconds, and the
// nanoseconds. end is where the extra bits end in the record.
func (n *node) time(seconds int32, extra uint32, end int) time.Time {
	if len(n.record) == inodeSize0 || inodeSize0+int(n.disk.ExtraSize) < end {
		extra = 0
	}
	nsec := min(extra>>2, 999_999_999)
	return time.Unix(int64(seconds)+int64(extra&3)<<32, int64(nsec)).UTC()
}

func (n *node) modTime() time.Time {
	return n.time(n.disk.ModTime, n.disk.ModTimeExtra, endOfModTimeExtra)
}

// device decodes a device's number: 16 bits in the first word, as ever, or 32
// in the second (include/linux/kdev_t.h).
func (n *node) device() tree.Device {
	if !n.mode().IsDevice() {
		return tree.Device{}
	}
	if old := le32(n.disk.Block[:], 0); old != 0 {
		return tree.Device{Major: old >> 8 & 0xff, Minor: old & 0xff}
	}
	dev := le32(n.disk.Block[:], 4)
	return tree.Device{Major: dev >> 8 & 0xfff, Minor: dev&0xff | dev>>12&0xfff00}
}

func (f *FS) stat(n *node) *Stat {
	return &Stat{
		Inode:      n.number,
		Mode:       n.mode(),
		UID:        uint32(n.disk.UIDHi)<<16 | uint32(n.disk.UIDLo),
		GID:        uint32(n.disk.GIDHi)<<16 | uint32(n.disk.GIDLo),
		Links:      uint32(n.disk.Links),
		Size:       f.size(n),
		Sectors:    f.sectors(n),
		AccessTime: n.time(n.disk.AccessTime, n.disk.AccessTimeExtra, endOfModTimeExtra+4),
		ChangeTime: n.time(n.disk.ChangeTime, n.disk.ChangeTimeExtra, endOfModTimeExtra-4),
		ModTime:    n.modTime(),
		Device:     n.device(),
		Flags:      n.disk.Flags,
		Generation: n.disk.Generation,
	}
}

// target returns where a symbolic link points to. Short targets lie in place of
// the block pointers.
func (f *FS) target(n *node) (string, error) {
	size := f.size(n)
	if n.has(FlagEncrypt) {
		return "", unsupported("encrypted symbolic link")
	}
	if size == 0 || size > math.MaxUint16 || size >= f.geo.BlockSize {
		return "", corrupt("symbolic link of %d bytes", size)
	}
	if f.isFastLink(n) {
		if size >= blockAreaSize {
			return "", corrupt("symbolic link of %d bytes in the inode", size)
		}
		return linkText(n.disk.Block[:size])
	}
	content, err := f.content(n)
	if err != nil {
		return "", err
	}
	target := make([]byte, size)
	if _, err := pages.ReadFull(content, target, 0); err != nil {
		return "", err
	}
	return linkText(target)
}

func linkText(target []byte) (string, error) {
	for _, c := range target {
		if c == 0 {
			return "", corrupt("symbolic link has a NUL inside")
		}
	}
	return string(target), nil
}

// isFastLink reports whether the target lies in place of the block pointers:
// as the kernel sees it, if the link has no blocks of its own
// (ext4_inode_is_fast_symlink).
func (f *FS) isFastLink(n *node) bool {
	if n.has(FlagExtents | FlagInlineData) {
		return false
	}
	if f.super.FeatureIncompat&IncompatEAInode != 0 {
		return f.size(n) < blockAreaSize
	}
	own := f.sectors(n)
	if f.xattrBlock(n) != 0 {
		own -= min(own, f.geo.ClusterBlocks*uint64(f.geo.BlockSize/512))
	}
	return own == 0
}

// mode returns the type's mode; ok is false for TypeUnknown.
func (t FileType) mode() (m tree.Mode, ok bool) {
	modes := [...]tree.Mode{
		TypeRegular: tree.TypeRegular, TypeDir: tree.TypeDir, TypeChar: tree.TypeChar,
		TypeBlock: tree.TypeBlock, TypeFIFO: tree.TypeFIFO, TypeSocket: tree.TypeSocket,
		TypeSymlink: tree.TypeSymlink,
	}
	if t == TypeUnknown || int(t) >= len(modes) {
		return 0, false
	}
	return modes[t], true
}

// info is an fs.FileInfo and an fs.DirEntry.
type info struct {
	name string
	fs   *FS
	node *node
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.fs.size(i.node) }
func (i info) Mode() fs.FileMode          { return i.node.mode().FileMode() }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) ModTime() time.Time         { return i.node.modTime() }
func (i info) IsDir() bool                { return i.node.mode().IsDir() }
func (i info) Sys() any                   { return i.fs.stat(i.node) }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) String() string             { return fs.FormatFileInfo(i) }
