// Package pages keeps those pages of a large table in memory that were used
// last, so that a table of any size takes the same little room.
//
// A page is any number of bytes of which each has its number: 4 KiB of a table in a
// file, or a cluster that was unpacked.
package pages

import (
	"container/list"
	"io"
	"maps"
	"slices"
	"sync"
)

// Cache holds up to a number of pages of one size. Goroutines may share it.
type Cache struct {
	size, limit int
	load, store func(number int64, page []byte) error

	mu    sync.Mutex
	pages map[int64]*list.Element
	order list.List // of *page, the last used first
}

type page struct {
	number  int64
	bytes   []byte
	changed bool
}

// New returns a cache of at most limit pages of size bytes each. Load fills a
// page, store writes one back; a cache whose pages nobody changes needs no
// store.
func New(size, limit int, load, store func(number int64, page []byte) error) *Cache {
	return &Cache{size: size, limit: max(1, limit), load: load, store: store, pages: make(map[int64]*list.Element)}
}

// OfFile returns a cache of limit pages of the first fileSize bytes of r, page
// n being the bytes from n*size on. What lies behind the end is zero.
func OfFile(r io.ReaderAt, fileSize int64, size, limit int) *Cache {
	return New(size, limit, func(number int64, page []byte) error {
		clear(page)
		offset := number * int64(size)
		if offset >= fileSize {
			return nil
		}
		_, err := ReadFull(r, page[:min(int64(size), fileSize-offset)], offset)
		return err
	}, nil)
}

// Use calls f with a page, whose bytes are valid until f returns and must not
// be changed.
func (c *Cache) Use(number int64, f func(page []byte)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.find(number)
	if err != nil {
		return err
	}
	f(p.bytes)
	return nil
}

// Change calls f with a page that f changes.
func (c *Cache) Change(number int64, f func(page []byte)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.find(number)
	if err != nil {
		return err
	}
	p.changed = true
	f(p.bytes)
	return nil
}

// Read copies bytes out of the pages, as if they lay one behind the other.
func (c *Cache) Read(b []byte, offset int64) error {
	for len(b) > 0 {
		number, within := offset/int64(c.size), int(offset%int64(c.size))
		n := 0
		err := c.Use(number, func(page []byte) { n = copy(b, page[within:]) })
		if err != nil {
			return err
		}
		b, offset = b[n:], offset+int64(n)
	}
	return nil
}

// Flush stores all changed pages, by ascending number.
func (c *Cache) Flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, number := range slices.Sorted(maps.Keys(c.pages)) {
		if err := c.write(c.pages[number].Value.(*page)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cache) write(p *page) error {
	if !p.changed {
		return nil
	}
	if err := c.store(p.number, p.bytes); err != nil {
		return err
	}
	p.changed = false
	return nil
}

func (c *Cache) find(number int64) (*page, error) {
	if e, ok := c.pages[number]; ok {
		c.order.MoveToFront(e)
		return e.Value.(*page), nil
	}
	p, err := c.room()
	if err != nil {
		return nil, err
	}
	p.number = number
	if err := c.load(number, p.bytes); err != nil {
		return nil, err
	}
	c.pages[number] = c.order.PushFront(p)
	return p, nil
}

// room returns a page that is in nobody's use: a new one, or the one that was
// not asked for longest.
func (c *Cache) room() (*page, error) {
	if c.order.Len() < c.limit {
		return &page{bytes: make([]byte, c.size)}, nil
	}
	oldest := c.order.Back()
	p := oldest.Value.(*page)
	if err := c.write(p); err != nil {
		return nil, err
	}
	c.order.Remove(oldest)
	delete(c.pages, p.number)
	return p, nil
}
