package ext4

import (
	"fmt"
	"strings"
)

// FeatureCompat is a set of features that a reader and a writer may ignore.
type FeatureCompat uint32

// The compatible features.
const (
	CompatDirPrealloc  FeatureCompat = 0x0001
	CompatImagicInodes FeatureCompat = 0x0002
	CompatHasJournal   FeatureCompat = 0x0004
	CompatExtAttr      FeatureCompat = 0x0008
	CompatResizeInode  FeatureCompat = 0x0010 // inode 7 holds room for more group descriptors
	CompatDirIndex     FeatureCompat = 0x0020
	CompatSparseSuper2 FeatureCompat = 0x0200 // at most two superblock copies, in BackupGroups
	CompatFastCommit   FeatureCompat = 0x0400
	CompatStableInodes FeatureCompat = 0x0800
	CompatOrphanFile   FeatureCompat = 0x1000
)

// String gives the names that dumpe2fs uses.
func (f FeatureCompat) String() string {
	return flagNames(uint32(f), "dir_prealloc", "imagic_inodes", "has_journal", "ext_attr",
		"resize_inode", "dir_index", "lazy_bg", "", "snapshot_bitmap", "sparse_super2",
		"fast_commit", "stable_inodes", "orphan_file")
}

// FeatureIncompat is a set of features that a reader must know.
type FeatureIncompat uint32

// The incompatible features.
const (
	IncompatCompression  FeatureIncompat = 0x00001
	IncompatFileType     FeatureIncompat = 0x00002 // directory entries tell the type
	IncompatRecover      FeatureIncompat = 0x00004 // the journal has to be replayed
	IncompatJournalDev   FeatureIncompat = 0x00008 // a journal and no file system
	IncompatMetaBG       FeatureIncompat = 0x00010
	IncompatExtents      FeatureIncompat = 0x00040
	Incompat64Bit        FeatureIncompat = 0x00080
	IncompatMMP          FeatureIncompat = 0x00100
	IncompatFlexBG       FeatureIncompat = 0x00200
	IncompatEAInode      FeatureIncompat = 0x00400 // large xattr values in inodes of their own
	IncompatDirData      FeatureIncompat = 0x01000
	IncompatChecksumSeed FeatureIncompat = 0x02000
	IncompatLargeDir     FeatureIncompat = 0x04000
	IncompatInlineData   FeatureIncompat = 0x08000
	IncompatEncrypt      FeatureIncompat = 0x10000
	IncompatCaseFold     FeatureIncompat = 0x20000

	readableIncompat = IncompatFileType | IncompatRecover | IncompatMetaBG | IncompatExtents |
		Incompat64Bit | IncompatMMP | IncompatFlexBG | IncompatEAInode | IncompatChecksumSeed |
		IncompatLargeDir | IncompatInlineData | IncompatEncrypt | IncompatCaseFold
)

// String gives the names that dumpe2fs uses.
func (f FeatureIncompat) String() string {
	return flagNames(uint32(f), "compression", "filetype", "needs_recovery", "journal_dev",
		"meta_bg", "", "extent", "64bit", "mmp", "flex_bg", "ea_inode", "", "dirdata",
		"metadata_csum_seed", "large_dir", "inline_data", "encrypt", "casefold")
}

// FeatureROCompat is a set of features that a writer must know.
type FeatureROCompat uint32

// The features that only matter to a writer.
const (
	ROCompatSparseSuper   FeatureROCompat = 0x00001 // superblock copies in groups 0, 1 and powers of 3, 5, 7
	ROCompatLargeFile     FeatureROCompat = 0x00002
	ROCompatHugeFile      FeatureROCompat = 0x00008
	ROCompatGDTChecksum   FeatureROCompat = 0x00010 // CRC-16 of group descriptors ("uninit_bg")
	ROCompatDirNlink      FeatureROCompat = 0x00020
	ROCompatExtraSize     FeatureROCompat = 0x00040
	ROCompatHasSnapshot   FeatureROCompat = 0x00080
	ROCompatQuota         FeatureROCompat = 0x00100
	ROCompatBigAlloc      FeatureROCompat = 0x00200
	ROCompatChecksums     FeatureROCompat = 0x00400 // metadata_csum
	ROCompatReplica       FeatureROCompat = 0x00800
	ROCompatReadOnly      FeatureROCompat = 0x01000
	ROCompatProject       FeatureROCompat = 0x02000
	ROCompatSharedBlocks  FeatureROCompat = 0x04000 // files share blocks; read-only for ever
	ROCompatVerity        FeatureROCompat = 0x08000
	ROCompatOrphanPresent FeatureROCompat = 0x10000 // the orphan file is not empty
)

// String gives the names that dumpe2fs uses.
func (f FeatureROCompat) String() string {
	return flagNames(uint32(f), "sparse_super", "large_file", "", "huge_file", "uninit_bg",
		"dir_nlink", "extra_isize", "has_snapshot", "quota", "bigalloc", "metadata_csum",
		"replica", "read-only", "project", "shared_blocks", "verity", "orphan_present")
}

// State is the superblock's word on how the file system was left.
type State uint16

// The bits of State.
const (
	StateClean   State = 1 // unmounted cleanly
	StateErrors  State = 2 // the kernel found errors
	StateOrphans State = 4 // orphans are being recovered
)

// String gives the names of the bits.
func (s State) String() string { return flagNames(uint32(s), "clean", "errors", "orphans") }

// SuperFlags are the superblock's flags.
type SuperFlags uint32

// The bits of SuperFlags.
const (
	FlagSignedHash   SuperFlags = 1 // names were hashed as signed bytes
	FlagUnsignedHash SuperFlags = 2
	FlagTest         SuperFlags = 4
)

// String gives the names of the flags.
func (f SuperFlags) String() string {
	return flagNames(uint32(f), "signed_directory_hash", "unsigned_directory_hash", "test_filesystem")
}

// GroupFlags are a block group's flags. The first two count only with
// uninit_bg or metadata_csum.
type GroupFlags uint16

// The bits of GroupFlags.
const (
	GroupInodeUninit GroupFlags = 1 // no inode of the group was ever used; the bitmap is not written
	GroupBlockUninit GroupFlags = 2 // only metadata lies in the group; the bitmap is not written
	GroupInodeZeroed GroupFlags = 4
)

// String gives the names that dumpe2fs uses.
func (f GroupFlags) String() string {
	return flagNames(uint32(f), "INODE_UNINIT", "BLOCK_UNINIT", "ITABLE_ZEROED")
}

// InodeFlags are an inode's flags; lsattr shows some of them.
type InodeFlags uint32

// The flags that say how an inode is stored.
const (
	FlagImmutable   InodeFlags = 0x00000010
	FlagAppend      InodeFlags = 0x00000020
	FlagCompressed  InodeFlags = 0x00000004
	FlagEncrypt     InodeFlags = 0x00000800
	FlagIndex       InodeFlags = 0x00001000
	FlagHugeFile    InodeFlags = 0x00040000 // Blocks counts blocks, not sectors
	FlagExtents     InodeFlags = 0x00080000
	FlagVerity      InodeFlags = 0x00100000
	FlagEAInode     InodeFlags = 0x00200000 // holds the value of an xattr
	FlagInlineData  InodeFlags = 0x10000000
	FlagProjInherit InodeFlags = 0x20000000
	FlagCaseFold    InodeFlags = 0x40000000
)

// String gives the names of the flags.
func (f InodeFlags) String() string {
	return flagNames(uint32(f), "secrm", "unrm", "compr", "sync", "immutable", "append", "nodump",
		"noatime", "dirty", "comprblk", "nocompr", "encrypt", "index", "imagic", "journal_data",
		"notail", "dirsync", "topdir", "huge_file", "extents", "verity", "ea_inode", "eofblocks",
		"", "snapfile", "dax", "snapfile_deleted", "snapfile_shrunk", "inline_data", "projinherit",
		"casefold", "reserved")
}

// flagNames gives the name of every bit, in words or as a number.
func flagNames(flags uint32, names ...string) string {
	var list []string
	for bit := range 32 {
		switch {
		case flags&(1<<bit) == 0:
		case bit < len(names) && names[bit] != "":
			list = append(list, names[bit])
		default:
			list = append(list, fmt.Sprintf("%#x", uint32(1)<<bit))
		}
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, " ")
}

// FileType is the type that a directory entry tells.
type FileType uint8

// The file types of directory entries.
const (
	TypeUnknown FileType = iota
	TypeRegular
	TypeDir
	TypeChar
	TypeBlock
	TypeFIFO
	TypeSocket
	TypeSymlink
)

// String gives the word for the type.
func (t FileType) String() string {
	names := [...]string{"unknown", "file", "dir", "char", "block", "fifo", "socket", "symlink"}
	if int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("%#x", uint8(t))
}

// HashVersion says how the names of an indexed directory are hashed.
type HashVersion uint8

// The hash functions. The unsigned ones take the bytes of a name as unsigned.
const (
	HashLegacy HashVersion = iota
	HashHalfMD4
	HashTEA
	HashLegacyUnsigned
	HashHalfMD4Unsigned
	HashTEAUnsigned
	HashSIP // of directories that are encrypted and case-folded
)

// String gives the names that debugfs uses.
func (h HashVersion) String() string {
	names := [...]string{"legacy", "half_md4", "tea", "legacy_unsigned", "half_md4_unsigned",
		"tea_unsigned", "siphash"}
	if int(h) < len(names) {
		return names[h]
	}
	return fmt.Sprintf("%#x", uint8(h))
}

// XattrIndex stands for the begin of an attribute's name.
type XattrIndex uint8

// The indexes whose attributes the kernel shows, and Hidden ones.
const (
	XattrUser       XattrIndex = 1
	XattrACLAccess  XattrIndex = 2
	XattrACLDefault XattrIndex = 3
	XattrTrusted    XattrIndex = 4
	XattrLustre     XattrIndex = 5
	XattrSecurity   XattrIndex = 6
	XattrSystem     XattrIndex = 7 // only "data", the end of inline data
	XattrRichACL    XattrIndex = 8
	XattrEncryption XattrIndex = 9
	XattrHurd       XattrIndex = 10
)

// prefix returns the begin of the name, and whether the kernel shows the
// attribute at all (fs/ext4/xattr.c, ext4_xattr_handler_map).
func (x XattrIndex) prefix() (string, bool) {
	switch x {
	case XattrUser:
		return "user.", true
	case XattrACLAccess:
		return "system.posix_acl_access", true
	case XattrACLDefault:
		return "system.posix_acl_default", true
	case XattrTrusted:
		return "trusted.", true
	case XattrSecurity:
		return "security.", true
	case XattrHurd:
		return "gnu.", true
	}
	return "", false
}

// String gives the begin of the name that the index stands for.
func (x XattrIndex) String() string {
	if p, ok := x.prefix(); ok {
		return p
	}
	return fmt.Sprintf("index %d", uint8(x))
}
