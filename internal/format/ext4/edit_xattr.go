package ext4

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"sextant/internal/tree"
)

// stored is what an inode has of attributes, in its record and in its block.
type stored struct {
	inode, block []xattr
}

func (s stored) all() []xattr { return slices.Concat(s.inode, s.block) }

// storedXattrs reads an inode's attributes. Names and values are copies.
func (e *Editor) storedXattrs(n *node) (stored, error) {
	var s stored
	body, err := e.fs.xattrBody(n)
	if err == nil {
		s.inode, err = body.copies()
	}
	if number := e.fs.xattrBlock(n); err == nil && number != 0 {
		var area xattrArea
		if area, _, err = e.fs.xattrBlockArea(number); err == nil {
			s.block, err = area.copies()
		}
	}
	return s, err
}

func (a xattrArea) copies() ([]xattr, error) {
	var list []xattr
	for x, err := range a.entries() {
		if err != nil {
			return nil, err
		}
		x.value = slices.Clone(x.value)
		list = append(list, x)
	}
	return list, nil
}

// planXattrs divides the attributes that a file shall have, and those it has and
// nobody sees, between its record and a block. It changes nothing.
func (e *Editor) planXattrs(n *node, want []tree.Xattr) (stored, error) {
	var plan stored
	if len(want) > 0 && e.fs.super.Revision == 0 {
		return plan, unsupported("attributes in a file system of revision 0")
	}
	var list []xattr
	old, err := e.storedXattrs(n)
	if err != nil {
		return plan, err
	}
	for _, x := range old.all() {
		if x.ValueInode != 0 {
			return plan, unsupported("attribute %q has its value in inode %d", x.name, x.ValueInode)
		}
		if _, shown := x.NameIndex.prefix(); !shown {
			list = append(list, x)
		}
	}
	for _, w := range want {
		x, err := storedXattr(w)
		if err != nil {
			return plan, fmt.Errorf("attribute %s: %w", w.Name, err)
		}
		list = append(list, x)
	}
	slices.SortFunc(list, compareStored)
	room := n.bodyRoom()
	for _, x := range list {
		if isInlineRest(x) {
			room -= x.size()
			plan.inode = append(plan.inode, x)
		}
	}
	blockRoom := int(e.fs.geo.BlockSize) - xattrHeaderSize - 4
	for _, x := range list {
		switch size := x.size(); {
		case isInlineRest(x):
		case size <= room:
			room -= size
			plan.inode = append(plan.inode, x)
		case size <= blockRoom:
			blockRoom -= size
			plan.block = append(plan.block, x)
		default:
			return plan, fmt.Errorf("attribute %s%s of %d bytes, room for %d: %w", x.NameIndex, x.name, size, blockRoom, ErrLimit)
		}
	}
	return plan, nil
}

func isInlineRest(x xattr) bool { return x.NameIndex == XattrSystem && x.name == "data" }

// compareStored gives the order in which the kernel wants the attributes of a
// block (ext4_xattr_find_entry).
func compareStored(a, b xattr) int {
	return cmp.Or(cmp.Compare(a.NameIndex, b.NameIndex), cmp.Compare(len(a.name), len(b.name)), strings.Compare(a.name, b.name))
}

// size gives the bytes that an attribute takes.
func (x xattr) size() int { return x.entrySize() + (len(x.value)+3)&^3 }

func (x xattr) entrySize() int { return (xattrEntrySize + len(x.name) + 3) &^ 3 }

// bodyRoom returns the bytes for attributes in an inode's record.
func (n *node) bodyRoom() int {
	if len(n.record) == inodeSize0 || n.disk.ExtraSize == 0 {
		return 0
	}
	// The magic number and the end of the entries are not for them.
	return max(0, len(n.record)-inodeSize0-int(n.disk.ExtraSize)-xattrBodyHeaderSize-4)
}

// storedXattr gives an attribute the form in which it is stored.
func storedXattr(w tree.Xattr) (xattr, error) {
	x := xattr{value: w.Value}
	for index := XattrUser; index <= XattrHurd; index++ {
		prefix, ok := index.prefix()
		rest, match := strings.CutPrefix(w.Name, prefix)
		if !ok || !match || strings.HasSuffix(prefix, ".") == (rest == "") {
			continue
		}
		x.NameIndex, x.name = index, rest
	}
	if x.NameIndex == 0 || strings.IndexByte(x.name, 0) >= 0 {
		return x, unsupported("no such attribute in ext4")
	}
	if len(x.name) > maxNameLength || len(w.Value) > maxXattrValue {
		return x, fmt.Errorf("name of %d and value of %d bytes: %w", len(x.name), len(w.Value), fs.ErrInvalid)
	}
	var err error
	if x.NameIndex == XattrACLAccess || x.NameIndex == XattrACLDefault {
		x.value, err = storeACL(w.Value)
	}
	x.NameLength, x.ValueSize = uint8(len(x.name)), uint32(len(x.value))
	return x, err
}

// storeACL is the reverse of convertACL.
func storeACL(b []byte) ([]byte, error) {
	if len(b) < 4 || le32(b, 0) != aclXattrVersion || len(b)%8 != 4 {
		return nil, fmt.Errorf("%d bytes are no access control list: %w", len(b), fs.ErrInvalid)
	}
	out := binary.LittleEndian.AppendUint32(nil, aclDiskVersion)
	for b = b[4:]; len(b) > 0; b = b[8:] {
		switch le16(b, 0) {
		case aclUserObj, aclGroupObj, aclMask, aclOther:
			out = append(out, b[:4]...)
		case aclUser, aclGroup:
			out = append(out, b[:8]...)
		default:
			return nil, fmt.Errorf("access control list with tag %#x: %w", le16(b, 0), fs.ErrInvalid)
		}
	}
	return out, nil
}

// putXattrs gives an inode the attributes of a plan.
func (e *Editor) putXattrs(n *node, plan stored) error {
	e.packBody(n, plan.inode)
	if len(plan.inode)+len(plan.block) > 0 {
		e.fs.super.FeatureCompat |= CompatExtAttr
	}
	old := e.fs.xattrBlock(n)
	if old != 0 {
		if err := e.noteShare(old); err != nil {
			return err
		}
	}
	if len(plan.block) > 0 {
		number, err := e.shareBlock(n, e.packBlock(plan.block))
		if err != nil {
			return err
		}
		e.setXattrBlock(n, number)
		if err := e.addSectors(n, 1); err != nil {
			return err
		}
	} else {
		e.setXattrBlock(n, 0)
	}
	if old == 0 {
		return nil
	}
	if err := e.addSectors(n, -1); err != nil {
		return err
	}
	return e.dropXattrBlock(old)
}

func (e *Editor) setXattrBlock(n *node, number uint64) {
	hi, lo := split(number)
	n.disk.XattrBlockLo = lo
	if e.fs.super.FeatureIncompat&Incompat64Bit != 0 {
		n.disk.XattrBlockHi = uint16(hi)
	}
}

// packBody writes attributes into an inode's record.
func (e *Editor) packBody(n *node, list []xattr) {
	if n.bodyRoom() == 0 {
		return
	}
	b := n.record[inodeSize0+int(n.disk.ExtraSize):]
	clear(b)
	if len(list) == 0 {
		return
	}
	put32(b, 0, xattrMagic)
	packXattrs(b[xattrBodyHeaderSize:], 0, list, false)
}

// packBlock makes the bytes of an xattr block but for users and checksum.
func (e *Editor) packBlock(list []xattr) []byte {
	b := make([]byte, e.fs.geo.BlockSize)
	hashes := packXattrs(b, xattrHeaderSize, list, true)
	encode(b, &XattrHeader{Magic: xattrMagic, Blocks: 1, Hash: hashXattrBlock(hashes)})
	return b
}

// packXattrs writes entries from a place on, and values from the end down. Only
// entries in blocks have hashes.
func packXattrs(b []byte, at int, list []xattr, inBlock bool) (hashes []uint32) {
	end := len(b)
	for _, x := range list {
		x.ValueInode, x.ValueOffset, x.Hash = 0, 0, 0
		if len(x.value) > 0 {
			end -= (len(x.value) + 3) &^ 3
			copy(b[end:], x.value)
			x.ValueOffset = uint16(end)
		}
		if inBlock {
			x.Hash = hashXattr(x.name, xattrWords(x.value), false)
			hashes = append(hashes, x.Hash)
		}
		encode(b[at:], &x.XattrEntry)
		copy(b[at+xattrEntrySize:], x.name)
		at += x.entrySize()
	}
	return hashes
}

// shareBlock returns the number of a block with the given attributes: one that
// others have too, or a new one.
func (e *Editor) shareBlock(n *node, b []byte) (uint64, error) {
	key := shareKey(b)
	if number, ok := e.shares[key]; ok && le32(b, 12) != 0 {
		old, err := e.write(number)
		if err != nil {
			return 0, err
		}
		if users := le32(old, 4); users < xattrMaxShares {
			e.sealXattrs(number, old, users+1)
			return number, nil
		}
	}
	group, _ := e.fs.geo.Place(n.number)
	number, _, err := e.allocate(request{goal: e.fs.geo.GroupStart(group), want: 1, end: e.xattrEnd()})
	if err != nil {
		return 0, err
	}
	copy(e.fresh(number), b)
	e.sealXattrs(number, e.fs.changed[number], 1)
	e.shares[key] = number
	return number, nil
}

// xattrEnd returns the block before which an xattr block has to lie.
func (e *Editor) xattrEnd() uint64 {
	if e.fs.super.FeatureIncompat&Incompat64Bit == 0 {
		return 1 << 32
	}
	return 1 << 48
}

// shareKey tells blocks with the same attributes.
func shareKey(b []byte) [sha256.Size]byte { return sha256.Sum256(b[xattrHeaderSize:]) }

func (e *Editor) sealXattrs(number uint64, b []byte, users uint32) {
	put32(b, 4, users)
	if e.fs.super.checksums() {
		put32(b, xattrChecksumOffset, e.fs.seed.XattrBlock(number, b))
	}
}

// noteShare makes an existing block known to those that want the same.
func (e *Editor) noteShare(number uint64) error {
	if _, _, err := e.fs.xattrBlockArea(number); err != nil {
		return err
	}
	b, err := e.fs.block(number)
	if err != nil {
		return err
	}
	if _, ok := e.shares[shareKey(b)]; !ok {
		e.shares[shareKey(b)] = number
	}
	return nil
}

// dropXattrBlock takes one user from an xattr block.
func (e *Editor) dropXattrBlock(number uint64) error {
	if _, _, err := e.fs.xattrBlockArea(number); err != nil {
		return err
	}
	b, err := e.write(number)
	if err != nil {
		return err
	}
	users := le32(b, 4)
	if users == 0 || users > xattrMaxShares {
		return atBlock(number, "xattr block", corrupt("%d users", users))
	}
	if users > 1 {
		e.sealXattrs(number, b, users-1)
		return nil
	}
	if e.shares[shareKey(b)] == number {
		delete(e.shares, shareKey(b))
	}
	return e.release(number, 1)
}

// releaseXattrs takes an inode's attributes away, also those whose values lie in
// inodes.
func (e *Editor) releaseXattrs(n *node) error {
	s, err := e.storedXattrs(n)
	if err != nil {
		return err
	}
	number := e.fs.xattrBlock(n)
	last := number != 0
	if last {
		b, err := e.fs.block(number)
		if err != nil {
			return err
		}
		last = le32(b, 4) == 1
	}
	for _, x := range s.inode {
		if err := e.dropValue(x); err != nil {
			return err
		}
	}
	for _, x := range s.block {
		// The values belong to the block, not to its users.
		if !last {
			break
		}
		if err := e.dropValue(x); err != nil {
			return err
		}
	}
	if number == 0 {
		return nil
	}
	e.setXattrBlock(n, 0)
	return e.dropXattrBlock(number)
}

// dropValue takes one user from the inode with an attribute's value.
func (e *Editor) dropValue(x xattr) error {
	if x.ValueInode == 0 {
		return nil
	}
	if e.countsUsage() {
		return unsupported("attribute %q has its value in inode %d, with quota", x.name, x.ValueInode)
	}
	v, err := e.load(x.ValueInode)
	if err != nil {
		return err
	}
	users := join(uint32(v.disk.ChangeTime), v.disk.VersionLo)
	if !v.has(FlagEAInode) || users == 0 {
		return corrupt("value inode %d with %d users", v.number, users)
	}
	hi, lo := split(users - 1)
	v.disk.ChangeTime, v.disk.VersionLo = int32(hi), lo
	if users > 1 {
		return e.save(v)
	}
	if err := e.releaseMap(v); err != nil {
		return err
	}
	return e.dropInode(v)
}
