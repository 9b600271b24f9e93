package fat

import (
	"encoding/binary"
	"fmt"

	"sextant/internal/pages"
)

// find looks for free clusters, from where the last search ended. Those that
// were in use on the disk do not count, even if they are free now.
func (e *Editor) find(count int64) ([]run, error) {
	if count > int64(e.free) {
		size := e.fs.geo.ClusterSize
		return nil, fmt.Errorf("%d bytes are needed, %d are free: %w", count*size, e.Free(), ErrFull)
	}
	var list []run
	at := e.next
	looked := uint32(0)
	for left := count; left > 0; at++ {
		if looked++; looked > e.fs.geo.Clusters+1 {
			panic("internal error: fewer clusters are free than were counted")
		}
		if at >= e.fs.geo.end() {
			at = firstCluster
		}
		usable, err := e.usable(at)
		if err != nil {
			return nil, err
		}
		if !usable {
			continue
		}
		left--
		if last := len(list) - 1; last >= 0 && list[last].first+list[last].count == at {
			list[last].count++
		} else {
			list = append(list, run{at, 1})
		}
	}
	return list, nil
}

func (e *Editor) usable(cluster uint32) (bool, error) {
	now, err := e.fs.table.next(cluster)
	if err != nil || now != entryFree {
		return false, err
	}
	before, err := e.original.next(cluster)
	return before == entryFree, err
}

// cut divides clusters into the first count and the others.
func cut(runs []run, count int64) (first, rest []run) {
	for i, r := range runs {
		if int64(r.count) > count {
			rest = append([]run{{r.first + uint32(count), r.count - uint32(count)}}, runs[i+1:]...)
			if count > 0 {
				first = append(first, run{r.first, uint32(count)})
			}
			return first, rest
		}
		first = append(first, r)
		count -= int64(r.count)
	}
	return first, nil
}

// link makes clusters that find returned a chain.
func (e *Editor) link(runs []run) error {
	for i, r := range runs {
		for n := range r.count {
			next := r.first + n + 1
			switch {
			case n+1 < r.count:
			case i+1 < len(runs):
				next = runs[i+1].first
			default:
				next = entryEnd
			}
			if err := e.setEntry(r.first+n, next); err != nil {
				return err
			}
		}
		e.free -= r.count
		e.next = r.first + r.count
	}
	return nil
}

// release frees a chain. Clusters that it had on the disk too are held back
// until Commit.
func (e *Editor) release(first uint32) error {
	c, err := e.fs.table.walk(first)
	for err == nil && c.at != 0 {
		cluster := c.at
		if err = c.advance(); err == nil {
			err = e.freeCluster(cluster)
		}
	}
	return e.fail(err)
}

func (e *Editor) freeCluster(cluster uint32) error {
	before, err := e.original.next(cluster)
	if err != nil {
		return err
	}
	if before == entryFree {
		e.free++
	} else {
		e.held++
	}
	e.over.drop(e.fs.geo.ClusterSpan(cluster, 1))
	return e.setEntry(cluster, entryFree)
}

// setEntry changes an entry of the FAT that counts.
func (e *Editor) setEntry(cluster, value uint32) error {
	raw, err := e.fs.table.entry(cluster)
	if err != nil {
		return e.fail(err)
	}
	if e.fs.geo.Bits == 32 {
		value = raw&^entryBits | value
	}
	return e.setRaw(cluster, value)
}

// setRaw changes an entry with its reserved bits.
func (e *Editor) setRaw(cluster, value uint32) error {
	g := e.fs.geo
	at := g.place(cluster)
	b := binary.LittleEndian.AppendUint32(nil, value)
	switch g.Bits {
	case 12:
		b = b[:2]
		start := g.FATStart + int64(g.Active)*g.FATSize + at
		var old [2]byte
		if _, err := pages.ReadFull(e.over, old[:], start); err != nil {
			return e.fail(err)
		}
		if cluster&1 == 0 {
			b[1] = b[1]&0x0F | old[1]&0xF0
		} else {
			b[0], b[1] = byte(value<<4)|old[0]&0x0F, byte(value>>4)
		}
	case 16:
		b = b[:2]
	}
	e.changed = true
	if err := e.over.write(b, g.FATStart+int64(g.Active)*g.FATSize+at); err != nil {
		return e.fail(err)
	}
	e.fs.table.patch(at, b)
	return nil
}
