package ext4

import "encoding/binary"

// What an Editor keeps right. All else is refused.
const (
	editableCompat = CompatDirPrealloc | CompatHasJournal | CompatExtAttr | CompatResizeInode | CompatDirIndex |
		CompatSparseSuper2 | CompatFastCommit | CompatStableInodes | CompatOrphanFile

	editableIncompat = IncompatFileType | IncompatRecover | IncompatMetaBG | IncompatExtents | Incompat64Bit |
		IncompatMMP | IncompatFlexBG | IncompatEAInode | IncompatChecksumSeed | IncompatLargeDir |
		IncompatInlineData | IncompatEncrypt | IncompatCaseFold

	editableROCompat = ROCompatSparseSuper | ROCompatLargeFile | ROCompatHugeFile | ROCompatGDTChecksum |
		ROCompatDirNlink | ROCompatExtraSize | ROCompatQuota | ROCompatChecksums | ROCompatProject |
		ROCompatVerity | ROCompatOrphanPresent
)

// maxEditGroups bounds the groups that an Editor looks at: 128 TiB of them with
// the usual blocks.
const maxEditGroups = 1 << 20

// checkEditable returns an error for a file system that an Editor would damage.
func (f *FS) checkEditable() error {
	sb := &f.super
	if unknown := sb.FeatureCompat &^ editableCompat; unknown != 0 {
		return unsupported("changes with feature %s", unknown)
	}
	if unknown := sb.FeatureIncompat &^ editableIncompat; unknown != 0 {
		return unsupported("changes with feature %s", unknown)
	}
	if unknown := sb.FeatureROCompat &^ editableROCompat; unknown != 0 {
		return unsupported("changes with feature %s", unknown)
	}
	if sb.checksums() && sb.FeatureROCompat&ROCompatGDTChecksum != 0 {
		return corrupt("features metadata_csum and uninit_bg exclude each other")
	}
	if sb.CreatorOS != creatorLinux {
		return unsupported("changes to a file system of operating system %d", sb.CreatorOS)
	}
	if sb.State&StateClean == 0 || sb.State&(StateErrors|StateOrphans) != 0 {
		return corrupt("state is %s, e2fsck has to look at it first", sb.State)
	}
	if f.geo.Groups > maxEditGroups {
		return unsupported("changes with %d block groups", f.geo.Groups)
	}
	if err := f.checkExtraSizes(); err != nil {
		return err
	}
	if err := f.checkUnused(); err != nil {
		return err
	}
	return f.checkJournal()
}

// checkExtraSizes wants the extra fields of new inodes to have room.
func (f *FS) checkExtraSizes() error {
	sb, room := &f.super, f.geo.InodeSize-inodeSize0
	if sb.FeatureROCompat&ROCompatExtraSize == 0 {
		return nil
	}
	if want := int(sb.WantExtraSize); want > room || want%4 != 0 {
		return corrupt("%d bytes of extra fields wanted, room for %d", want, room)
	}
	return nil
}

// checkUnused wants nobody else to use the file system.
func (f *FS) checkUnused() error {
	if f.super.FeatureIncompat&IncompatMMP == 0 {
		return nil
	}
	b, err := f.block(f.super.MMPBlock)
	if err != nil {
		return err
	}
	if le32(b, 0) != mmpMagic || le32(b, 4) != mmpClean {
		return corrupt("somebody uses the file system (multi-mount protection, sequence %#x)", le32(b, 4))
	}
	return nil
}

// checkJournal wants the journal to be inside the file system, or empty, and
// the kernel not to have written an error into it.
func (f *FS) checkJournal() error {
	sb := &f.super
	dirty := sb.FeatureIncompat&IncompatRecover != 0
	if sb.FeatureCompat&CompatHasJournal == 0 {
		if dirty {
			return corrupt("needs recovery but has no journal")
		}
		return nil
	}
	if sb.JournalInode == 0 {
		if dirty {
			return unsupported("changes with a journal on another device that has to be replayed first")
		}
		return nil
	}
	if err := f.journalSuper(); err != nil {
		return err
	}
	b, err := f.journalBlock(0)
	if err != nil {
		return err
	}
	if errno := int32(binary.BigEndian.Uint32(b[journalErrno:])); errno != 0 {
		return corrupt("journal: the kernel left error %d", errno)
	}
	return nil
}
