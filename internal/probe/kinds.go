package probe

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// ext tells the three names of one format apart as libblkid does
// (libblkid/src/superblocks/ext.c): by the features that each driver knew.
func ext(d device) (Content, bool) {
	const super = 1024
	if !d.has(super+0x38, "\x53\xef") {
		return Content{}, false
	}
	const (
		hasJournal = 0x4 // compatible
		journalDev = 0x8 // incompatible

		incompatOfExt2  = 0x2 | 0x10 // filetype, meta_bg
		incompatOfExt3  = incompatOfExt2 | 0x4
		roCompatOfExt23 = 0x1 | 0x2 | 0x4 // sparse_super, large_file, btree_dir
	)
	compat, incompat, roCompat := d.u32(super+0x5c), d.u32(super+0x60), d.u32(super+0x64)
	c := Content{Kind: Ext4, UUID: d.uuid(super + 0x68), Label: d.text(super+0x78, 16)}
	switch {
	case incompat&journalDev != 0:
		c.Kind = Journal
	case compat&hasJournal == 0 && incompat&^incompatOfExt2 == 0 && roCompat&^roCompatOfExt23 == 0:
		c.Kind = Ext2
	case compat&hasJournal != 0 && incompat&^incompatOfExt3 == 0 && roCompat&^roCompatOfExt23 == 0:
		c.Kind = Ext3
	}
	return c, true
}

func xfs(d device) (Content, bool) {
	return Content{XFS, d.uuid(32), d.text(108, 12)}, d.has(0, "XFSB")
}

func btrfs(d device) (Content, bool) {
	const super = 0x10000
	return Content{Btrfs, d.uuid(super + 0x20), d.text(super+0x12b, 256)}, d.has(super+0x40, "_BHRfS_M")
}

func erofsSuper(d device) (Content, bool) {
	const super = 1024
	return Content{EROFS, d.uuid(super + 48), d.text(super+64, 16)}, d.has(super, "\xe2\xe1\xf5\xe0")
}

func f2fs(d device) (Content, bool) {
	const super = 1024
	return Content{Kind: F2FS, UUID: d.uuid(super + 108)}, d.has(super, "\x10\x20\xf5\xf2")
}

func bcachefs(d device) (Content, bool) {
	const super = 4096
	return Content{Kind: Bcachefs, UUID: d.uuid(super + 56)},
		d.has(super+24, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef")
}

// swap has its magic at the end of the first page of the machine that made it.
func swap(d device) (Content, bool) {
	for page := int64(4096); page <= 65536; page *= 2 {
		if d.has(page-10, "SWAPSPACE2") || d.has(page-10, "SWAP-SPACE") {
			return Content{Swap, d.uuid(1036), d.text(1052, 16)}, true
		}
	}
	return Content{}, false
}

func luks(d device) (Content, bool) {
	if !d.has(0, "LUKS\xba\xbe") {
		return Content{}, false
	}
	c := Content{Kind: LUKS, UUID: d.text(168, 40)}
	if binary.BigEndian.Uint16(d.read(6, 2)) == 2 {
		c.Label = d.text(24, 48)
	}
	return c, true
}

// lvm has its label in one of the first four sectors.
func lvm(d device) (Content, bool) {
	for sector := int64(0); sector < 4; sector++ {
		at := sector * 512
		if d.has(at, "LABELONE") && d.has(at+24, "LVM2 001") {
			return Content{Kind: LVM}, true
		}
	}
	return Content{}, false
}

func verityHash(d device) (Content, bool) {
	return Content{Kind: Verity, UUID: d.uuid(16)}, d.has(0, "verity\x00\x00")
}

// raid finds the four places of a superblock of md (md(4)): at the start, 4 KiB
// behind it, at least 8 KiB before the end, and, in the old format, in the last
// whole 64 KiB.
func raid(d device) (Content, bool) {
	const magic = "\xfc\x4e\x2b\xa9"
	for _, at := range []int64{0, 4096, (d.size - 8192) &^ 4095} {
		if d.has(at, magic) && d.u32(at+4) == 1 {
			return Content{RAID, d.uuid(at + 16), d.text(at+32, 32)}, true
		}
	}
	old := d.size&^65535 - 65536
	return Content{Kind: RAID}, d.has(old, magic) || d.has(old, "\xa9\x2b\x4e\xfc")
}

// fat accepts what has a boot sector that could be a FAT's. Its UUID is the
// serial number, its label that in the root directory.
func fat(d device) (Content, bool) {
	perCluster, sector := d.read(13, 1)[0], int64(d.u16(11))
	plausible := d.has(510, "\x55\xaa") && (sector == 512 || sector == 1024 || sector == 2048 || sector == 4096) &&
		perCluster != 0 && perCluster&(perCluster-1) == 0 && d.u16(14) != 0 && (d.read(16, 1)[0] == 1 || d.read(16, 1)[0] == 2)
	if !plausible {
		return Content{}, false
	}
	serial, label := int64(39), int64(43)
	fatSectors, rootEntries := int64(d.u16(22)), int64(d.u16(17))
	wide := fatSectors == 0 // FAT32
	if wide {
		serial, label = 67, 71
		fatSectors = int64(d.u32(36))
	}
	if !d.has(label+11, "FAT") && !d.has(label+11, "MSDOS") {
		return Content{}, false
	}
	root := (int64(d.u16(14)) + int64(d.read(16, 1)[0])*fatSectors) * sector
	length := rootEntries * 32
	if wide {
		root += (int64(d.u32(44)) - 2) * int64(perCluster) * sector
		length = int64(perCluster) * sector
	}
	c := Content{Kind: VFAT, Label: fatLabel(d.text(label, 11))}
	if in, ok := rootLabel(d, root, length); ok {
		c.Label = in
	}
	if n := d.u32(serial); n != 0 {
		c.UUID = fmt.Sprintf("%04X-%04X", n>>16, n&0xffff)
	}
	return c, true
}

// rootLabel returns the name of the entry that is the volume label, looking at
// the first cluster of the root directory.
func rootLabel(d device, at, length int64) (string, bool) {
	const (
		attributes = 11
		volume     = 0x08
		longName   = 0x0f
	)
	entries := d.read(at, int(min(length, 1<<16)))
	for ; len(entries) >= 32 && entries[0] != 0; entries = entries[32:] {
		if a := entries[attributes]; entries[0] != 0xe5 && a&volume != 0 && a&longName != longName {
			return fatLabel(string(entries[:11])), true
		}
	}
	return "", false
}

func fatLabel(s string) string {
	s = strings.TrimRight(s, " \x00")
	if s == "NO NAME" {
		return ""
	}
	return s
}
