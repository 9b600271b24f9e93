package fat

import (
	"encoding/binary"
	"fmt"
)

// Commit writes all changes. The editor can be used on: what was removed before
// is free for new contents then.
func (e *Editor) Commit() error {
	if e.broken != nil {
		return fmt.Errorf("write FAT: %w", e.broken)
	}
	if !e.changed {
		return nil
	}
	for _, step := range []func() error{e.clean, e.hints, e.flush} {
		if err := step(); err != nil {
			return fmt.Errorf("write FAT: %w", e.fail(err))
		}
	}
	e.free, e.held = e.free+e.held, 0
	e.over.sectors = make(map[int64][]byte)
	e.original = newTable(e.disk, e.fs.geo)
	e.changed = false
	return nil
}

// clean says in boot sector and FAT that the volume is not in use.
func (e *Editor) clean() error {
	if dirty, err := e.fs.Dirty(); err != nil || !dirty {
		return err
	}
	if e.fs.tail.State&StateDirty != 0 {
		e.fs.tail.State &^= StateDirty
		if err := e.over.write([]byte{byte(e.fs.tail.State)}, e.fs.tailAt()+1); err != nil {
			return err
		}
	}
	flags, err := e.fs.table.entry(1)
	switch {
	case err != nil:
		return err
	case e.fs.geo.Bits == 16:
		return e.setRaw(1, flags|clean16)
	case e.fs.geo.Bits == 32:
		return e.setRaw(1, flags|clean32)
	}
	return nil
}

// hints writes the free count and the place to look for free clusters into the
// FSInfo. A damaged one, that no one trusts, is left alone.
func (e *Editor) hints() error {
	_, at, err := e.fs.fsInfo()
	if err != nil || at == 0 {
		return nil
	}
	next := e.next
	if !e.fs.geo.valid(next) {
		next = firstCluster
	}
	b := binary.LittleEndian.AppendUint32(nil, e.free+e.held)
	return e.over.write(binary.LittleEndian.AppendUint32(b, next), at+freeCountAt)
}

// flush writes the changed sectors in their order, those of the FAT that counts
// to all FATs.
func (e *Editor) flush() error {
	sectors := e.over.changed()
	for len(sectors) > 0 {
		n := 1
		for n < len(sectors) && sectors[n] == sectors[0]+int64(n) && int64(n+1)*e.over.size <= copySize && e.inFAT(sectors[n]) == e.inFAT(sectors[0]) {
			n++
		}
		var b []byte
		for _, s := range sectors[:n] {
			b = append(b, e.over.sectors[s]...)
		}
		if err := e.writeSectors(sectors[0], b); err != nil {
			return err
		}
		sectors = sectors[n:]
	}
	return nil
}

// inFAT reports whether a sector belongs to the FAT that counts.
func (e *Editor) inFAT(sector int64) bool {
	at := sector*e.over.size - e.fs.geo.FATStart - int64(e.fs.geo.Active)*e.fs.geo.FATSize
	return at >= 0 && at < e.fs.geo.FATSize
}

func (e *Editor) writeSectors(sector int64, b []byte) error {
	at := sector * e.over.size
	if !e.inFAT(sector) {
		_, err := e.disk.WriteAt(b, at)
		return err
	}
	at -= int64(e.fs.geo.Active) * e.fs.geo.FATSize
	for n := range e.fs.geo.FATs {
		if _, err := e.disk.WriteAt(b, at+int64(n)*e.fs.geo.FATSize); err != nil {
			return err
		}
	}
	return nil
}
