package disk

import (
	"encoding/binary"
	"errors"
	"io"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/format/mbr"
)

// Kind is what sort of thing lies on a disk.
type Kind string

// The kinds of content.
const (
	Unknown    Kind = ""
	Table      Kind = "partition table" // Name is gpt or mbr
	FileSystem Kind = "file system"     // Name is ext4, vfat, ...; a root directory: directory
	Archive    Kind = "archive"         // Name is tar, or gzip, zstd, xz, bzip2 of what is probably one
	Layer      Kind = "layer"           // something that is opened to find a disk in it: LUKS, LVM, RAID
)

// Content is what lies on a disk.
type Content struct {
	Kind Kind
	Name string
}

// signature is how a content is told: bytes at a place, and what else must
// hold where those are too few.
type signature struct {
	Content
	offset int64
	magic  string
	also   func(start []byte) bool
}

// signatures are in the order in which they count: what is nested in something
// else comes behind it.
func signatures() []signature {
	return []signature{
		{Content{Layer, "LUKS"}, 0, "LUKS\xba\xbe", nil},
		{Content{Layer, "LVM"}, 512, "LABELONE", nil},
		{Content{Layer, "RAID"}, 4096, "\xfc\x4e\x2b\xa9", nil},
		{Content{Layer, "RAID"}, 0, "\xfc\x4e\x2b\xa9", nil},
		{Content{Layer, "BitLocker"}, 3, "-FVE-FS-", nil},
		{Content{Layer, "dm-verity"}, 0, "verity\x00\x00", nil},
		{Content{FileSystem, "erofs"}, 1024, "\xe2\xe1\xf5\xe0", nil},
		{Content{FileSystem, "squashfs"}, 0, "hsqs", nil},
		{Content{FileSystem, "xfs"}, 0, "XFSB", nil},
		{Content{FileSystem, "btrfs"}, 0x10040, "_BHRfS_M", nil},
		{Content{FileSystem, "f2fs"}, 1024, "\x10\x20\xf5\xf2", nil},
		{Content{FileSystem, "iso9660"}, 0x8001, "CD001", nil},
		{Content{FileSystem, "ntfs"}, 3, "NTFS    ", nil},
		{Content{FileSystem, "exfat"}, 3, "EXFAT   ", nil},
		{Content{FileSystem, "vfat"}, 510, "\x55\xaa", isFAT},
		{Content{FileSystem, "swap"}, 4086, "SWAPSPACE2", nil},
		{Content{Table, "mbr"}, 510, "\x55\xaa", nil},
		{Content{FileSystem, "ext4"}, 1080, "\x53\xef", isExt},
		{Content{Archive, "tar"}, 257, "ustar", nil},
		{Content{Archive, "gzip"}, 0, "\x1f\x8b\x08", nil},
		{Content{Archive, "zstd"}, 0, "\x28\xb5\x2f\xfd", nil},
		{Content{Archive, "xz"}, 0, "\xfd7zXZ\x00", nil},
		{Content{Archive, "bzip2"}, 0, "BZh", nil},
	}
}

// startSize is as much as any signature needs.
const startSize = 0x10048

// Recognise tells what lies on a disk of size bytes. A partition table that is
// damaged counts as one.
func Recognise(r io.ReaderAt, size int64) (Content, error) {
	_, _, err := gpt.Read(r, size)
	switch {
	case err == nil || isFormat(err) && !errors.Is(err, gpt.ErrNoTable):
		return Content{Table, "gpt"}, nil
	case !isFormat(err):
		return Content{}, err
	}
	start := make([]byte, min(size, startSize))
	if n, err := r.ReadAt(start, 0); n < len(start) {
		return Content{}, err
	}
	for _, s := range signatures() {
		end := s.offset + int64(len(s.magic))
		if end > int64(len(start)) || string(start[s.offset:end]) != s.magic || s.also != nil && !s.also(start) {
			continue
		}
		if s.Name != "mbr" {
			return s.Content, nil
		}
		if _, err := mbr.Read(r, size, 512); !errors.Is(err, mbr.ErrNoTable) {
			return s.Content, nil
		}
	}
	return Content{}, nil
}

// isFAT reports whether a boot sector has the parameters that a FAT needs:
// sectors and clusters of powers of two, reserved sectors, one or two FATs,
// and a media byte.
func isFAT(start []byte) bool {
	sector := binary.LittleEndian.Uint16(start[11:])
	cluster, reserved, fats, media := start[13], binary.LittleEndian.Uint16(start[14:]), start[16], start[21]
	return sector >= 512 && sector <= 4096 && sector&(sector-1) == 0 &&
		cluster != 0 && cluster&(cluster-1) == 0 && reserved > 0 && (fats == 1 || fats == 2) &&
		(media == 0xf0 || media >= 0xf8)
}

// isExt reports whether what has an ext file system's magic can be one: it has
// inodes, and blocks of 1 to 64 KiB.
func isExt(start []byte) bool {
	return binary.LittleEndian.Uint32(start[1024:]) > 0 && binary.LittleEndian.Uint32(start[1024+24:]) <= 6
}

// isFormat reports whether an error is about the bytes and not about reading
// them.
func isFormat(err error) bool {
	return errors.Is(err, fault.ErrCorrupt) || errors.Is(err, fault.ErrUnsupported)
}
