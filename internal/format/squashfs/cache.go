package squashfs

import (
	"container/list"
	"sync"
)

// cache keeps unpacked blocks by where they start on disk, up to a number of
// bytes in all. What was not asked for longest goes first.
type cache struct {
	max int

	mu     sync.Mutex
	size   int
	blocks map[int64]*list.Element
	order  list.List // of *block, the last used first
}

// block is an unpacked block. Metadata is text, as names can then be parts of
// it; data is bytes.
type block struct {
	at   int64
	data []byte
	text string
	next int64 // where on disk the block behind it starts
}

func (b *block) size() int { return cap(b.data) + len(b.text) }

func newCache(max int) *cache {
	return &cache{max: max, blocks: make(map[int64]*list.Element)}
}

func (c *cache) find(at int64) (*block, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.blocks[at]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*block), true
}

func (c *cache) add(b *block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.blocks[b.at]; ok {
		return // another goroutine was faster
	}
	c.blocks[b.at] = c.order.PushFront(b)
	c.size += b.size()
	for c.size > c.max {
		oldest := c.order.Remove(c.order.Back()).(*block)
		delete(c.blocks, oldest.at)
		c.size -= oldest.size()
	}
}
