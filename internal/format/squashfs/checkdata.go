package squashfs

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
)

// found is a data or fragment block that an inode or the fragment table leads
// to.
type found struct {
	stored
	want  int64 // unpacked bytes, -1 for a fragment block
	inode uint32
	tail  *tail // of a fragment block
}

// tail is what files need of a fragment block.
type tail struct {
	end   int64 // of what they need
	inode uint32
}

// note keeps a block for later. Files with the same content share blocks.
func (c *check) note(s stored, want int64, inode uint32) error {
	before, ok := c.blocks[s.at]
	if !ok {
		if len(c.blocks) >= maxEntries {
			return tooMany()
		}
		c.blocks[s.at] = &found{stored: s, want: want, inode: inode}
		return nil
	}
	if before.size != s.size || before.want != want {
		c.harmless(PlaceData, nil, "inodes %d and %d disagree about the block at %d", before.inode, inode, s.at)
		// What the first said is looked at later, what this says now.
		w := worker{check: c}
		w.unpack(&found{stored: s, want: want, inode: inode})
	}
	return nil
}

// tail keeps what a file needs of a fragment.
func (c *check) tail(fragment uint32, end int64, inode uint32) {
	t := c.tails[fragment]
	if t == nil {
		t = &tail{}
		c.tails[fragment] = t
	}
	if end > t.end {
		*t = tail{end, inode}
	}
}

// fragments reads the fragment table.
func (c *check) fragments() {
	if c.fs.fragments.count == 0 {
		return
	}
	cur, err := c.fs.seek(&c.fs.fragments, 0)
	for i := int64(0); err == nil && i < c.fs.fragments.count && !c.stop(); i++ {
		var s stored
		if s, err = cur.fragment(c.fs); err != nil {
			err = fmt.Errorf("fragment %d: %w", i, err)
			break
		}
		f := &found{stored: s, want: -1, tail: c.tails[uint32(i)]}
		if _, twice := c.blocks[s.at]; twice {
			c.harmless(PlaceFragments, nil, "fragment %d at %d is a data block too", i, s.at)
		}
		if len(c.blocks) >= maxEntries {
			err = tooMany()
			break
		}
		c.blocks[s.at] = f
	}
	if err != nil {
		c.report(PlaceFragments, nil, err)
	}
}

// data unpacks all blocks in the order in which they lie on disk.
func (c *check) data() {
	list := slices.SortedFunc(maps.Values(c.blocks), func(a, b *found) int { return cmp.Compare(a.at, b.at) })
	jobs := make(chan *found)
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			w := worker{check: c}
			for f := range jobs {
				w.unpack(f)
			}
		})
	}
	end := int64(superblockSize)
	for _, f := range list {
		if c.stop() {
			break
		}
		if f.at < end {
			c.harmless(PlaceData, nil, "block at %d lies in another one that ends at %d", f.at, end)
		}
		if f.at+f.length() > c.fs.inodes.Offset {
			c.harmless(PlaceData, nil, "block at %d lies in the inode table", f.at)
		}
		end = max(end, f.at+f.length())
		jobs <- f
	}
	close(jobs)
	wait.Wait()
}

// worker has room for one block as it is on disk and one unpacked.
type worker struct {
	*check
	packed, room []byte
}

func (w *worker) unpack(f *found) {
	if w.room == nil {
		w.room = make([]byte, 0, w.fs.super.BlockSize)
		w.packed = make([]byte, w.fs.super.BlockSize)
	}
	b, err := w.fs.data(w.room, w.packed, f.stored)
	size := int64(len(b))
	switch {
	case err != nil:
		err = fmt.Errorf("block at %d: %w", f.at, err)
	case f.want >= 0 && size != f.want:
		err = corrupt("block at %d of inode %d unpacks to %d bytes, not %d", f.at, f.inode, size, f.want)
	case f.tail != nil && size < f.tail.end:
		err = corrupt("fragment block at %d unpacks to %d bytes, inode %d needs %d", f.at, size, f.tail.inode, f.tail.end)
	}
	if err != nil {
		w.report(PlaceData, w.pathOfInode(f), err)
	}
}

// pathOfInode returns a path of a file that needs the block.
func (c *check) pathOfInode(f *found) *trail {
	number := f.inode
	if f.tail != nil {
		number = f.tail.inode
	}
	for _, s := range c.seen {
		if s.number == number {
			return s.path
		}
	}
	return nil
}
