package ext4

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"sextant/internal/pages"
)

// A journal is a ring of blocks behind its superblock. A transaction is
// descriptors, each followed by the blocks that it names, then revocations
// ("older copies of these blocks do not count"), then a commit. All numbers are
// big-endian (Documentation/filesystems/ext4/journal.rst, fs/jbd2/recovery.c).

// More places in the journal's superblock, and its features.
const (
	journalFirst    = 0x14
	journalSequence = 0x18
	journalCompat   = 0x24
	journalUUID     = 0x30
	journalFast     = 0x54 // blocks at the end that fast commits have

	journalRevokes     = 0x01
	journal64Bit       = 0x02
	journalAsync       = 0x04
	journalCSum2       = 0x08
	journalCSum3       = 0x10
	journalFastCommits = 0x20
)

// The types of blocks, and what is in them.
const (
	journalDescriptor = 1
	journalCommit     = 2
	journalRevoke     = 5

	journalHeader    = 12
	journalCommitSum = 0x10
	journalTail      = 4 // checksum at the end of descriptors and revocations

	tagEscaped  = 1 // the block began with the journal's magic number
	tagSameUUID = 2 // no UUID behind the tag
	tagLast     = 8
)

// Bounds of what is held in memory.
const (
	maxRevocations     = 1 << 20
	fastCommitDefault  = 256 // blocks, if the superblock does not say
	minJournalBlocks   = 1024
	fastCommitHeadTag  = 9
	fastCommitHeadSize = 12
)

// journalLog is a journal that has to be replayed.
type journalLog struct {
	fs       *FS
	content  io.ReaderAt
	super    []byte // of one block
	features uint32
	seed     Seed
	first    uint32 // first block of the ring
	end      uint32 // behind its last
	fast     bool   // fast commits have blocks behind the ring
	start    uint32
	sequence uint32
	stop     uint32            // the first sequence that was not committed
	revoked  map[uint64]uint32 // by block, the last sequence that does not count
}

// replay writes the blocks of committed transactions to their places and empties
// the journal. It looks at all of them before it writes the first.
func (f *FS) replay(disk Storage) error {
	l, err := f.openLog()
	if err != nil {
		return err
	}
	if l.start != 0 {
		l.stop = l.sequence + math.MaxUint32/2
		if err := l.pass(nil); err != nil {
			return err
		}
		if err := l.noFastCommits(); err != nil {
			return err
		}
		if err := l.pass(l.check); err != nil {
			return err
		}
		if err := l.pass(func(number uint64, b []byte) error {
			_, err := disk.WriteAt(b, f.geo.Bytes(number, 1).Offset)
			return err
		}); err != nil {
			return err
		}
	}
	if err := l.empty(disk); err != nil {
		return err
	}
	return f.clearRecover(disk)
}

func (f *FS) openLog() (*journalLog, error) {
	b, err := f.journalBlock(0)
	if err != nil {
		return nil, err
	}
	word := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	l := &journalLog{
		fs: f, super: b, features: word(journalIncompat), seed: startSeed.crc32c(b[journalUUID : journalUUID+16]),
		first: word(journalFirst), end: word(journalBlocks), start: word(journalStart), sequence: word(journalSequence),
		revoked: make(map[uint64]uint32),
	}
	if word(4) == journalSuperV1 {
		l.features = 0
	} else if word(journalCompat) != 0 {
		// There is one: checksums as before jbd2 had its own.
		return nil, unsupported("journal with features %#x", word(journalCompat))
	}
	const known = journalRevokes | journal64Bit | journalAsync | journalCSum2 | journalCSum3 | journalFastCommits
	if unknown := l.features &^ known; unknown != 0 || l.has(journalCSum2) && l.has(journalCSum3) {
		return nil, unsupported("journal with incompatible features %#x", l.features)
	}
	if l.has(journalFastCommits) {
		fast := word(journalFast)
		if fast == 0 {
			fast = fastCommitDefault
		}
		if l.end >= fast && l.end-fast >= minJournalBlocks {
			l.end -= fast
			l.fast = true
		}
	}
	if l.first == 0 || l.first >= l.end || l.start != 0 && (l.start < l.first || l.start >= l.end) {
		return nil, corrupt("journal of blocks %d-%d begins at block %d", l.first, l.end, l.start)
	}
	n, err := f.node(f.super.JournalInode)
	if err != nil {
		return nil, err
	}
	l.content, err = f.content(n)
	return l, err
}

func (l *journalLog) has(feature uint32) bool { return l.features&feature != 0 }

func (l *journalLog) sums() bool { return l.has(journalCSum2 | journalCSum3) }

// block reads the n-th block from a place on, around the end of the ring.
func (l *journalLog) block(at uint32) ([]byte, error) {
	b := make([]byte, l.fs.geo.BlockSize)
	_, err := pages.ReadFull(l.content, b, int64(at)*l.fs.geo.BlockSize)
	return b, err
}

func (l *journalLog) next(at uint32) uint32 {
	if at++; at >= l.end {
		return l.first
	}
	return at
}

// pass goes over the transactions up to stop. The first pass, without a visit,
// finds where they stop, and what is revoked; the others visit the blocks that
// count.
func (l *journalLog) pass(visit func(number uint64, b []byte) error) error {
	at, sequence := l.start, l.sequence
	for used := uint32(0); used < l.end-l.first && int32(sequence-l.stop) < 0; used++ {
		b, err := l.block(at)
		if err != nil {
			return err
		}
		if binary.BigEndian.Uint32(b) != journalMagic || binary.BigEndian.Uint32(b[8:]) != sequence {
			break
		}
		place := at
		at = l.next(at)
		switch kind := binary.BigEndian.Uint32(b[4:]); kind {
		case journalDescriptor:
			var count uint32
			at, count, err = l.descriptor(b, at, sequence, visit)
			used += count
		case journalCommit:
			err = l.commit(b)
			sequence++
		case journalRevoke:
			if visit == nil {
				err = l.revoke(b, sequence)
			}
		default:
			err = corrupt("block of type %d", kind)
		}
		if err != nil {
			return fmt.Errorf("block %d of the journal: %w", place, err)
		}
	}
	if visit == nil {
		l.stop = sequence
	}
	return nil
}

// tailSum compares the checksum at the end of a descriptor or of revocations.
func (l *journalLog) tailSum(b []byte) error {
	return l.sumAt(b, len(b)-journalTail)
}

func (l *journalLog) commit(b []byte) error { return l.sumAt(b, journalCommitSum) }

// sumAt compares a block's checksum, which lies in it and counts as zero.
func (l *journalLog) sumAt(b []byte, at int) error {
	if !l.sums() {
		return nil
	}
	sum := l.seed.crc32c(b[:at]).crc32c32(0).crc32c(b[at+4:])
	if uint32(sum) != binary.BigEndian.Uint32(b[at:]) {
		return corrupt("checksum does not match")
	}
	return nil
}

// tag names a block that follows a descriptor.
type tag struct {
	block uint64
	flags uint32
	sum   uint32
}

// tags reads the tags of a descriptor.
func (l *journalLog) tags(b []byte) ([]tag, error) {
	size := 8
	switch {
	case l.has(journalCSum3):
		size = 16
	case l.has(journalCSum2):
		size += 2
	}
	if l.has(journal64Bit) && !l.has(journalCSum3) {
		size += 4
	}
	if l.sums() {
		b = b[:len(b)-journalTail]
	}
	var list []tag
	for b = b[journalHeader:]; len(b) >= size; {
		t := l.tag(b)
		list = append(list, t)
		b = b[size:]
		if t.flags&tagSameUUID == 0 {
			b = b[min(16, len(b)):]
		}
		if t.flags&tagLast != 0 {
			return list, nil
		}
	}
	if len(list) == 0 {
		return nil, corrupt("descriptor without blocks")
	}
	return list, nil
}

func (l *journalLog) tag(b []byte) tag {
	word := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	if l.has(journalCSum3) {
		t := tag{block: uint64(word(0)), flags: word(4), sum: word(12)}
		if l.has(journal64Bit) {
			t.block = join(word(8), word(0))
		}
		return t
	}
	t := tag{block: uint64(word(0)), sum: word(4) >> 16, flags: word(4) & 0xffff}
	if l.has(journal64Bit) {
		t.block = join(word(8), word(0))
	}
	return t
}

// descriptor visits the blocks that follow a descriptor, and returns where the
// next block is and how many were passed.
func (l *journalLog) descriptor(b []byte, at, sequence uint32, visit func(uint64, []byte) error) (uint32, uint32, error) {
	if err := l.tailSum(b); err != nil {
		return 0, 0, err
	}
	tags, err := l.tags(b)
	if err != nil {
		return 0, 0, err
	}
	for _, t := range tags {
		here := at
		at = l.next(at)
		if last, ok := l.revoked[t.block]; visit == nil || ok && int32(sequence-last) <= 0 {
			continue
		}
		data, err := l.data(t, here, sequence)
		if err == nil {
			err = visit(t.block, data)
		}
		if err != nil {
			return 0, 0, fmt.Errorf("copy of block %d: %w", t.block, err)
		}
	}
	return at, uint32(len(tags)), nil
}

// data reads a block as it was before it went into the journal.
func (l *journalLog) data(t tag, at, sequence uint32) ([]byte, error) {
	b, err := l.block(at)
	if err != nil {
		return nil, err
	}
	if l.sums() {
		var number [4]byte
		binary.BigEndian.PutUint32(number[:], sequence)
		sum := uint32(l.seed.crc32c(number[:]).crc32c(b))
		if l.has(journalCSum2) {
			sum &= 0xffff
		}
		if sum != t.sum {
			return nil, corrupt("checksum does not match")
		}
	}
	if t.flags&tagEscaped != 0 {
		binary.BigEndian.PutUint32(b, journalMagic)
	}
	return b, nil
}

// check wants the blocks to lie inside the file system.
func (l *journalLog) check(number uint64, _ []byte) error {
	if number == 0 && l.fs.geo.FirstDataBlock == 1 {
		return corrupt("the boot block is not the file system's")
	}
	return l.fs.geo.BlockRange(number, 1)
}

// revoke notes the blocks of which older copies do not count.
func (l *journalLog) revoke(b []byte, sequence uint32) error {
	if err := l.tailSum(b); err != nil {
		return err
	}
	size, end := 4, len(b)
	if l.has(journal64Bit) {
		size = 8
	}
	if l.sums() {
		end -= journalTail
	}
	used := binary.BigEndian.Uint32(b[journalHeader:])
	if used < journalHeader+4 || uint64(used) > uint64(end) {
		return corrupt("revocations of %d bytes", used)
	}
	for b = b[journalHeader+4 : used]; len(b) >= size; b = b[size:] {
		number := uint64(binary.BigEndian.Uint32(b))
		if size == 8 {
			number = binary.BigEndian.Uint64(b)
		}
		if len(l.revoked) >= maxRevocations {
			return unsupported("more than %d revocations", maxRevocations)
		}
		l.revoked[number] = sequence
	}
	return nil
}

// noFastCommits wants no changes in the short form behind the ring, which only
// the kernel can apply.
func (l *journalLog) noFastCommits() error {
	if !l.fast {
		return nil
	}
	b, err := l.block(l.end + 1)
	if err != nil {
		return err
	}
	if le16(b, 0) == fastCommitHeadTag && le32(b, fastCommitHeadSize-4) == l.stop {
		return unsupported("journal with fast commits, a mount or e2fsck has to replay it")
	}
	return nil
}

// empty writes a journal superblock that says that there is nothing.
func (l *journalLog) empty(disk io.WriterAt) error {
	b := l.super
	if l.start != 0 {
		binary.BigEndian.PutUint32(b[journalSequence:], l.stop+1)
		binary.BigEndian.PutUint32(b[journalStart:], 0)
	}
	if l.sums() {
		sum := startSeed.crc32c(b[:journalChecksum]).crc32c32(0).crc32c(b[journalChecksum+4 : SuperBlockSize])
		binary.BigEndian.PutUint32(b[journalChecksum:], uint32(sum))
	}
	n, err := l.fs.node(l.fs.super.JournalInode)
	if err != nil {
		return err
	}
	for r, err := range l.fs.runs(n, 0) {
		if err != nil {
			return err
		}
		if r.Logical != 0 || r.Unwritten {
			break
		}
		_, err := disk.WriteAt(b, l.fs.geo.Bytes(r.Physical, 1).Offset)
		return err
	}
	return corrupt("journal without its first block")
}

// clearRecover says in the superblock, which may be another one since the
// replay, that there is nothing to replay.
func (f *FS) clearRecover(disk Storage) error {
	raw := make([]byte, SuperBlockSize)
	if _, err := pages.ReadFull(disk, raw, SuperBlockOffset); err != nil {
		return err
	}
	sb := DecodeSuperBlock(raw)
	sb.FeatureIncompat &^= IncompatRecover
	encode(raw, &sb)
	if sb.checksums() {
		put32(raw, SuperBlockSize-4, ChecksumSuperBlock(raw))
	}
	_, err := disk.WriteAt(raw, SuperBlockOffset)
	return err
}

// journalBlock reads a block of the journal.
func (f *FS) journalBlock(logical uint32) ([]byte, error) {
	n, err := f.node(f.super.JournalInode)
	if err != nil {
		return nil, err
	}
	c, err := f.content(n)
	if err != nil {
		return nil, err
	}
	b := make([]byte, f.geo.BlockSize)
	_, err = pages.ReadFull(c, b, int64(logical)*f.geo.BlockSize)
	return b, err
}
