// Package probe tells what a disk or partition holds, from the first and last
// bytes of it: which file system, or which other thing that takes its place, and
// by which UUID and label /etc/fstab may name it. The words and the form of UUIDs
// are those of blkid(8).
//
// It tells things apart and checks nothing: opening the file system does.
package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"sextant/internal/pages"
)

// Kind is what a partition holds, by the name that blkid gives to it.
type Kind string

// The kinds.
const (
	Ext2     Kind = "ext2"
	Ext3     Kind = "ext3"
	Ext4     Kind = "ext4"
	VFAT     Kind = "vfat"
	XFS      Kind = "xfs"
	Btrfs    Kind = "btrfs"
	EROFS    Kind = "erofs"
	SquashFS Kind = "squashfs"
	F2FS     Kind = "f2fs"
	NTFS     Kind = "ntfs"
	ExFAT    Kind = "exfat"
	Bcachefs Kind = "bcachefs"
	Swap     Kind = "swap"
	Journal  Kind = "jbd" // of an ext4 elsewhere

	LUKS      Kind = "crypto_LUKS"
	BitLocker Kind = "BitLocker"
	LVM       Kind = "LVM2_member"
	RAID      Kind = "linux_raid_member"
	Verity    Kind = "DM_verity_hash"
	Integrity Kind = "DM_integrity"
)

// Reason says why the file system behind a kind cannot be reached, and is empty
// for those that are file systems themselves.
func (k Kind) Reason() string {
	switch k {
	case LUKS, BitLocker:
		return "is encrypted (" + string(k) + ")"
	case LVM:
		return "is a physical volume of LVM"
	case RAID:
		return "is a member of a RAID"
	case Verity:
		return "is a hash tree of dm-verity"
	case Integrity:
		return "is protected by dm-integrity"
	}
	return ""
}

// Content is what a partition holds. Kind is empty where nothing was recognised.
type Content struct {
	Kind        Kind
	UUID, Label string
}

// prober looks for one kind, or a family of them.
type prober func(d device) (Content, bool)

// probers lists them in the order in which they are asked: what lies around a
// file system comes before it, as the member of a mirror looks like one.
func probers() []prober {
	return []prober{
		raid, luks, lvm, verityHash, magic(Integrity, 0, "integrt\x00"), magic(BitLocker, 3, "-FVE-FS-"),
		ext, xfs, btrfs, erofsSuper, magic(SquashFS, 0, "hsqs"), f2fs, bcachefs,
		swap, magic(NTFS, 3, "NTFS    "), magic(ExFAT, 3, "EXFAT   "), fat,
	}
}

// Probe looks at the size bytes of r. The error is that of reading.
func Probe(r io.ReaderAt, size int64) (Content, error) {
	var failed error
	d := device{r, size, &failed}
	for _, p := range probers() {
		c, ok := p(d)
		if failed != nil {
			return Content{}, failed
		}
		if ok {
			return c, nil
		}
	}
	return Content{}, nil
}

// device is what is looked at. The first error of reading is kept.
type device struct {
	r      io.ReaderAt
	size   int64
	failed *error
}

// read returns length bytes, or zeros where the device has none.
func (d device) read(at int64, length int) []byte {
	b := make([]byte, length)
	if at < 0 || at+int64(length) > d.size {
		return b
	}
	if _, err := pages.ReadFull(d.r, b, at); err != nil && *d.failed == nil {
		*d.failed = err
	}
	return b
}

func (d device) has(at int64, magic string) bool {
	return string(d.read(at, len(magic))) == magic
}

// uuid gives 16 bytes as a UUID, and nothing if they are zero.
func (d device) uuid(at int64) string { return uuidText(d.read(at, 16)) }

func uuidText(b []byte) string {
	if bytes.Equal(b, make([]byte, 16)) {
		return ""
	}
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// text gives a string that ends at a NUL or after length bytes.
func (d device) text(at int64, length int) string {
	s, _, _ := strings.Cut(string(d.read(at, length)), "\x00")
	return s
}

func (d device) u16(at int64) uint16 { return binary.LittleEndian.Uint16(d.read(at, 2)) }
func (d device) u32(at int64) uint32 { return binary.LittleEndian.Uint32(d.read(at, 4)) }

// magic makes a prober for a kind that has nothing but a magic.
func magic(kind Kind, at int64, text string) prober {
	return func(d device) (Content, bool) { return Content{Kind: kind}, d.has(at, text) }
}
