package erofs

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"sync"
	"time"

	"sextant/internal/fault"
	"sextant/internal/pages"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// FS is an EROFS image that is open for reading. Its methods can be called by
// several goroutines if those of the image's reader can. It is an fs.FS of the
// files in the image; the "/" of an absolute symbolic link is the root of the
// image.
//
// Every method uses memory in proportion to the image at most, to which comes
// what its compressed metadata unpacks to, up to 64 times the image, and a cache
// of unpacked data. A walk with fs.WalkDir has no such bound, as a bad image can
// give a directory many names; Tree and Check see that.
type FS struct {
	r        io.ReaderAt
	size     int64 // of the file system, which may be shorter than the file
	super    SuperBlock
	more     SuperBlockExtension
	rootNID  uint64
	usable   uint32   // a bit for each Algorithm that the superblock names
	packed   *special // where fragments are; nil if there is none
	metabox  *special // where metadata is; nil if it is all in the image
	prefixes []string // long xattr prefixes
	unpacked unpackedCache
	unpacker sync.Pool
}

// special is an inode without a name, whose content other inodes use.
type special struct {
	*Inode
	content
}

// area returns the content as an area.
func (s *special) area() area { return area{s.content, s.Size} }

// Open reads the superblock of the image in the first size bytes of r. It
// returns fault.ErrUnsupported for images that need more devices.
func Open(r io.ReaderAt, size int64) (*FS, error) {
	f := &FS{r: r, size: size}
	if err := f.readSuperBlock(); err != nil {
		return nil, fmt.Errorf("superblock: %w", err)
	}
	if err := f.readCompression(); err != nil {
		return nil, fmt.Errorf("compression: %w", err)
	}
	if err := f.openSpecials(); err != nil {
		return nil, err
	}
	if err := f.readPrefixes(); err != nil {
		return nil, fmt.Errorf("xattr prefixes: %w", err)
	}
	root, err := f.Root()
	if err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	if !root.Mode.IsDir() {
		return nil, fmt.Errorf("root: %w: it is a %s", fault.ErrCorrupt, root.Mode.Kind())
	}
	return f, nil
}

// SuperBlock returns the superblock.
func (f *FS) SuperBlock() SuperBlock { return f.super }

// Size returns the length of the file system in bytes.
func (f *FS) Size() int64 { return f.size }

// BlockSize returns the block size in bytes.
func (f *FS) BlockSize() int { return 1 << f.super.BlockBits }

func (f *FS) blockSize() int64 { return 1 << f.super.BlockBits }

// corrupt returns an error that wraps fault.ErrCorrupt.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{fault.ErrCorrupt}, args...)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{fault.ErrUnsupported}, args...)...)
}

// area is where an inode and what belongs to it can be: the image, or the
// content of the metabox inode.
type area struct {
	reader interface {
		readAt(p []byte, off int64) error
	}
	size int64
}

// bytes reads the bytes of s, which must lie inside the area.
func (a area) bytes(s span.Span) ([]byte, error) {
	if err := s.Within(a.size); err != nil {
		return nil, fmt.Errorf("%w: %w", fault.ErrCorrupt, err)
	}
	p := make([]byte, s.Length)
	return p, a.reader.readAt(p, s.Offset)
}

// image returns the whole file system as an area.
func (f *FS) image() area { return area{f, f.size} }

// bytes reads the bytes of s, which must lie inside the file system.
func (f *FS) bytes(s span.Span) ([]byte, error) { return f.image().bytes(s) }

// readAt fills p from offset off of the image.
func (f *FS) readAt(p []byte, off int64) error {
	_, err := pages.ReadFull(f.r, p, off)
	return err
}

func (f *FS) readSuperBlock() error {
	p, err := f.bytes(span.Span{Offset: SuperBlockOffset, Length: superBlockSize})
	if err != nil {
		return err
	}
	s := &f.super
	take(p, s)
	if s.Magic != Magic {
		return corrupt("magic number %#x is not %#x", s.Magic, uint32(Magic))
	}
	if s.BlockBits < minBlockBits || s.BlockBits > maxBlockBits {
		return corrupt("block size 1<<%d", s.BlockBits)
	}
	if err := f.checkFeatures(); err != nil {
		return err
	}
	blocks := int64(s.Blocks)
	f.rootNID = uint64(s.RootNID)
	if s.FeatureIncompat&Incompat48Bit != 0 && s.RootNID64 != 0 {
		blocks |= int64(s.RootNID) << 32
		f.rootNID = s.RootNID64
	}
	if blocks > f.size>>s.BlockBits {
		return corrupt("%d blocks of %d bytes are more than the image's %d bytes", blocks, f.blockSize(), f.size)
	}
	f.size = blocks << s.BlockBits
	return f.checkChecksum()
}

func (f *FS) checkFeatures() error {
	const handled = IncompatZeroPadding | IncompatCompression | IncompatChunkedFile | IncompatDeviceTable |
		IncompatTailPacking | IncompatFragments | IncompatXattrPrefixes | Incompat48Bit | IncompatMetabox
	s := &f.super
	if more := s.FeatureIncompat &^ handled; more != 0 {
		return unsupported("features %s", more)
	}
	if s.ExtraDevices != 0 {
		return unsupported("%d more devices", s.ExtraDevices)
	}
	if s.DirBlockBits != 0 {
		return unsupported("directory blocks of another size")
	}
	return nil
}

func (f *FS) checkChecksum() error {
	if f.super.FeatureCompat&CompatChecksum == 0 {
		return nil
	}
	end := checksumEnd(f.blockSize())
	p, err := f.bytes(span.Between(SuperBlockOffset, end))
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(p[4:], 0)
	if sum := checksum(p); sum != f.super.Checksum {
		return corrupt("checksum %#08x does not match %#08x", f.super.Checksum, sum)
	}
	return nil
}

// checksum returns the CRC-32C of p as EROFS stores it.
func checksum(p []byte) uint32 { return ^crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

// checksumEnd returns the end of what the superblock's checksum covers: its
// block, or as many bytes from the superblock on if blocks are small.
func checksumEnd(blockSize int64) int64 {
	return max(blockSize, SuperBlockOffset+min(blockSize, 1024))
}

// Inode is one inode of an image.
type Inode struct {
	NID      uint64 // its place: offset from the first inode in units of SlotSize
	Ino      uint32
	Format   Format
	Mode     tree.Mode
	UID, GID uint32
	Nlink    uint32
	Size     int64
	ModTime  time.Time
	Device   tree.Device // of block and character devices

	fs         *FS
	meta       area
	at         int64 // offset in meta
	xattrSize  int64
	startBlock int64 // nullAddress if there is none
	chunk      uint32
	dotOmitted bool
}

// nullAddress is EROFS_NULL_ADDR, the block number that stands for a hole.
const nullAddress = -1

// Root returns the inode of the root directory.
func (f *FS) Root() (*Inode, error) { return f.Inode(f.rootNID) }

// Inode returns the inode with the given number.
func (f *FS) Inode(nid uint64) (*Inode, error) {
	i, err := f.inode(nid)
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", nid, err)
	}
	return i, nil
}

func (f *FS) inode(nid uint64) (*Inode, error) {
	i := &Inode{NID: nid, fs: f}
	if err := i.place(); err != nil {
		return nil, err
	}
	p, err := i.meta.bytes(span.Span{Offset: i.at, Length: compactSize})
	if err != nil {
		return nil, err
	}
	i.Format = Format(binary.LittleEndian.Uint16(p))
	switch {
	case i.Format&^formatKnown != 0 || i.Format&formatBit4 != 0 && f.super.FeatureIncompat&Incompat48Bit == 0:
		return nil, unsupported("format %#x", uint16(i.Format))
	case i.Format.Layout() > ChunkBased:
		return nil, unsupported("%s", i.Format.Layout())
	case i.Format.Extended():
		if p, err = i.meta.bytes(span.Span{Offset: i.at, Length: extendedSize}); err != nil {
			return nil, err
		}
		err = i.decodeExtended(p)
	default:
		i.decodeCompact(p)
	}
	if err != nil {
		return nil, err
	}
	return i, i.check()
}

// place finds out where the inode is.
func (i *Inode) place() error {
	base := int64(i.fs.super.MetaBlock) << i.fs.super.BlockBits
	nid := i.NID
	i.meta = i.fs.image()
	if i.InMetabox() {
		if i.fs.metabox == nil {
			return corrupt("it is in the metabox, which the image has not")
		}
		base, nid = 0, nid&^metaboxBit
		i.meta = i.fs.metabox.area()
	}
	if nid > math.MaxInt64/2/SlotSize {
		return corrupt("its number is beyond the image")
	}
	i.at = base + int64(nid)*SlotSize
	return nil
}

// InMetabox reports whether the inode is in the content of the metabox inode.
func (i *Inode) InMetabox() bool { return i.NID&metaboxBit != 0 }

func (i *Inode) decodeCompact(p []byte) {
	var c CompactInode
	take(p, &c)
	i.Ino, i.Mode, i.UID, i.GID = c.Ino, c.Mode, uint32(c.UID), uint32(c.GID)
	i.Size = int64(c.Size)
	i.ModTime = time.Unix(i.fs.super.BuildTime+int64(c.ModTime), int64(i.fs.super.BuildTimeNsec))
	i.xattrSize = xattrBodySize(c.XattrCount)
	i.Nlink = uint32(c.Nlink)
	high, wide := uint16(0), false
	if i.Format&formatBit4 != 0 && !i.Mode.IsDir() {
		i.Nlink, high, wide = 1, c.Nlink, true
	}
	i.decodeUnion(c.Union, high, wide)
}

func (i *Inode) decodeExtended(p []byte) error {
	var e ExtendedInode
	take(p, &e)
	if e.Size > math.MaxInt64 {
		return corrupt("size %d", e.Size)
	}
	if e.ModTimeNsec >= 1e9 {
		return corrupt("modification time has %d nanoseconds", e.ModTimeNsec)
	}
	i.Ino, i.Mode, i.UID, i.GID, i.Nlink = e.Ino, e.Mode, e.UID, e.GID, e.Nlink
	i.Size = int64(e.Size)
	i.ModTime = time.Unix(e.ModTime, int64(e.ModTimeNsec))
	i.xattrSize = xattrBodySize(e.XattrCount)
	wide := i.fs.super.FeatureIncompat&Incompat48Bit != 0
	i.decodeUnion(e.Union, e.BlockHigh, wide)
	return nil
}

func (i *Inode) decodeUnion(union uint32, high uint16, wide bool) {
	i.dotOmitted = i.Mode.IsDir() && i.Format&formatBit4 != 0
	i.chunk = union
	if i.Mode.IsDevice() {
		i.Device = decodeDevice(union)
	}
	i.startBlock = int64(union)
	null := int64(nullBlock)
	if wide {
		i.startBlock |= int64(high) << 32
		null = 1<<48 - 1
	}
	if i.startBlock == null {
		i.startBlock = nullAddress
	}
}

func xattrBodySize(count uint16) int64 {
	if count == 0 {
		return 0
	}
	return xattrHeaderSize + 4*int64(count-1)
}

func (i *Inode) headSize() int64 {
	if i.Format.Extended() {
		return extendedSize + i.xattrSize
	}
	return compactSize + i.xattrSize
}

// recordSize returns the length of the inode with xattrs and chunk table, as
// far as that lies in the image.
func (i *Inode) recordSize() int64 {
	switch i.Format.Layout() {
	case ChunkBased:
		if c, err := newChunked(i); err == nil {
			return i.headSize() + c.table.Length
		}
	case CompressedFull, CompressedCompact:
		if c, err := newCompressed(i); err == nil {
			return i.headSize() + c.table.Length
		}
	}
	return i.headSize()
}

// check returns an error if the parts of the inode do not go together.
func (i *Inode) check() error {
	if i.Mode.Kind() == "unknown" {
		return corrupt("mode %#o", uint16(i.Mode))
	}
	if err := (span.Span{Offset: i.at, Length: i.headSize()}).Within(i.meta.size); err != nil {
		return fmt.Errorf("%w: extended attributes: %w", fault.ErrCorrupt, err)
	}
	if i.Mode.Type() == tree.TypeSymlink && (i.Size == 0 || i.Size > maxSymlink) {
		return corrupt("the link's target has %d bytes", i.Size)
	}
	return nil
}
