package ext4

import (
	"encoding/binary"
	"fmt"

	"sextant/internal/pages"
)

// orphanList follows the list of orphans through the inodes, and reads the
// orphan file.
func (c *checker) orphanList() error {
	f, place := c.fs, "orphan list"
	for number := f.super.LastOrphan; number != 0; {
		if c.orphans[number] {
			return c.Untidy(place, corrupt("inode %d is on it twice", number))
		}
		n, err := f.readNode(number)
		if err != nil {
			return c.Untidy(place, err)
		}
		c.orphans[number] = true
		number = n.disk.DeletionTime
		if n.disk.Links > 0 && number > f.geo.Inodes {
			break // the list ends in an inode to be cut, which has no next
		}
	}
	if f.super.FeatureCompat&CompatOrphanFile == 0 {
		return nil
	}
	return c.Untidy("orphan file", c.orphanFile())
}

func (c *checker) orphanFile() error {
	f := c.fs
	n, err := f.node(f.super.OrphanFileInode)
	if err != nil {
		return err
	}
	for r, err := range f.runs(n, 0) {
		if err != nil {
			return err
		}
		for i := range r.Length {
			if err := c.orphanBlock(n, r.Physical+i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *checker) orphanBlock(n *node, number uint64) error {
	f := c.fs
	b, err := f.block(number)
	if err != nil {
		return err
	}
	tail := len(b) - 8
	if le32(b, tail) != orphanMagic {
		return atBlock(number, "block", corrupt("magic number %#x", le32(b, tail)))
	}
	if f.super.checksums() && n.seed.OrphanBlock(number, b[:tail]) != le32(b, tail+4) {
		return atBlock(number, "block", corrupt("checksum does not match"))
	}
	for at := 0; at < tail; at += 4 {
		orphan := le32(b, at)
		if orphan == 0 {
			continue
		}
		if orphan > f.geo.Inodes || f.super.FeatureROCompat&ROCompatOrphanPresent == 0 {
			return atBlock(number, "block", corrupt("inode %d is on it", orphan))
		}
		c.orphans[orphan] = true
	}
	return nil
}

// The journal's superblock (Documentation/filesystems/ext4/journal.rst), all in
// big-endian order.
const (
	journalMagic        = 0xC03B3998
	journalSuperV1      = 3
	journalSuperV2      = 4
	journalBlockSize    = 0x0C
	journalBlocks       = 0x10
	journalStart        = 0x1C
	journalErrno        = 0x20
	journalIncompat     = 0x28
	journalChecksumType = 0x50
	journalChecksum     = 0xFC
	journalCSum23       = 0x08 | 0x10
)

// journal checks the journal's superblock. Its blocks are not looked at: after
// a clean unmount they mean nothing.
func (c *checker) journal() error {
	sb := &c.fs.super
	if sb.FeatureCompat&CompatHasJournal == 0 || sb.JournalInode == 0 {
		return nil
	}
	return c.Untidy("journal", c.fs.journalSuper())
}

func (f *FS) journalSuper() error {
	n, err := f.node(f.super.JournalInode)
	if err != nil {
		return err
	}
	content, err := f.content(n)
	if err != nil {
		return err
	}
	b := make([]byte, SuperBlockSize)
	if content.Size() < int64(len(b)) {
		return corrupt("%d bytes", content.Size())
	}
	if _, err := pages.ReadFull(content, b, 0); err != nil {
		return err
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	kind := word(4)
	switch {
	case word(0) != journalMagic || kind != journalSuperV1 && kind != journalSuperV2:
		return corrupt("magic number %#x, block type %d", word(0), kind)
	case int64(word(journalBlockSize)) != f.geo.BlockSize:
		return corrupt("blocks of %d bytes", word(journalBlockSize))
	case int64(word(journalBlocks)) > content.Size()/f.geo.BlockSize:
		return corrupt("%d blocks in %d bytes", word(journalBlocks), content.Size())
	case word(journalStart) != 0 && f.super.FeatureIncompat&IncompatRecover == 0:
		return corrupt("not empty, but the superblock does not say so")
	}
	return journalSum(b, kind)
}

func journalSum(b []byte, kind uint32) error {
	features := binary.BigEndian.Uint32(b[journalIncompat:])
	if kind == journalSuperV1 || features&journalCSum23 == 0 {
		return nil
	}
	if b[journalChecksumType] != 4 {
		return unsupported("checksum algorithm %d", b[journalChecksumType])
	}
	sum := startSeed.crc32c(b[:journalChecksum]).crc32c32(0).crc32c(b[journalChecksum+4:])
	if uint32(sum) != binary.BigEndian.Uint32(b[journalChecksum:]) {
		return fmt.Errorf("superblock: %w", corrupt("checksum does not match"))
	}
	return nil
}
