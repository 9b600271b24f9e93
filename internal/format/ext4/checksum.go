package ext4

import (
	"encoding/binary"
	"hash/crc32"
)

// Seed begins the checksums of one file system or one inode. ext4 runs CRC-32C
// without the final inversion that hash/crc32 adds, from all ones on.
type Seed uint32

// crc32c continues the checksum over b.
func (s Seed) crc32c(b []byte) Seed {
	return Seed(^crc32.Update(^uint32(s), crc32.MakeTable(crc32.Castagnoli), b))
}

func (s Seed) crc32c32(n uint32) Seed {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], n)
	return s.crc32c(b[:])
}

func (s Seed) crc32c64(n uint64) Seed {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return s.crc32c(b[:])
}

const startSeed Seed = 0xffffffff

// ChecksumSuperBlock gives the checksum of a superblock's 1024 bytes.
func ChecksumSuperBlock(b []byte) uint32 {
	return uint32(startSeed.crc32c(b[:SuperBlockSize-4]))
}

// Seed gives the seed of the file system's checksums: of its UUID, or of the
// UUID that it once had.
func (sb *SuperBlock) Seed() Seed {
	if sb.FeatureIncompat&IncompatChecksumSeed != 0 {
		return Seed(sb.ChecksumSeed)
	}
	return startSeed.crc32c(sb.UUID[:])
}

// ForInode gives the seed of everything that belongs to one inode: its record,
// its extent tree and its directory blocks.
func (s Seed) ForInode(number, generation uint32) Seed {
	return s.crc32c32(number).crc32c32(generation)
}

// Inode gives the checksum of an inode's whole record, the checksum's own
// fields counting as zero. s is the inode's seed. Only the low half counts
// where hasHi is false, as the record has no room for the high one.
func (s Seed) Inode(record []byte) (sum uint32, hasHi bool) {
	hasHi = len(record) > inodeSize0 && inodeSize0+int(le16(record, inodeSize0)) >= endOfChecksumHi
	zero := make([]byte, 2)
	s = s.crc32c(record[:inodeChecksumLo]).crc32c(zero)
	if !hasHi {
		s = s.crc32c(record[inodeChecksumLo+2:])
		return uint32(s) & 0xffff, false
	}
	s = s.crc32c(record[inodeChecksumLo+2 : inodeChecksumHi]).crc32c(zero)
	return uint32(s.crc32c(record[endOfChecksumHi:])), true
}

// Bitmap gives the checksum of a block or inode bitmap: of the bytes that hold
// bits, not of the padding behind them.
func (s Seed) Bitmap(bits []byte) uint32 { return uint32(s.crc32c(bits)) }

// Block gives the checksum of a directory leaf or an extent tree block up to
// where the checksum stands. s is the inode's seed.
func (s Seed) Block(front []byte) uint32 { return uint32(s.crc32c(front)) }

// IndexBlock gives the checksum of a block of a directory's index: of what lies
// in front of the entries, of the entries in use, and of its tail. s is the
// inode's seed.
func (s Seed) IndexBlock(used, tailReserved []byte) uint32 {
	return uint32(s.crc32c(used).crc32c(tailReserved).crc32c32(0))
}

// XattrBlock gives the checksum of an xattr block, its own field counting as
// zero. s is the file system's seed, as inodes can share the block.
func (s Seed) XattrBlock(number uint64, block []byte) uint32 {
	s = s.crc32c64(number).crc32c(block[:xattrChecksumOffset]).crc32c32(0)
	return uint32(s.crc32c(block[xattrChecksumOffset+4:]))
}

// XattrValue gives the checksum that an xattr inode keeps of its value.
func (s Seed) XattrValue(value []byte) uint32 { return uint32(s.crc32c(value)) }

// OrphanBlock gives the checksum of a block of the orphan file. s is that
// file's seed.
func (s Seed) OrphanBlock(number uint64, entries []byte) uint32 {
	return uint32(s.crc32c64(number).crc32c(entries))
}

// GroupDesc gives the checksum of a group descriptor of metadata_csum, its own
// field counting as zero.
func (s Seed) GroupDesc(group uint32, desc []byte) uint16 {
	s = s.crc32c32(group).crc32c(desc[:groupDescChecksumOffset]).crc32c([]byte{0, 0})
	return uint16(s.crc32c(desc[groupDescChecksumOffset+2:]))
}

// ChecksumGroupDesc16 gives the checksum of a group descriptor of uninit_bg: a
// CRC-16 that leaves out its own field.
func ChecksumGroupDesc16(uuid [16]byte, group uint32, desc []byte) uint16 {
	var number [4]byte
	binary.LittleEndian.PutUint32(number[:], group)
	sum := crc16(0xffff, uuid[:])
	sum = crc16(sum, number[:])
	sum = crc16(sum, desc[:groupDescChecksumOffset])
	return crc16(sum, desc[groupDescChecksumOffset+2:])
}

// crc16 continues the CRC with the reversed polynomial 0xA001 (lib/crc16.c).
func crc16(sum uint16, b []byte) uint16 {
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			sum = sum>>1 ^ 0xA001&-(sum&1)
		}
	}
	return sum
}

// hashXattr gives XattrEntry.Hash of a name and of a value that is padded with
// zeros to whole words (fs/ext4/xattr.c, ext4_xattr_hash_entry). signed takes
// the name's bytes as signed, as kernels on some machines did.
func hashXattr(name string, words []uint32, signed bool) uint32 {
	hash := uint32(0)
	for _, c := range []byte(name) {
		n := uint32(c)
		if signed {
			n = uint32(int8(c))
		}
		hash = hash<<5 ^ hash>>27 ^ n
	}
	for _, w := range words {
		hash = hash<<16 ^ hash>>16 ^ w
	}
	return hash
}

// xattrWords cuts a value into the words that hashXattr takes.
func xattrWords(value []byte) []uint32 {
	words := make([]uint32, (len(value)+3)/4)
	for i, c := range value {
		words[i/4] |= uint32(c) << (i % 4 * 8)
	}
	return words
}

// hashXattrBlock gives XattrHeader.Hash of the hashes of its entries. A block
// with an entry without hash has none, and is not shared.
func hashXattrBlock(entries []uint32) uint32 {
	hash := uint32(0)
	for _, h := range entries {
		if h == 0 {
			return 0
		}
		hash = hash<<16 ^ hash>>16 ^ h
	}
	return hash
}
