package ext4

import (
	"container/list"
	"fmt"
	"sync"

	"sextant/internal/pages"
)

// cacheBytes bounds the memory for metadata blocks that are kept.
const cacheBytes = 2 << 20

// blockCache keeps the metadata blocks that were used last. A block that it
// gave out is never changed.
type blockCache struct {
	limit int

	mu     sync.Mutex
	blocks map[uint64]*list.Element
	recent *list.List // of cachedBlock, the last used first
}

type cachedBlock struct {
	number uint64
	bytes  []byte
}

func newBlockCache(limit int) *blockCache {
	return &blockCache{limit: limit, blocks: make(map[uint64]*list.Element), recent: list.New()}
}

func (c *blockCache) find(number uint64) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.blocks[number]
	if !ok {
		return nil, false
	}
	c.recent.MoveToFront(e)
	return e.Value.(cachedBlock).bytes, true
}

func (c *blockCache) put(number uint64, b []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.blocks[number]; ok {
		return
	}
	c.blocks[number] = c.recent.PushFront(cachedBlock{number, b})
	if c.recent.Len() > c.limit {
		last := c.recent.Back()
		delete(c.blocks, c.recent.Remove(last).(cachedBlock).number)
	}
}

// drop forgets a block, as another one is there now.
func (c *blockCache) drop(number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.blocks[number]; ok {
		delete(c.blocks, number)
		c.recent.Remove(e)
	}
}

// block returns a metadata block. The caller must not change it.
func (f *FS) block(number uint64) ([]byte, error) {
	if err := f.geo.BlockRange(number, 1); err != nil {
		return nil, err
	}
	if b, ok := f.changed[number]; ok {
		return b, nil
	}
	if b, ok := f.blocks.find(number); ok {
		return b, nil
	}
	b := make([]byte, f.geo.BlockSize)
	if _, err := pages.ReadFull(f.image, b, f.geo.Bytes(number, 1).Offset); err != nil {
		return nil, fmt.Errorf("read block %d: %w", number, err)
	}
	f.blocks.put(number, b)
	return b, nil
}
