package ext4

import (
	"cmp"
	"fmt"
	"slices"
)

// Blocks are given out first fit: where the caller wishes if that is free, else
// the first run that is long enough, in the group wished for or behind it. What
// is freed is not given out again before Commit, as until then it belongs to the
// file system on disk.

// readGroups notes the blocks that belong to the file system itself, so that no
// damaged bitmap or map makes a file of them. It sums up what is free: the
// kernel, too, does not rely on the superblock, which it updates last.
func (e *Editor) readGroups() error {
	f := e.fs
	var list []Run
	joinAt := 1 << 16
	var freeBlocks uint64
	var freeInodes uint32
	add := func(first, count uint64) {
		if count > 0 {
			list = append(list, Run{Physical: first, Length: count})
		}
	}
	for number := range f.geo.Groups {
		g, err := f.group(number)
		if err != nil {
			return err
		}
		head, reserved := f.geo.GroupHead(number)
		if f.super.FeatureCompat&CompatResizeInode != 0 {
			head -= reserved
		}
		add(f.geo.GroupStart(number), head)
		add(g.blockBitmap, 1)
		add(g.inodeBitmap, 1)
		add(g.inodeTable, f.geo.InodeTableBlocks())
		if len(list) > joinAt {
			list = joinRuns(list)
			joinAt = max(joinAt, 2*len(list))
		}
		freeBlocks += uint64(g.freeClusters)
		freeInodes += min(g.freeInodes, f.geo.InodesPerGroup)
	}
	e.system = joinRuns(list)
	before := f.super
	e.setFreeBlocks(freeBlocks)
	f.super.FreeInodes = freeInodes
	e.superChanged = f.super != before
	return nil
}

// joinRuns sorts runs by place and joins neighbours.
func joinRuns(list []Run) []Run {
	slices.SortFunc(list, func(a, b Run) int { return cmp.Compare(a.Physical, b.Physical) })
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && r.Physical <= out[n-1].Physical+out[n-1].Length {
			end := max(out[n-1].Physical+out[n-1].Length, r.Physical+r.Length)
			out[n-1].Length = end - out[n-1].Physical
			continue
		}
		out = append(out, r)
	}
	return out
}

// checkFileBlocks returns an error if a file would have blocks of the file
// system itself.
func (e *Editor) checkFileBlocks(first, count uint64) error {
	if err := e.fs.geo.BlockRange(first, count); err != nil {
		return err
	}
	i, _ := slices.BinarySearchFunc(e.system, first, func(r Run, n uint64) int {
		return cmp.Compare(r.Physical+r.Length, n+1)
	})
	if i < len(e.system) && e.system[i].Physical < first+count {
		return corrupt("blocks %d+%d of a file hold the file system's own structures", first, count)
	}
	return nil
}

// request is a wish for blocks.
type request struct {
	goal uint64 // best at this block
	next bool   // any number of blocks at goal is good: they go on with what is before
	want uint64 // so many in one piece
	end  uint64 // all before this block
}

// allocate marks blocks as used: at least one, at most as many as wanted.
func (e *Editor) allocate(r request) (first, count uint64, err error) {
	geo := e.fs.geo
	if r.end == 0 || r.end > geo.Blocks {
		r.end = geo.Blocks
	}
	if r.goal < geo.FirstDataBlock || r.goal >= r.end {
		r.goal = geo.FirstDataBlock
	}
	r.want = min(r.want, uint64(geo.ClustersPerGroup))
	if first, count, err = e.findAtGoal(r); err == nil && count == 0 {
		first, count, err = e.findFree(r)
	}
	if err != nil {
		return 0, 0, err
	}
	if count == 0 {
		return 0, 0, ErrFull
	}
	if err := e.checkFileBlocks(first, count); err != nil {
		return 0, 0, fmt.Errorf("block bitmap: %w", err)
	}
	return first, count, e.mark(first, count)
}

// findAtGoal looks at the blocks wished for.
func (e *Editor) findAtGoal(r request) (first, count uint64, err error) {
	number := uint32(e.fs.geo.Cluster(r.goal) / uint64(e.fs.geo.ClustersPerGroup))
	busy, end, err := e.busy(number, r.end)
	if err != nil || busy == nil {
		return 0, 0, err
	}
	at := uint32(r.goal - e.fs.geo.GroupStart(number))
	length := uint64(nextBit(busy, at, min(end, at+uint32(r.want)), true) - at)
	if length == r.want || r.next {
		return r.goal, length, nil
	}
	return 0, 0, nil
}

// findFree looks for a run that is long enough, else for the longest.
func (e *Editor) findFree(r request) (first, count uint64, err error) {
	geo := e.fs.geo
	start := uint32(geo.Cluster(r.goal) / uint64(geo.ClustersPerGroup))
	need := min(uint32(r.want), e.longest)
	for i := range geo.Groups {
		number := (start + i) % geo.Groups
		busy, end, err := e.busy(number, r.end)
		if err != nil {
			return 0, 0, err
		}
		at, length := findRun(busy, end, need)
		if uint64(length) > count {
			first, count = geo.GroupStart(number)+uint64(at), uint64(length)
		}
		if length >= need && length > 0 {
			return first, min(count, r.want), nil
		}
	}
	if r.end == geo.Blocks {
		e.longest = uint32(count)
	}
	return first, min(count, r.want), nil
}

// findRun returns the first run of need clear bits or more, or else the longest
// run. A run that is long enough is not followed to its end.
func findRun(busy []byte, end, need uint32) (at, length uint32) {
	for n := uint32(0); n < end; {
		n = nextBit(busy, n, end, false)
		stop := nextBit(busy, n, end, true)
		if stop-n > length {
			at, length = n, stop-n
		}
		if length >= need {
			break
		}
		n = stop
	}
	return at, length
}

// busy returns the bits of a group's blocks that cannot be given out, and how
// many bits count; nil if there is no free one.
func (e *Editor) busy(number uint32, end uint64) ([]byte, uint32, error) {
	geo := e.fs.geo
	start := geo.GroupStart(number)
	if start >= end {
		return nil, 0, nil
	}
	g, err := e.peekGroup(number)
	if err != nil || g.freeClusters == 0 {
		return nil, 0, err
	}
	b, err := e.blockBitmap(g)
	if err != nil {
		return nil, 0, err
	}
	if g.committed != nil {
		b = slices.Clone(b)
		for i := range b {
			b[i] |= g.committed[i]
		}
	}
	return b, uint32(min(geo.GroupBlocks(number), end-start)), nil
}

// peekGroup returns a group that may or may not change.
func (e *Editor) peekGroup(number uint32) (*groupEdit, error) {
	if g := e.groups[number]; g != nil {
		return g, nil
	}
	g, err := e.fs.group(number)
	return &groupEdit{group: g}, err
}

// mark sets the bits of blocks of one group that are free.
func (e *Editor) mark(first, count uint64) error {
	geo := e.fs.geo
	g, err := e.groupFor(uint32(geo.Cluster(first) / uint64(geo.ClustersPerGroup)))
	if err != nil {
		return err
	}
	b, err := e.changeBlocks(g)
	if err != nil {
		return err
	}
	sb := &e.fs.super
	free := sb.blocks(sb.FreeBlocksHi, sb.FreeBlocksLo)
	if uint64(g.freeClusters) < count || free < count {
		return corrupt("group %d: more free blocks in the bitmap than the descriptor or the superblock say", g.number)
	}
	setBits(b, uint32(first-geo.GroupStart(g.number)), uint32(count), true)
	g.freeClusters -= uint32(count)
	e.setFreeBlocks(free - count)
	return nil
}

func (e *Editor) setFreeBlocks(free uint64) {
	sb := &e.fs.super
	hi, lo := split(free)
	sb.FreeBlocksLo = lo
	if sb.FeatureIncompat&Incompat64Bit != 0 {
		sb.FreeBlocksHi = hi
	}
}

// release frees blocks of a file.
func (e *Editor) release(first, count uint64) error {
	if err := e.checkFileBlocks(first, count); err != nil {
		return err
	}
	e.forget(first, count)
	geo := e.fs.geo
	for count > 0 {
		number := uint32(geo.Cluster(first) / uint64(geo.ClustersPerGroup))
		n := min(count, geo.GroupStart(number)+geo.BlocksPerGroup-first)
		if err := e.releaseIn(number, first, n); err != nil {
			return err
		}
		first, count = first+n, count-n
	}
	return nil
}

// releaseIn frees blocks of one group.
func (e *Editor) releaseIn(number uint32, first, count uint64) error {
	g, err := e.groupFor(number)
	if err != nil {
		return err
	}
	b, err := e.changeBlocks(g)
	if err != nil {
		return err
	}
	at, n := uint32(first-e.fs.geo.GroupStart(number)), uint32(count)
	if free := nextBit(b, at, at+n, false); free < at+n {
		return corrupt("block %d of a file is marked as free", first+uint64(free-at))
	}
	setBits(b, at, n, false)
	g.freeClusters += n
	sb := &e.fs.super
	e.setFreeBlocks(sb.blocks(sb.FreeBlocksHi, sb.FreeBlocksLo) + count)
	for i := at; i < at+n; i++ {
		if bit(g.committed, i) {
			e.waiting++
		}
	}
	return nil
}
