package ext4

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"

	"sextant/internal/pages"
	"sextant/internal/tree"
)

const (
	maxXattrValue = 65536    // XATTR_SIZE_MAX: the kernel gives out no more
	maxXattrTotal = 16 << 20 // bytes of one inode's attributes that we hold
)

// xattrArea is a place with attribute entries: the end of an inode's record or
// a block.
type xattrArea struct {
	entryBytes []byte // from the first entry on
	valueBytes []byte // what ValueOffset counts from
}

// xattr is an attribute as it is stored.
type xattr struct {
	XattrEntry
	name  string // without the begin that NameIndex stands for
	value []byte // where ValueInode is 0
}

// xattrBody returns the attributes in the inode's record.
func (f *FS) xattrBody(n *node) (xattrArea, error) {
	at := inodeSize0 + int(n.disk.ExtraSize)
	if n.disk.ExtraSize == 0 || at+xattrBodyHeaderSize > len(n.record) || le32(n.record, at) != xattrMagic {
		return xattrArea{}, nil
	}
	b := n.record[at+xattrBodyHeaderSize:]
	return xattrArea{b, b}, nil
}

// xattrBlockArea returns the attributes in a block that inodes may share.
func (f *FS) xattrBlockArea(number uint64) (xattrArea, XattrHeader, error) {
	var h XattrHeader
	b, err := f.block(number)
	if err != nil {
		return xattrArea{}, h, atBlock(number, "xattr block", err)
	}
	decode(b, &h)
	switch {
	case h.Magic != xattrMagic:
		err = corrupt("magic number %#x", h.Magic)
	case h.Blocks != 1:
		err = corrupt("attributes in %d blocks", h.Blocks)
	case f.super.checksums() && f.seed.XattrBlock(number, b) != h.Checksum:
		err = corrupt("checksum does not match")
	}
	if err != nil {
		return xattrArea{}, h, atBlock(number, "xattr block", err)
	}
	return xattrArea{b[xattrHeaderSize:], b}, h, nil
}

// entries gives the attributes in the order in which they are stored.
func (a xattrArea) entries() iter.Seq2[xattr, error] {
	return func(yield func(xattr, error) bool) {
		b := a.entryBytes
		for len(b) >= 4 && le32(b, 0) != 0 {
			x, length, err := a.decode(b)
			if !yield(x, err) || err != nil {
				return
			}
			b = b[length:]
		}
		if len(a.entryBytes) > 0 && len(b) < 4 {
			yield(xattr{}, corrupt("attributes without an end"))
		}
	}
}

func (a xattrArea) decode(b []byte) (x xattr, length int, err error) {
	if len(b) < xattrEntrySize {
		return x, 0, corrupt("attribute cut short")
	}
	x.XattrEntry = XattrEntry{b[0], XattrIndex(b[1]), le16(b, 2), le32(b, 4), le32(b, 8), le32(b, 12)}
	end := xattrEntrySize + int(x.NameLength)
	length = (end + 3) &^ 3
	if length > len(b) {
		return x, 0, corrupt("attribute with a name of %d bytes, room for %d", x.NameLength, len(b)-xattrEntrySize)
	}
	x.name = string(b[xattrEntrySize:end])
	if strings.IndexByte(x.name, 0) >= 0 {
		return x, 0, corrupt("attribute name %q has a NUL inside", x.name)
	}
	if x.ValueInode != 0 || x.ValueSize == 0 {
		return x, length, nil
	}
	at, size := int64(x.ValueOffset), int64(x.ValueSize)
	entriesEnd := int64(len(a.valueBytes) - len(b) + length)
	if at < entriesEnd || at+size > int64(len(a.valueBytes)) {
		return x, 0, corrupt("attribute %q has its value at bytes %d+%d of %d-%d", x.name, at, size, entriesEnd, len(a.valueBytes))
	}
	x.value = a.valueBytes[at : at+size]
	return x, length, nil
}

// xattrValues remembers values that inodes share.
type xattrValues struct {
	inodes map[uint32][]byte
	blocks map[uint64][]tree.Xattr
}

func newXattrValues() *xattrValues {
	return &xattrValues{make(map[uint32][]byte), make(map[uint64][]tree.Xattr)}
}

// xattrs returns the attributes that the kernel shows, sorted by name. Where
// one is in the inode and in its block, the inode's counts.
func (f *FS) xattrs(n *node, seen *xattrValues) ([]tree.Xattr, error) {
	area, err := f.xattrBody(n)
	if err != nil {
		return nil, err
	}
	list, err := f.shown(n, area, seen)
	if err != nil {
		return nil, err
	}
	if number := f.xattrBlock(n); number != 0 {
		more, err := f.xattrsInBlock(n, number, seen)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	slices.SortStableFunc(list, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(list, func(a, b tree.Xattr) bool { return a.Name == b.Name }), nil
}

func (f *FS) xattrsInBlock(n *node, number uint64, seen *xattrValues) ([]tree.Xattr, error) {
	if list, ok := seen.blocks[number]; ok {
		return list, nil
	}
	area, _, err := f.xattrBlockArea(number)
	if err != nil {
		return nil, err
	}
	list, err := f.shown(n, area, seen)
	if err != nil {
		return nil, atBlock(number, "xattr block", err)
	}
	seen.blocks[number] = list
	return list, nil
}

// shown gives the attributes of an area that the kernel shows.
func (f *FS) shown(n *node, area xattrArea, seen *xattrValues) ([]tree.Xattr, error) {
	var list []tree.Xattr
	total := 0
	for x, err := range area.entries() {
		if err != nil {
			return nil, err
		}
		prefix, ok := x.NameIndex.prefix()
		if !ok {
			continue
		}
		name := prefix + x.name
		value, err := f.xattrValue(n, x, seen)
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", name, err)
		}
		if total += len(value); total > maxXattrTotal {
			return nil, unsupported("more than %d bytes of attributes", maxXattrTotal)
		}
		list = append(list, tree.Xattr{Name: name, Value: value})
	}
	return list, nil
}

// xattrValue returns a copy of a value, in the form in which the kernel gives
// it out.
func (f *FS) xattrValue(n *node, x xattr, seen *xattrValues) ([]byte, error) {
	value := slices.Clone(x.value)
	if x.ValueInode != 0 {
		var err error
		if value, err = f.sharedValue(n, x, seen); err != nil {
			return nil, err
		}
	}
	if x.NameIndex == XattrACLAccess || x.NameIndex == XattrACLDefault {
		return convertACL(value)
	}
	if value == nil {
		value = []byte{}
	}
	return value, nil
}

func (f *FS) sharedValue(n *node, x xattr, seen *xattrValues) ([]byte, error) {
	value, ok := seen.inodes[x.ValueInode]
	if !ok {
		var err error
		if value, err = f.readValueInode(n, x); err != nil {
			return nil, err
		}
		seen.inodes[x.ValueInode] = value
	}
	if len(value) != int(x.ValueSize) {
		return nil, corrupt("value of %d bytes in inode %d of %d bytes", x.ValueSize, x.ValueInode, len(value))
	}
	return value, nil
}

// readValueInode reads a large value from the inode that holds it.
func (f *FS) readValueInode(owner *node, x xattr) ([]byte, error) {
	if f.super.FeatureIncompat&IncompatEAInode == 0 {
		return nil, corrupt("value in inode %d without the feature ea_inode", x.ValueInode)
	}
	if x.ValueSize > maxXattrValue {
		return nil, unsupported("value of %d bytes, the kernel gives out %d", x.ValueSize, maxXattrValue)
	}
	n, err := f.node(x.ValueInode)
	if err != nil {
		return nil, err
	}
	if !n.has(FlagEAInode) || !n.mode().IsRegular() || f.size(n) != int64(x.ValueSize) {
		return nil, corrupt("inode %d does not hold a value of %d bytes", x.ValueInode, x.ValueSize)
	}
	c, err := f.content(n)
	if err != nil {
		return nil, err
	}
	value := make([]byte, x.ValueSize)
	if _, err := pages.ReadFull(c, value, 0); err != nil {
		return nil, err
	}
	// Lustre's older form has the owner's number in place of the checksum.
	lustre := uint32(n.disk.ModTime) == owner.number && n.disk.Generation == owner.disk.Generation
	if f.seed.XattrValue(value) != uint32(n.disk.AccessTime) && !lustre {
		return nil, corrupt("value in inode %d: checksum does not match", x.ValueInode)
	}
	return value, nil
}

// The tags of ACL entries (include/uapi/linux/posix_acl.h).
const (
	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20

	aclDiskVersion  = 1 // of fs/ext4/acl.h
	aclXattrVersion = 2 // of include/uapi/linux/posix_acl_xattr.h
)

// convertACL turns an ACL as ext4 stores it into the value of the attribute
// system.posix_acl_*: each entry gets an id, also those that have none.
func convertACL(b []byte) ([]byte, error) {
	if len(b) < 4 || le32(b, 0) != aclDiskVersion {
		return nil, corrupt("access control list of an unknown version")
	}
	out := binary.LittleEndian.AppendUint32(nil, aclXattrVersion)
	for b = b[4:]; len(b) > 0; {
		if len(b) < 4 {
			return nil, corrupt("access control list is cut short")
		}
		size, id := 4, uint32(0xffffffff)
		switch tag := le16(b, 0); tag {
		case aclUserObj, aclGroupObj, aclMask, aclOther:
		case aclUser, aclGroup:
			if size = 8; len(b) < size {
				return nil, corrupt("access control list is cut short")
			}
			id = le32(b, 4)
		default:
			return nil, corrupt("access control list has an entry with tag %#x", tag)
		}
		out = append(out, b[:4]...)
		out = binary.LittleEndian.AppendUint32(out, id)
		b = b[size:]
	}
	return out, nil
}
