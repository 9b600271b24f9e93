package ext4

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// With feature quota an inode each for users, groups and projects holds what
// their files take: a tree of blocks of 1024 bytes, four levels of 256 numbers
// each, that leads to blocks with entries (fs/quota/quota_tree.c, quota_v2.c).

// quotaKind is whose files are counted.
type quotaKind uint8

const (
	quotaUser quotaKind = iota
	quotaGroup
	quotaProject
)

// quotaMagic begins the files of each kind.
func (k quotaKind) magic() uint32 {
	return [...]uint32{quotaUser: 0xd9c01f11, quotaGroup: 0xd9c01927, quotaProject: 0xd9c03f14}[k]
}

// quotaKey is an owner.
type quotaKey struct {
	kind quotaKind
	id   uint32
}

// quotaDelta is what an owner has more than before, or less.
type quotaDelta struct {
	inodes, sectors int64
}

// countsUsage reports whether the file system counts what owners have.
func (e *Editor) countsUsage() bool { return e.fs.super.FeatureROCompat&ROCompatQuota != 0 }

// quotaInode returns the inode of a kind's file, 0 if there is none.
func (f *FS) quotaInode(kind quotaKind) uint32 {
	return [...]uint32{f.super.UserQuotaInode, f.super.GroupQuotaInode, f.super.ProjectQuotaInode}[kind]
}

// charge counts inodes and sectors for an inode's owners. What belongs to the
// file system itself is not counted.
func (e *Editor) charge(n *node, inodes, sectors int64) {
	if !e.countsUsage() || n.number < e.fs.geo.FirstInode() && n.number != RootInode {
		return
	}
	ids := [...]uint32{
		quotaUser:    uint32(n.disk.UIDHi)<<16 | uint32(n.disk.UIDLo),
		quotaGroup:   uint32(n.disk.GIDHi)<<16 | uint32(n.disk.GIDLo),
		quotaProject: 0,
	}
	if len(n.record) > inodeSize0 && n.disk.ExtraSize >= inodeExtra {
		ids[quotaProject] = n.disk.ProjectID
	}
	for kind, id := range ids {
		if e.fs.quotaInode(quotaKind(kind)) == 0 {
			continue
		}
		key := quotaKey{quotaKind(kind), id}
		d := e.usage[key]
		d.inodes, d.sectors = d.inodes+inodes, d.sectors+sectors
		e.usage[key] = d
	}
}

// applyUsage writes the changes to the quota files, which stay in memory.
func (e *Editor) applyUsage() error {
	keys := slices.SortedFunc(maps.Keys(e.usage), func(a, b quotaKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id))
	})
	for _, key := range keys {
		if d := e.usage[key]; d != (quotaDelta{}) {
			if err := e.applyDelta(key, d); err != nil {
				return fmt.Errorf("inode %d: %w", e.fs.quotaInode(key.kind), err)
			}
		}
	}
	clear(e.usage)
	return nil
}

// The layout of quota files: places in the first block, in blocks with entries
// and in an entry.
const (
	quotaBlock   = 1024
	quotaRoot    = 1 // block with the top of the tree
	quotaLevels  = 4
	quotaBlocks  = 20 // number of blocks
	quotaFree    = 24 // first free block
	quotaPartial = 28 // first block with room for entries

	quotaNext    = 0 // of blocks with room, and free ones
	quotaPrev    = 4
	quotaCount   = 8 // entries in use, 16 bits
	quotaEntries = 16

	quotaEntrySize  = 72
	quotaPerBlock   = (quotaBlock - quotaEntries) / quotaEntrySize
	quotaInodes     = 24
	quotaSpace      = 48
	quotaInodesTime = 64
)

// quotaFile is a quota file that changes.
type quotaFile struct {
	*Editor
	node *node
}

func (e *Editor) applyDelta(key quotaKey, d quotaDelta) error {
	n, err := e.load(e.fs.quotaInode(key.kind))
	if err != nil {
		return err
	}
	q := quotaFile{e, n}
	head, err := q.block(0)
	if err != nil {
		return err
	}
	if le32(head, 0) != key.kind.magic() || le32(head, 4) != 1 {
		return unsupported("quota file with magic number %#x, version %d", le32(head, 0), le32(head, 4))
	}
	entry, err := q.entry(head, quotaRoot, quotaLevels, key.id)
	if err != nil {
		return err
	}
	put32(entry, 0, key.id)
	addCount(entry[quotaInodes:], d.inodes)
	addCount(entry[quotaSpace:], d.sectors*512)
	if slices.Max(entry) == 0 {
		entry[quotaInodesTime] = 1 // else it would count as unused
	}
	return e.save(n)
}

// addCount changes a count, which does not go below zero: it can have been wrong
// before.
func addCount(b []byte, by int64) {
	count := int64(binary.LittleEndian.Uint64(b)) + by
	binary.LittleEndian.PutUint64(b, uint64(max(0, count)))
}

// block returns a block of the file, to be changed.
func (q quotaFile) block(number uint32) ([]byte, error) {
	at := int64(number) * quotaBlock
	if at+quotaBlock > q.fs.size(q.node) {
		return nil, corrupt("quota block %d of %d bytes", number, q.fs.size(q.node))
	}
	logical := uint64(at / q.fs.geo.BlockSize)
	for r, err := range q.fs.runs(q.node, logical) {
		if err != nil {
			return nil, err
		}
		if r.Logical > logical || r.Unwritten {
			break
		}
		b, err := q.write(r.Physical + logical - r.Logical)
		if err != nil {
			return nil, err
		}
		at %= q.fs.geo.BlockSize
		return b[at : at+quotaBlock], nil
	}
	return nil, corrupt("quota file has a hole at block %d", logical)
}

// entry finds or makes an owner's entry below a block of the tree, which is so
// many levels above the entries.
func (q quotaFile) entry(head []byte, number uint32, levels int, id uint32) ([]byte, error) {
	b, err := q.block(number)
	if err != nil {
		return nil, err
	}
	if levels == 0 {
		return findQuota(b, id)
	}
	at := int(id>>(8*(levels-1))&0xff) * 4
	next := le32(b, at)
	if next == 0 {
		var entry []byte
		if levels == 1 {
			next, entry, err = q.newEntry(head)
		} else {
			next, err = q.newBlock(head)
		}
		if err != nil {
			return nil, err
		}
		put32(b, at, next)
		if entry != nil {
			return entry, nil
		}
	}
	if next <= quotaRoot || next >= le32(head, quotaBlocks) {
		return nil, corrupt("quota tree leads to block %d of %d", next, le32(head, quotaBlocks))
	}
	return q.entry(head, next, levels-1, id)
}

// findQuota returns the entry of an owner in a block with entries.
func findQuota(b []byte, id uint32) ([]byte, error) {
	for i := range quotaPerBlock {
		entry := b[quotaEntries+i*quotaEntrySize:][:quotaEntrySize]
		if le32(entry, 0) == id && slices.Max(entry) > 0 {
			return entry, nil
		}
	}
	return nil, corrupt("quota tree leads to a block without owner %d", id)
}

// newBlock takes a block for the tree or for entries: a free one or a new one.
func (q quotaFile) newBlock(head []byte) (uint32, error) {
	if number := le32(head, quotaFree); number != 0 {
		b, err := q.block(number)
		if err != nil {
			return 0, err
		}
		put32(head, quotaFree, le32(b, quotaNext))
		clear(b)
		return number, nil
	}
	number := le32(head, quotaBlocks)
	end := (int64(number) + 1) * quotaBlock
	if logical := uint64((end - 1) / q.fs.geo.BlockSize); logical >= q.fs.sizeBlocks(q.node) {
		physical, err := q.appendBlock(q.node, logical)
		if err != nil {
			return 0, err
		}
		q.fresh(physical)
	}
	q.setSize(q.node, max(end, q.fs.size(q.node)))
	put32(head, quotaBlocks, number+1)
	b, err := q.block(number)
	if err == nil {
		clear(b)
	}
	return number, err
}

// newEntry takes an unused entry: in the first block with room, or in a new one.
func (q quotaFile) newEntry(head []byte) (uint32, []byte, error) {
	number := le32(head, quotaPartial)
	if number == 0 {
		var err error
		if number, err = q.newBlock(head); err != nil {
			return 0, nil, err
		}
		put32(head, quotaPartial, number)
	}
	b, err := q.block(number)
	if err != nil {
		return 0, nil, err
	}
	count := le16(b, quotaCount) + 1
	put16(b, quotaCount, count)
	if count >= quotaPerBlock {
		put32(head, quotaPartial, le32(b, quotaNext))
		if next := le32(b, quotaNext); next != 0 {
			after, err := q.block(next)
			if err != nil {
				return 0, nil, err
			}
			put32(after, quotaPrev, 0)
		}
		put32(b, quotaNext, 0)
		put32(b, quotaPrev, 0)
	}
	for i := range quotaPerBlock {
		entry := b[quotaEntries+i*quotaEntrySize:][:quotaEntrySize]
		if slices.Max(entry) == 0 {
			return number, entry, nil
		}
	}
	return 0, nil, corrupt("quota block %d has no room", number)
}
