package fat

import "fmt"

// place is where the entries of a new name go.
type place struct {
	dir   *directory
	short ShortName
	long  []LongEntry
	slot  int
	end   int   // slot of the end mark
	grow  int64 // clusters that the directory lacks
}

func (p *place) slots() int { return len(p.long) + 1 }

// room finds a short name for a new one, and entries in a row that are free.
func (e *Editor) room(dir *node, name string) (*place, error) {
	d, err := e.fs.readBytes(dir)
	if err != nil {
		return nil, err
	}
	list := e.fs.scan(d, dir.first)
	names := make(map[ShortName]bool, len(list.nodes))
	for _, n := range list.nodes {
		names[n.entry.Name] = true
	}
	short, alone, err := alias(name, func(s ShortName) bool { return names[s] })
	if err != nil {
		return nil, err
	}
	p := &place{dir: d, short: short, end: list.end}
	if !alone {
		p.long = longEntries(name, short)
	}
	p.slot = freeSlots(d.bytes, list.end, p.slots())
	total := len(d.bytes) / DirEntrySize
	lacking := int64(p.slot+p.slots()-total) * DirEntrySize
	switch {
	case lacking <= 0:
		return p, nil
	case d.fixed:
		return nil, fmt.Errorf("root directory has %d entries and cannot grow: %w", total, ErrFull)
	}
	p.grow = e.fs.geo.clustersFor(lacking)
	if int64(len(d.bytes))+p.grow*e.fs.geo.ClusterSize > max(dirMax, e.fs.geo.ClusterSize) {
		return nil, fmt.Errorf("directory has %d entries, FAT has at most %d: %w", total, dirMax/DirEntrySize, ErrFull)
	}
	return p, nil
}

// freeSlots finds count free entries in a row. They may reach behind the end of
// the directory.
func freeSlots(b []byte, end, count int) int {
	start := 0
	for slot := range end {
		if b[slot*DirEntrySize] != markDeleted {
			start = slot + 1
		} else if slot+1-start == count {
			return start
		}
	}
	return start
}

// growDir appends clusters of zeros to a directory.
func (e *Editor) growDir(p *place, runs []run) error {
	for _, r := range runs {
		for n := range r.count {
			at := e.fs.geo.ClusterSpan(r.first+n, 1)
			if err := e.over.write(make([]byte, at.Length), at.Offset); err != nil {
				return e.fail(err)
			}
			p.dir.clusters = append(p.dir.clusters, r.first+n)
			p.dir.bytes = append(p.dir.bytes, make([]byte, at.Length)...)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	if err := e.link(runs); err != nil {
		return err
	}
	last := len(p.dir.clusters) - 1
	for _, r := range runs {
		last -= int(r.count)
	}
	return e.setEntry(p.dir.clusters[last], runs[0].first)
}

// enter writes the entries of a new name.
func (e *Editor) enter(p *place, entry DirEntry) error {
	var entries [][]byte
	for _, l := range p.long {
		entries = append(entries, encode(l))
	}
	entries = append(entries, encode(entry))
	behind := p.slot + len(entries)
	if behind > p.end && behind < len(p.dir.bytes)/DirEntrySize {
		// What lies behind the end mark means nothing and need not be zero.
		entries = append(entries, make([]byte, DirEntrySize))
	}
	for n, b := range entries {
		if err := e.over.write(b, e.fs.geo.slotOffset(p.dir, p.slot+n)); err != nil {
			return e.fail(err)
		}
	}
	e.changed = true
	return nil
}

// rewrite changes the entry of a file.
func (e *Editor) rewrite(n *node, entry DirEntry) error {
	return e.eachSlot(n, func(at int64, last bool) error {
		if !last {
			return nil
		}
		return e.over.write(encode(entry), at)
	})
}

// erase marks the entries of a file as deleted.
func (e *Editor) erase(n *node) error {
	return e.eachSlot(n, func(at int64, _ bool) error {
		return e.over.write([]byte{markDeleted}, at)
	})
}

// eachSlot calls change with the place of each entry of a file, the short one
// last.
func (e *Editor) eachSlot(n *node, change func(at int64, last bool) error) error {
	d, err := e.fs.readBytes(&node{root: n.dir == e.fs.geo.RootCluster, first: n.dir})
	if err != nil {
		return e.fail(err)
	}
	e.changed = true
	for i := range n.slots {
		if err := change(e.fs.geo.slotOffset(d, n.slot+i), i == n.slots-1); err != nil {
			return e.fail(err)
		}
	}
	return nil
}
