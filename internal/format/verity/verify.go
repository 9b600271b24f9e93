package verity

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"sextant/internal/fault"
	"sextant/internal/pages"
)

// Verify checks every data block and every hash block against the root hash,
// from the top level down. Bad blocks are in the report; the error is about
// reading, or about parameters and sizes that rule out a check.
//
// data begins with the first data block and may go on behind the last one; the
// hash area begins with the superblock, or with the tree if p says so.
func Verify(ctx context.Context, data, hash *io.SectionReader, p Params, root []byte) (*Report, error) {
	v, err := newVerifier(data, hash, p)
	if err != nil {
		return nil, err
	}
	if err := v.checkSuperblock(); err != nil {
		return nil, err
	}
	v.report.RootMatches, err = v.checkRoot(root)
	if err != nil {
		return nil, err
	}
	if !v.report.RootMatches {
		v.report.UncheckedData = p.DataBlocks
		return &v.report, nil
	}
	for level := len(v.levels.Levels) - 1; level >= 0; level-- {
		if err := v.checkBelow(ctx, level); err != nil {
			return nil, err
		}
	}
	return &v.report, nil
}

// verifier is one run of Verify.
type verifier struct {
	data, hash *io.SectionReader
	params     Params
	levels     Geometry

	// bad has one bit for each hash block that must not be used to judge those
	// below it. The tree was found to fit into the hash area, so this is at
	// most 1/4096 of that.
	bad [][]atomic.Uint32

	mu     sync.Mutex // guards report
	report Report
}

func newVerifier(data, hash *io.SectionReader, p Params) (*verifier, error) {
	levels, err := p.Geometry()
	if err != nil {
		return nil, err
	}
	if data.Size() < p.DataSize() {
		return nil, fmt.Errorf("data has %d bytes, the tree is for %d: %w", data.Size(), p.DataSize(), fault.ErrCorrupt)
	}
	if hash.Size() < levels.Size {
		return nil, fmt.Errorf("hash area has %d bytes, its tree needs %d: %w", hash.Size(), levels.Size, fault.ErrCorrupt)
	}
	v := &verifier{data: data, hash: hash, params: p, levels: levels}
	for _, l := range levels.Levels {
		v.bad = append(v.bad, make([]atomic.Uint32, divideUp(l.Blocks, 32)))
	}
	return v, nil
}

func (v *verifier) markBad(level int, block int64) {
	v.bad[level][block/32].Or(1 << (block % 32))
}

func (v *verifier) isBad(level int, block int64) bool {
	return v.bad[level][block/32].Load()&(1<<(block%32)) != 0
}

func (v *verifier) found(f Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.add(f)
}

func (v *verifier) unchecked(n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.UncheckedData += n
}

// checkSuperblock looks at the reserved bytes of the superblock and of the rest
// of its block. No digest covers them.
func (v *verifier) checkSuperblock() error {
	if v.params.NoSuperblock {
		return nil
	}
	b := make([]byte, v.params.HashBlockSize)
	if _, err := pages.ReadFull(v.hash, b, 0); err != nil {
		return fmt.Errorf("read superblock: %w", err)
	}
	var s superblock
	if _, err := binary.Decode(b, binary.LittleEndian, &s); err != nil {
		panic("internal error: " + err.Error())
	}
	_, name, _ := bytes.Cut(s.Algorithm[:], []byte{0})
	salt := s.Salt[min(int(s.SaltSize), len(s.Salt)):]
	if !pages.Zero(name) || !pages.Zero(salt) || !pages.Zero(s.Reserved1[:]) || !pages.Zero(s.Reserved2[:]) || !pages.Zero(b[SuperblockSize:]) {
		v.found(Finding{Kind: BadSuperblock})
	}
	return nil
}

// checkRoot compares the root hash with the digest of the top block.
func (v *verifier) checkRoot(root []byte) (bool, error) {
	top := len(v.levels.Levels)
	r, offset, size := v.children(top)
	b := make([]byte, size)
	if _, err := pages.ReadFull(r, b, offset); err != nil {
		return false, fmt.Errorf("read top of hash tree: %w", err)
	}
	digest := newHasher(v.params, size).digest(make([]byte, maxDigest), b)
	if !bytes.Equal(digest, root) {
		return false, nil
	}
	if top > 0 {
		v.checkPadding(top-1, 0, b)
	}
	return true, nil
}

// children says where the blocks are whose digests a level holds: on the level
// below it, or in the data. The level above the top one holds the root hash.
func (v *verifier) children(level int) (r *io.SectionReader, offset int64, blockSize int) {
	if level == 0 {
		return v.data, 0, v.params.DataBlockSize
	}
	return v.hash, v.levels.Levels[level-1].Offset, v.params.HashBlockSize
}

// childCount is the number of blocks whose digests a level holds.
func (v *verifier) childCount(level int) int64 {
	if level == 0 {
		return v.params.DataBlocks
	}
	return v.levels.Levels[level-1].Blocks
}

// checkBelow checks all blocks whose digests a level holds. The level itself
// has been checked.
func (v *verifier) checkBelow(ctx context.Context, level int) error {
	_, _, size := v.children(level)
	count := v.childCount(level)
	// Both are powers of two, so a chunk never needs a second hash block.
	step := min(v.levels.PerBlock, chunkBlocks(size))
	return parallel(ctx, divideUp(count, step), func() func(int64) error {
		c := checker{
			verifier: v,
			level:    level,
			hasher:   newHasher(v.params, size),
			blocks:   make([]byte, min(step, count)*int64(size)),
			slots:    make([]byte, step*v.levels.Slot),
		}
		return func(i int64) error {
			return c.check(i*step, min(step, count-i*step))
		}
	})
}

// checker is what one goroutine needs to check the blocks below a level.
type checker struct {
	*verifier
	level         int
	hasher        *hasher
	blocks, slots []byte
}

// check checks the blocks from first on; their digests are in one hash block.
func (c *checker) check(first, count int64) error {
	if c.isBad(c.level, first/c.levels.PerBlock) {
		c.skip(first, count)
		return nil
	}
	slots := c.slots[:count*c.levels.Slot]
	if _, err := pages.ReadFull(c.hash, slots, c.levels.slot(c.params, c.level, first).Offset); err != nil {
		return fmt.Errorf("read hash tree: %w", err)
	}
	r, offset, size := c.children(c.level)
	blocks, err := readBlocks(r, c.blocks, offset+first*int64(size), count, size)
	if err != nil {
		return fmt.Errorf("read blocks %d-%d below level %d: %w", first, first+count, c.level, err)
	}
	var digest [maxDigest]byte
	for i := range count {
		block := blocks[i*int64(size):][:size]
		got := c.hasher.digest(digest[:], block)
		if bytes.Equal(got, slots[i*c.levels.Slot:][:len(got)]) {
			c.good(first+i, block)
		} else {
			c.mismatch(first+i, offset+(first+i)*int64(size))
		}
	}
	return nil
}

// good looks at the padding of a hash block with the right digest.
func (c *checker) good(number int64, block []byte) {
	if c.level > 0 {
		c.checkPadding(c.level-1, number, block)
	}
}

func (c *checker) mismatch(number, offset int64) {
	if c.level == 0 {
		c.found(Finding{Kind: BadData, Block: number, Offset: offset})
		return
	}
	c.markBad(c.level-1, number)
	c.found(Finding{Kind: BadHash, Level: c.level - 1, Block: number, Offset: offset})
}

// skip passes on that nothing vouches for these blocks.
func (c *checker) skip(first, count int64) {
	if c.level == 0 {
		c.unchecked(count)
		return
	}
	for i := range count {
		c.markBad(c.level-1, first+i)
	}
}

// checkPadding looks at the bytes of a hash block that hold no digest.
func (v *verifier) checkPadding(level int, number int64, block []byte) {
	digests := min(v.levels.PerBlock, v.childCount(level)-number*v.levels.PerBlock)
	size := int64(v.params.Algorithm.Size())
	clean := pages.Zero(block[digests*v.levels.Slot:])
	if v.levels.Slot > size {
		for i := range digests {
			clean = clean && pages.Zero(block[i*v.levels.Slot+size:(i+1)*v.levels.Slot])
		}
	}
	if !clean {
		v.found(Finding{
			Kind: BadPadding, Level: level, Block: number,
			Offset: v.levels.Levels[level].Offset + number*int64(v.params.HashBlockSize),
		})
	}
}
