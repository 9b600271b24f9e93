package erofs

import (
	"cmp"
	"fmt"
	"slices"

	"sextant/internal/span"
)

const (
	// rootAt is the offset of the root inode, right behind the superblock. Its
	// number must fit into SuperBlock.RootNID's 16 bits.
	rootAt = SuperBlockOffset + superBlockSize

	// segment is the unit that an image is rendered in. Groups are made to end
	// with one, so that a file's tail and data are mostly read together. A
	// multiple of it is as good.
	segment = 512 << 10

	// bigData is the size from which a file's data is put behind all others of
	// its group: it spans segments anyhow.
	bigData = segment / 4
)

// placer gives inodes and data their places. It collects nodes into groups of
// about one segment, and lays out each group as
//
//	inodes with their tails | directory blocks | data of small files | data of big files
//
// Inodes are sorted by size and each goes where it leaves the least room, so
// the blocks of inodes are nearly full.
type placer struct {
	*Layout
	end    int64   // of all that has its place; a multiple of the block size
	group  []int32 // nodes that wait for their place
	weight int64   // of the group, big data left out
	limit  int64   // of weight
	bins   []bin   // blocks of the group before that have room
	err    error
}

// bin is the unused end of a block of inodes.
type bin struct {
	at, free int64
}

func (l *Layout) place() error {
	p := placer{Layout: l}
	p.placeRoot()
	for i := range l.nodes[1:] {
		p.add(int32(i + 1))
	}
	p.flush()
	if p.err != nil {
		return p.err
	}
	l.size = p.end
	l.records = make([]int32, len(l.nodes))
	for i := range l.records {
		l.records[i] = int32(i)
	}
	slices.SortFunc(l.records, func(a, b int32) int {
		return cmp.Compare(l.nodes[a].at, l.nodes[b].at)
	})
	return nil
}

// maxSize returns the length of the largest image. The last number of a block
// stands for holes.
func (l *Layout) maxSize() int64 { return int64(nullBlock) << l.bits }

// placeRoot puts the root behind the superblock, the root's data and the
// shared xattrs into the blocks behind that, and makes what is left of these
// blocks room for the first group.
func (p *placer) placeRoot() {
	root := &p.nodes[0]
	root.at = rootAt
	p.reserve(rootAt + p.recordSize(root))
	p.placeData(0)
	if len(p.shared) > 0 {
		p.sharedAt = p.end
		p.reserve(int64(len(p.shared)))
	}
	p.limit = segment
}

// reserve moves the end by size bytes, and makes the rest of the last block
// room for inodes.
func (p *placer) reserve(size int64) {
	start := p.end
	p.grow(0, p.alignUp(size))
	at := min(slotAlign(start+size), p.end)
	p.bins = append(p.bins, bin{at: at, free: p.end - at})
}

// add puts node i into the group, after closing it if i is too much for it.
func (p *placer) add(i int32) {
	n := &p.nodes[i]
	weight := slotAlign(p.recordSize(n))
	if !p.isBigData(n) {
		weight += p.dataSize(n)
	}
	if p.weight > 0 && p.weight+weight > p.limit {
		p.flush()
	}
	p.group = append(p.group, i)
	p.weight += weight
}

// flush places the group.
func (p *placer) flush() {
	p.placeInodes()
	for _, phase := range []func(*node) bool{isDirNode, p.isSmallData, p.isBigData} {
		for _, i := range p.group {
			if phase(&p.nodes[i]) {
				p.placeData(i)
			}
		}
	}
	p.group, p.weight = p.group[:0], 0
	p.limit = segment - p.end%segment
	if p.limit < bigData {
		p.limit += segment
	}
}

func isDirNode(n *node) bool { return n.src.Mode.IsDir() }

func (p *placer) isSmallData(n *node) bool { return !isDirNode(n) && !p.isBigData(n) }

func (p *placer) isBigData(n *node) bool {
	return !isDirNode(n) && (n.chunks != nil || p.dataSize(n) >= bigData)
}

// placeInodes gives the inodes of the group their places, the largest first.
// What the group before left in another segment goes only to inodes that need
// no file to be opened.
func (p *placer) placeInodes() {
	order := slices.Clone(p.group)
	slices.SortStableFunc(order, func(a, b int32) int {
		return cmp.Compare(p.recordSize(&p.nodes[b]), p.recordSize(&p.nodes[a]))
	})
	isOld := func(b bin) bool { return b.at/segment < p.end/segment }
	var old []bin
	for _, b := range p.bins {
		if isOld(b) {
			old = append(old, b)
		}
	}
	p.bins = slices.DeleteFunc(p.bins, isOld)
	for _, i := range order {
		n := &p.nodes[i]
		size := slotAlign(p.recordSize(n))
		switch {
		case size <= p.blockSize() && !p.hasFileTail(n) && fill(old, n, size):
		case size <= p.blockSize() && fill(p.bins, n, size):
		default:
			n.at = p.end
			p.grow(i, p.alignUp(size))
			p.bins = append(p.bins, bin{at: n.at + size, free: p.end - n.at - size})
		}
	}
}

func (p *placer) hasFileTail(n *node) bool { return n.src.Mode.IsRegular() && n.layout == FlatInline }

// fill places n into the bin that it leaves the least room in.
func fill(bins []bin, n *node, size int64) bool {
	best := -1
	for k, b := range bins {
		if b.free >= size && (best < 0 || b.free < bins[best].free) {
			best = k
		}
	}
	if best < 0 {
		return false
	}
	n.at = bins[best].at
	bins[best].at += size
	bins[best].free -= size
	return true
}

// placeData gives the data blocks of node i their places.
func (p *placer) placeData(i int32) {
	n := &p.nodes[i]
	if n.chunks == nil {
		if size := p.dataSize(n); size > 0 {
			n.data = p.end
			p.extend(i, span.Between(0, size))
		}
		return
	}
	for k := range n.chunks.runs {
		r := &n.chunks.runs[k]
		r.block = uint32(p.end >> p.bits)
		p.extend(i, n.chunks.bytes(*r, n.size, p.blockSize()))
	}
}

func (p *placer) extend(i int32, data span.Span) {
	p.extents = append(p.extents, extent{at: p.end, length: data.Length, from: data.Offset, node: i})
	p.grow(i, data.Length)
}

// grow moves the end by size bytes for node i, unless that is more than block
// numbers can say.
func (p *placer) grow(i int32, size int64) {
	switch {
	case p.err != nil:
	case size > p.maxSize()-p.end:
		p.err = fmt.Errorf("%s: does not fit into the %d bytes that an image with blocks of %d bytes can have",
			p.origin(i), p.maxSize(), p.blockSize())
	default:
		p.end += size
	}
}

func slotAlign(n int64) int64 { return span.AlignUp(n, SlotSize) }
