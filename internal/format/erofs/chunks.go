package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sextant/internal/span"
)

// maxChunkBits keeps chunks at 1 GiB: erofs-utils 1.5 computes their size in
// a C int, and 32-bit kernels in a long.
const maxChunkBits = 30

// chunkMap says which chunks of a file hold data. All others are holes.
type chunkMap struct {
	bits  uint8 // log2 of the chunk size
	count int64
	runs  []chunkRun // ascending
}

// chunkRun is a run of chunks that hold data, next to each other in the image.
type chunkRun struct {
	first, count int64
	block        uint32 // of the first chunk
}

// planChunks gives n a chunkMap if its holes make that smaller than storing
// it whole.
func (l *Layout) planChunks(n *node) error {
	if n.size <= l.blockSize() {
		return nil
	}
	extents := n.src.Content.Extents()
	if len(extents) == 1 && extents[0] == span.Between(0, n.size) {
		return nil
	}
	if err := checkExtents(extents, n.size); err != nil {
		return err
	}
	best, chunkBits := n.size, uint8(0)
	for b := l.bits; b <= maxChunkBits; b++ {
		if cost := chunkCost(extents, n.size, b, l.blockSize()); cost <= best {
			best, chunkBits = cost, b
		}
	}
	if chunkBits == 0 {
		return nil
	}
	n.chunks = newChunkMap(extents, n.size, chunkBits)
	return nil
}

func checkExtents(extents []span.Span, size int64) error {
	end := int64(0)
	for _, e := range extents {
		if err := e.Within(size); err != nil {
			return fmt.Errorf("data extent: %w", err)
		}
		if e.Offset < end || e.Length == 0 {
			return errors.New("data extents are not ascending")
		}
		end = e.End()
	}
	return nil
}

// chunkCost returns the bytes that table and data take with chunks of 1<<bits
// bytes. The last chunk takes no more blocks than the file has.
func chunkCost(extents []span.Span, size int64, bits uint8, blockSize int64) int64 {
	count := (size-1)>>bits + 1
	next, used := int64(0), int64(0) // first chunk not counted yet
	for _, e := range extents {
		first, end := max(next, e.Offset>>bits), (e.End()-1)>>bits+1
		if first < end {
			used += (end - first) << bits
			next = end
		}
	}
	if next == count {
		used -= count<<bits - span.AlignUp(size, blockSize)
	}
	return used + count*chunkEntrySize
}

func newChunkMap(extents []span.Span, size int64, bits uint8) *chunkMap {
	m := &chunkMap{bits: bits, count: (size-1)>>bits + 1}
	next := int64(0)
	for _, e := range extents {
		first, end := max(next, e.Offset>>bits), (e.End()-1)>>bits+1
		if first >= end {
			continue
		}
		if k := len(m.runs) - 1; k >= 0 && next == first {
			m.runs[k].count += end - first
		} else {
			m.runs = append(m.runs, chunkRun{first: first, count: end - first})
		}
		next = end
	}
	return m
}

// bytes returns the range of the file that run r holds, up to a whole block.
func (m *chunkMap) bytes(r chunkRun, size, blockSize int64) span.Span {
	start := r.first << m.bits
	return span.Between(start, min((r.first+r.count)<<m.bits, span.AlignUp(size, blockSize)))
}

// renderTable writes the entries from number first on to p.
func (m *chunkMap) renderTable(p []byte, first int64, blockBits uint8) {
	k := 0
	for i := first; len(p) > 0; i, p = i+1, p[chunkEntrySize:] {
		for k < len(m.runs) && m.runs[k].first+m.runs[k].count <= i {
			k++
		}
		block := uint32(nullBlock)
		if k < len(m.runs) && m.runs[k].first <= i {
			block = m.runs[k].block + uint32((i-m.runs[k].first)<<(m.bits-blockBits))
		}
		binary.LittleEndian.PutUint32(p, block)
	}
}
