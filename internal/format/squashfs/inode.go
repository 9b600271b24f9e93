package squashfs

import (
	"encoding/binary"
	"fmt"
	"time"

	"sextant/internal/tree"
)

// inode is an inode of any type, without what follows its fixed fields.
type inode struct {
	fs     *FS
	ref    Ref
	kind   inodeType // basic
	extra  bool      // whether the inode on disk is an extended one
	mode   uint16    // as on disk
	uid    uint32
	gid    uint32
	time   uint32
	number uint32
	links  uint32
	size   uint64 // of the content, the target or the listing
	xattr  uint32

	listing Ref    // dir
	parent  uint32 // dir: inode number
	indexes uint16 // dir

	start    uint64 // file: of the blocks
	fragment uint32 // file
	offset   uint32 // file: in the fragment
	sparse   uint64 // file

	device uint32 // block and char

	tail position // of the sizes, the target or the directory indexes
}

// inode reads the inode that ref points to.
func (fs *FS) inode(ref Ref) (*inode, error) {
	c, err := fs.cursorAt(fs.inodes, ref)
	if err != nil {
		return nil, fmt.Errorf("inode %s: %w", ref, err)
	}
	n, err := fs.readInode(c)
	if err != nil {
		return nil, fmt.Errorf("inode %s: %w", ref, err)
	}
	n.ref = ref
	return n, nil
}

// readInode reads the inode at the cursor, and leaves the cursor behind its
// fixed fields.
func (fs *FS) readInode(c *cursor) (*inode, error) {
	h, err := c.inodeHeader()
	if err != nil {
		return nil, err
	}
	n := &inode{fs: fs, kind: h.Type, mode: h.Mode, time: h.Time, number: h.Number, links: 1, xattr: none32}
	if h.Type > typeSocket && h.Type <= typeSocket+extended {
		n.kind, n.extra = h.Type-extended, true
	}
	if int(h.UID) >= len(fs.ids) || int(h.GID) >= len(fs.ids) {
		return nil, corrupt("owner %d and group %d of %d ids", h.UID, h.GID, len(fs.ids))
	}
	n.uid, n.gid = fs.ids[h.UID], fs.ids[h.GID]
	if h.Number == 0 || h.Number > fs.super.Inodes {
		return nil, corrupt("number %d is not in 1-%d", h.Number, fs.super.Inodes)
	}
	if err := fs.readFields(c, n); err != nil {
		return nil, err
	}
	n.tail = c.position()
	return n, fs.checkInode(n)
}

// inodeHeader is decode for what every inode starts with.
func (c *cursor) inodeHeader() (h inodeHeader, err error) {
	p := c.buf[:inodeHeaderSize]
	if err := c.read(p); err != nil {
		return h, err
	}
	h.Type = inodeType(binary.LittleEndian.Uint16(p))
	h.Mode = binary.LittleEndian.Uint16(p[2:])
	h.UID = binary.LittleEndian.Uint16(p[4:])
	h.GID = binary.LittleEndian.Uint16(p[6:])
	h.Time = binary.LittleEndian.Uint32(p[8:])
	h.Number = binary.LittleEndian.Uint32(p[12:])
	return h, nil
}

const inodeHeaderSize = 16

func (fs *FS) readFields(c *cursor, n *inode) error {
	switch n.kind {
	case typeDir:
		return n.readDir(c)
	case typeFile:
		return n.readFile(c)
	case typeSymlink:
		return fs.readSymlink(c, n)
	case typeBlock, typeChar:
		return n.readDevice(c)
	case typeFIFO, typeSocket:
		return n.readIPC(c)
	}
	return corrupt("type %d is not known", uint16(n.kind))
}

func (n *inode) readDir(c *cursor) error {
	if !n.extra {
		var d dirInode
		err := c.decode(&d)
		n.links, n.size, n.parent, n.listing = d.Links, uint64(d.Size), d.Parent, makeRef(d.Block, d.Offset)
		return err
	}
	var d extDirInode
	err := c.decode(&d)
	n.links, n.size, n.parent, n.listing = d.Links, uint64(d.Size), d.Parent, makeRef(d.Block, d.Offset)
	n.indexes, n.xattr = d.Indexes, d.Xattr
	return err
}

func (n *inode) readFile(c *cursor) error {
	if !n.extra {
		var f fileInode
		err := c.decode(&f)
		n.size, n.start, n.fragment, n.offset = uint64(f.Size), uint64(f.Start), f.Fragment, f.Offset
		return err
	}
	var f extFileInode
	err := c.decode(&f)
	n.size, n.start, n.fragment, n.offset = f.Size, f.Start, f.Fragment, f.Offset
	n.links, n.sparse, n.xattr = f.Links, f.Sparse, f.Xattr
	return err
}

// readSymlink passes over the target to the attributes, and steps back.
func (fs *FS) readSymlink(c *cursor, n *inode) error {
	var s symlinkInode
	if err := c.decode(&s); err != nil {
		return err
	}
	n.links, n.size = s.Links, uint64(s.Size)
	if s.Size > maxTarget {
		return corrupt("target of %d bytes, Linux allows %d", s.Size, maxTarget)
	}
	if !n.extra {
		return nil
	}
	target := *c
	if err := target.skip(int64(s.Size)); err != nil {
		return err
	}
	return target.decode(&n.xattr)
}

// maxTarget is the length in bytes of the longest target of a symbolic link
// that Linux reads (PAGE_SIZE).
const maxTarget = 4096

func (n *inode) readDevice(c *cursor) error {
	var d deviceInode
	if err := c.decode(&d); err != nil {
		return err
	}
	n.links, n.device = d.Links, d.Device
	if n.extra {
		return c.decode(&n.xattr)
	}
	return nil
}

func (n *inode) readIPC(c *cursor) error {
	if err := c.decode(&n.links); err != nil {
		return err
	}
	if n.extra {
		return c.decode(&n.xattr)
	}
	return nil
}

// checkInode checks what needs no further reading.
func (fs *FS) checkInode(n *inode) error {
	if n.xattr != none32 && fs.super.XattrTable != none && int64(n.xattr) >= fs.xattrIDs.count {
		return corrupt("xattrs %d of %d", n.xattr, fs.xattrIDs.count)
	}
	if n.kind != typeFile {
		return nil
	}
	if n.size > 1<<63-1 {
		return corrupt("size %d", n.size)
	}
	if n.fragment != none32 && n.fragment >= fs.super.Fragments {
		return corrupt("fragment %d of %d", n.fragment, fs.super.Fragments)
	}
	// The sizes of all blocks must lie in the table, which says whether the
	// size can be true before anything is read.
	if count := fs.blockCount(n); count > fs.inodes.Length/(metadataHeader+1)*metadataSize/4 {
		return corrupt("size %d needs %d blocks, more than the inode table can hold", n.size, count)
	}
	return nil
}

// blockCount returns how many blocks a file has besides its fragment.
func (fs *FS) blockCount(n *inode) int64 {
	size := int64(n.size >> fs.super.BlockLog)
	if n.fragment == none32 && n.size&uint64(fs.super.BlockSize-1) != 0 {
		size++
	}
	return size
}

// treeMode returns type and permission bits.
func (n *inode) treeMode() tree.Mode {
	return n.kind.treeType() | tree.Mode(n.mode).Perm()
}

// treeType returns the type bits of a basic type.
func (t inodeType) treeType() tree.Mode {
	return [...]tree.Mode{
		tree.TypeDir, tree.TypeRegular, tree.TypeSymlink, tree.TypeBlock, tree.TypeChar, tree.TypeFIFO, tree.TypeSocket,
	}[t-typeDir]
}

func (n *inode) modTime() time.Time { return time.Unix(int64(n.time), 0) }

// treeDevice unpacks the number as Linux does (new_decode_dev).
func (n *inode) treeDevice() tree.Device {
	if n.kind != typeBlock && n.kind != typeChar {
		return tree.Device{}
	}
	return tree.Device{Major: n.device >> 8 & 0xfff, Minor: n.device&0xff | n.device>>12&0xfff00}
}

// target returns the target of a symbolic link.
func (fs *FS) target(n *inode) (string, error) {
	c, err := fs.cursor(fs.inodes, n.tail)
	if err != nil {
		return "", err
	}
	return c.text(int(n.size)) // readSymlink limited it
}
