package fat

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"sextant/internal/pages"
)

// Values of an entry of the FAT, as of 32 bits. Those of 12 and 16 bits are
// widened to them.
const (
	entryFree  = 0
	entryBad   = 0x0FFFFFF7 // cluster that cannot be used
	entryLast  = 0x0FFFFFF8 // and above: the last of a chain
	entryEnd   = 0x0FFFFFFF // what is written for the last
	entryBits  = 0x0FFFFFFF // the upper four are reserved, and kept
	tailValues = 0x0FFFFFF0 // from here on values mean no cluster

	// flags in the entry of cluster 1, set in a volume that is in order
	clean16, noErrors16 = 0x8000, 0x4000
	clean32, noErrors32 = 0x08000000, 0x04000000
)

const (
	chunkSize = 24 << 10 // divisible by the 3 bytes of two entries of 12 bits
	chunksMax = 32
)

// table reads the FAT that counts, in chunks that it keeps some of.
type table struct {
	r   io.ReaderAt
	geo *Geometry

	mu     sync.Mutex
	chunks map[int64][]byte // by their number
	order  []int64          // of those, the oldest first
	last   int64            // number of the chunk that was used last
	hot    []byte           // that chunk, nil for none
}

func newTable(r io.ReaderAt, geo *Geometry) *table {
	return &table{r: r, geo: geo, chunks: make(map[int64][]byte)}
}

// place gives where an entry begins in the FAT. One of 12 bits begins at a byte
// or in its middle.
func (g *Geometry) place(cluster uint32) int64 { return int64(cluster) * int64(g.Bits) / 8 }

// entry returns the raw entry of a cluster, which must be below the end.
func (t *table) entry(cluster uint32) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.geo.place(cluster)
	chunk, err := t.chunk(at / chunkSize)
	if err != nil {
		return 0, fmt.Errorf("read FAT: %w", err)
	}
	b := chunk[at%chunkSize:]
	switch t.geo.Bits {
	case 12:
		return uint32(binary.LittleEndian.Uint16(b)) >> (cluster & 1 * 4) & 0xFFF, nil
	case 16:
		return uint32(binary.LittleEndian.Uint16(b)), nil
	}
	return binary.LittleEndian.Uint32(b), nil
}

// next returns what follows a cluster: the number of the next, entryFree,
// entryBad, or entryLast and above.
func (t *table) next(cluster uint32) (uint32, error) {
	raw, err := t.entry(cluster)
	return widen(raw, t.geo.Bits), err
}

// widen makes an entry one of 32 bits, without the reserved ones.
func widen(raw uint32, bits Bits) uint32 {
	if bits == 32 {
		return raw & entryBits
	}
	if special := uint32(1)<<bits - 16; raw >= special {
		return tailValues + raw - special
	}
	return raw
}

func (t *table) chunk(number int64) ([]byte, error) {
	if t.hot != nil && t.last == number {
		return t.hot, nil
	}
	b, ok := t.chunks[number]
	if !ok {
		at := number * chunkSize
		b = make([]byte, min(chunkSize, t.geo.FATSize-at))
		if _, err := pages.ReadFull(t.r, b, t.geo.FATStart+int64(t.geo.Active)*t.geo.FATSize+at); err != nil {
			return nil, err
		}
		if len(t.order) == chunksMax {
			delete(t.chunks, t.order[0])
			t.order = slices.Delete(t.order, 0, 1)
		}
		t.chunks[number] = b
		t.order = append(t.order, number)
	}
	t.last, t.hot = number, b
	return b, nil
}

// patch makes a change of the FAT known to a chunk that is kept.
func (t *table) patch(at int64, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range b {
		where := at + int64(i)
		if chunk, ok := t.chunks[where/chunkSize]; ok {
			chunk[where%chunkSize] = b[i]
		}
	}
}

// run is a row of clusters that follow each other on the volume.
type run struct {
	first, count uint32
}

// chain is a walk along the clusters of a file or directory. It notices a loop
// by a marker that it leaves behind at powers of two (Brent): a chain of any
// length takes no memory.
type chain struct {
	table  *table
	at     uint32 // the cluster, 0 at the end
	steps  uint32
	marker uint32
	until  uint32 // steps when the marker moves next
}

// walk begins a chain at its first cluster; 0 has none.
func (t *table) walk(first uint32) (*chain, error) {
	c := &chain{table: t, at: first, until: 1}
	if first != 0 && !t.geo.valid(first) {
		return nil, corrupt("begins at cluster %d of %d", first, t.geo.Clusters)
	}
	return c, nil
}

// advance goes to the next cluster.
func (c *chain) advance() error {
	n, err := c.table.next(c.at)
	switch {
	case err != nil:
		return err
	case n >= entryLast:
		c.at = 0
		return nil
	case n == entryFree:
		return corrupt("cluster %d is in use and marked as free", c.at)
	case !c.table.geo.valid(n):
		return corrupt("cluster %d leads to %#x of %d", c.at, n, c.table.geo.Clusters)
	}
	if c.steps++; c.steps == c.until {
		c.marker, c.until = c.at, 2*c.until
	}
	if n == c.marker || c.steps > c.table.geo.Clusters {
		return corrupt("clusters form a loop at %d", n)
	}
	c.at = n
	return nil
}

// runs gives the first count clusters of a chain.
func (t *table) runs(first uint32, count int64) ([]run, error) {
	c, err := t.walk(first)
	if err != nil {
		return nil, err
	}
	var list []run
	for n := range count {
		if c.at == 0 {
			return nil, corrupt("chain of %d clusters, %d are needed", n, count)
		}
		if last := len(list) - 1; last >= 0 && list[last].first+list[last].count == c.at {
			list[last].count++
		} else {
			list = append(list, run{c.at, 1})
		}
		if n+1 == count {
			break
		}
		if err := c.advance(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// all gives a whole chain, of at most limit clusters.
func (t *table) all(first uint32, limit int64) ([]uint32, error) {
	c, err := t.walk(first)
	if err != nil {
		return nil, err
	}
	var list []uint32
	for c.at != 0 {
		if int64(len(list)) == limit {
			return nil, corrupt("chain of more than %d clusters", limit)
		}
		list = append(list, c.at)
		if err := c.advance(); err != nil {
			return nil, err
		}
	}
	return list, nil
}
