package verity

import (
	"bytes"
	"context"
	"hash"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"sextant/internal/pages"
)

// hasher computes salted digests for one goroutine at a time.
//
// Writing salt and block to a hash that is reset for each block was measured
// against a cloned or unmarshalled state after the salt and against one buffer
// with both: all give the same 1.69 GB/s per core for sha256 on 4096 bytes, as
// the salt costs half a round of 65 and nothing else is in the way.
type hasher struct {
	state     hash.Hash
	salt      []byte
	saltFirst bool

	// zeros is a block of zeros and zeroDigest its digest. Images have many.
	zeros      []byte
	zeroDigest []byte
}

// newHasher returns a hasher for blocks of blockSize bytes. The parameters must
// be valid.
func newHasher(p Params, blockSize int) *hasher {
	state, err := p.Algorithm.new()
	if err != nil {
		panic("internal error: " + err.Error())
	}
	h := &hasher{state: state, salt: p.Salt, saltFirst: p.HashType == Normal}
	zeros := make([]byte, blockSize)
	h.zeroDigest = h.digest(make([]byte, maxDigest), zeros)
	h.zeros = zeros
	return h
}

// digest puts the digest of a block at the beginning of dst and returns it.
func (h *hasher) digest(dst, block []byte) []byte {
	// bytes.Equal stops at the first difference, so this costs nothing for
	// other blocks, and for one of zeros a tenth of the digest.
	if bytes.Equal(block, h.zeros) {
		return dst[:copy(dst, h.zeroDigest)]
	}
	h.state.Reset()
	if h.saltFirst {
		h.state.Write(h.salt)
	}
	h.state.Write(block)
	if !h.saltFirst {
		h.state.Write(h.salt)
	}
	return h.state.Sum(dst[:0])
}

// parallel calls do for the numbers from 0 to n-1 on all processors, until one
// call gives an error, which it returns. Each goroutine calls its own do, made
// by newDo, which can hold buffers.
func parallel(ctx context.Context, n int64, newDo func() func(i int64) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(int64(runtime.GOMAXPROCS(0)), n) {
		group.Go(func() {
			do := newDo()
			for i := next.Add(1) - 1; i < n && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := do(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// chunkSize is about how many bytes one step of a goroutine reads: enough that
// system calls do not count, and little enough to stay in the cache between
// reading and hashing.
const chunkSize = 256 << 10

// chunkBlocks is the number of blocks in a chunk, a power of two.
func chunkBlocks(blockSize int) int64 { return max(1, chunkSize/int64(blockSize)) }

// divideUp returns the number of chunks of the given size in n.
func divideUp(n, by int64) int64 { return (n-1)/by + 1 }

// readBlocks fills buf with count blocks from a position and returns them.
func readBlocks(r io.ReaderAt, buf []byte, offset, count int64, blockSize int) ([]byte, error) {
	b := buf[:count*int64(blockSize)]
	_, err := pages.ReadFull(r, b, offset)
	return b, err
}
