package verity

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// ReadWriterAt is where a Builder puts the hash area. Concurrent calls for
// bytes that do not overlap must be possible, as with *os.File.
type ReadWriterAt interface {
	io.ReaderAt
	io.WriterAt
}

// Builder builds the hash area for data that comes in any order. Its memory is
// a few buffers per goroutine, whatever the size of the data.
type Builder struct {
	hash    ReadWriterAt
	params  Params
	levels  Geometry
	added   atomic.Int64
	single  [maxDigest]byte // digest of the only block of data without a tree
	workers sync.Pool       // of *worker
}

// worker is what one goroutine needs to hash data blocks.
type worker struct {
	hasher *hasher
	slots  []byte // digests on their way; the gaps between them stay zero
}

// slotsSize is the number of bytes of digests that are written at once.
const slotsSize = 32 << 10

// NewBuilder returns a Builder that writes to hash, whose first byte is the
// beginning of the hash area. See Params.Geometry for its size. It only builds
// trees of hash type Normal.
func NewBuilder(hash ReadWriterAt, p Params) (*Builder, error) {
	if p.HashType != Normal {
		return nil, fmt.Errorf("build a tree of hash type %s", p.HashType)
	}
	levels, err := p.Geometry()
	if err != nil {
		return nil, err
	}
	b := &Builder{hash: hash, params: p, levels: levels}
	b.workers.New = func() any { return b.newWorker(p.DataBlockSize) }
	return b, nil
}

func (b *Builder) newWorker(blockSize int) *worker {
	return &worker{
		hasher: newHasher(b.params, blockSize),
		slots:  make([]byte, slotsSize),
	}
}

// Add takes the data blocks from number first on: a whole number of blocks,
// each of which must come once, in any order. It does not keep data. Add may
// be called by many goroutines at the same time.
func (b *Builder) Add(first int64, data []byte) error {
	w := b.workers.Get().(*worker)
	defer b.workers.Put(w)
	return b.add(w, first, data)
}

func (b *Builder) add(w *worker, first int64, data []byte) error {
	count := int64(len(data) / b.params.DataBlockSize)
	if len(data)%b.params.DataBlockSize != 0 {
		return fmt.Errorf("%d bytes are not a whole number of data blocks", len(data))
	}
	if first < 0 || count > b.params.DataBlocks || first > b.params.DataBlocks-count {
		return fmt.Errorf("data blocks %d-%d of %d", first, first+count, b.params.DataBlocks)
	}
	if err := b.put(w, 0, first, data, b.params.DataBlockSize); err != nil {
		return err
	}
	b.added.Add(count)
	return nil
}

// put writes the digests of blocks to their place on a level. The first block
// has the number first among the blocks below that level.
func (b *Builder) put(w *worker, level int, first int64, blocks []byte, blockSize int) error {
	if level == len(b.levels.Levels) {
		w.hasher.digest(b.single[:], blocks)
		return nil
	}
	slot := int(b.levels.Slot)
	for len(blocks) > 0 {
		n := min(len(w.slots)/slot, len(blocks)/blockSize)
		for i := range n {
			w.hasher.digest(w.slots[i*slot:], blocks[i*blockSize:][:blockSize])
		}
		at := b.levels.slot(b.params, level, first)
		if _, err := b.hash.WriteAt(w.slots[:n*slot], at.Offset); err != nil {
			return fmt.Errorf("write hash tree: %w", err)
		}
		first, blocks = first+int64(n), blocks[n*blockSize:]
	}
	return nil
}

// Finish builds the upper levels, writes the superblock and returns the root
// hash. All data blocks must have been added.
func (b *Builder) Finish(ctx context.Context) ([]byte, error) {
	if added := b.added.Load(); added != b.params.DataBlocks {
		return nil, fmt.Errorf("%d data blocks were added, not %d", added, b.params.DataBlocks)
	}
	below := b.params.DataBlocks
	for level, l := range b.levels.Levels {
		if err := b.pad(level, below); err != nil {
			return nil, err
		}
		if err := b.raise(ctx, level); err != nil {
			return nil, err
		}
		below = l.Blocks
	}
	if !b.params.NoSuperblock {
		if _, err := b.hash.WriteAt(b.params.superblockBlock(), 0); err != nil {
			return nil, fmt.Errorf("write superblock: %w", err)
		}
	}
	return b.single[:b.params.Algorithm.Size()], nil
}

// pad fills the part of a level's last block behind the last digest.
func (b *Builder) pad(level int, digests int64) error {
	start := b.levels.slot(b.params, level, digests-1).End()
	l := b.levels.Levels[level]
	end := l.Offset + l.Blocks*int64(b.params.HashBlockSize)
	if _, err := b.hash.WriteAt(make([]byte, end-start), start); err != nil {
		return fmt.Errorf("write hash tree: %w", err)
	}
	return nil
}

// raise hashes the blocks of a level into the level above, or into the root
// hash.
func (b *Builder) raise(ctx context.Context, level int) error {
	l, size := b.levels.Levels[level], b.params.HashBlockSize
	step := chunkBlocks(size)
	return parallel(ctx, divideUp(l.Blocks, step), func() func(int64) error {
		w := b.newWorker(size)
		buf := make([]byte, min(step, l.Blocks)*int64(size))
		return func(i int64) error {
			first := i * step
			blocks, err := readBlocks(b.hash, buf, l.Offset+first*int64(size), min(step, l.Blocks-first), size)
			if err != nil {
				return fmt.Errorf("read hash tree: %w", err)
			}
			return b.put(w, level+1, first, blocks, size)
		}
	})
}

// Build reads data, whose size p gives, writes the hash area and returns the
// root hash.
func Build(ctx context.Context, hash ReadWriterAt, data io.ReaderAt, p Params) ([]byte, error) {
	b, err := NewBuilder(hash, p)
	if err != nil {
		return nil, err
	}
	size := p.DataBlockSize
	step := chunkBlocks(size)
	err = parallel(ctx, divideUp(p.DataBlocks, step), func() func(int64) error {
		w := b.newWorker(size)
		buf := make([]byte, min(step, p.DataBlocks)*int64(size))
		return func(i int64) error {
			first := i * step
			blocks, err := readBlocks(data, buf, first*int64(size), min(step, p.DataBlocks-first), size)
			if err != nil {
				return fmt.Errorf("read data: %w", err)
			}
			return b.add(w, first, blocks)
		}
	})
	if err != nil {
		return nil, err
	}
	return b.Finish(ctx)
}
