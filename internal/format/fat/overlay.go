package fat

import (
	"io"
	"maps"
	"slices"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// overlay keeps the sectors that an editor changed and shows them in place of
// the disk's. What it holds grows with the metadata that was changed: the
// contents of files do not pass through it.
type overlay struct {
	disk    io.ReaderAt
	size    int64 // of a sector
	sectors map[int64][]byte
}

func newOverlay(disk io.ReaderAt, sectorSize int64) *overlay {
	return &overlay{disk: disk, size: sectorSize, sectors: make(map[int64][]byte)}
}

// ReadAt implements io.ReaderAt.
func (o *overlay) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.disk.ReadAt(p, off)
	if len(o.sectors) == 0 {
		return n, err
	}
	for at := off; at < off+int64(n); {
		sector, skip := at/o.size, at%o.size
		if b, ok := o.sectors[sector]; ok {
			copy(p[at-off:n], b[skip:])
		}
		at += o.size - skip
	}
	return n, err
}

// write changes bytes. A sector is read the first time that a part of it is
// changed.
func (o *overlay) write(b []byte, off int64) error {
	for len(b) > 0 {
		sector, skip := off/o.size, off%o.size
		page, ok := o.sectors[sector]
		if !ok {
			page = make([]byte, o.size)
			if _, err := pages.ReadFull(o.disk, page, sector*o.size); err != nil {
				return err
			}
			o.sectors[sector] = page
		}
		n := copy(page[skip:], b)
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// drop forgets the changes of whole sectors.
func (o *overlay) drop(s span.Span) {
	for sector := s.Offset / o.size; sector*o.size < s.End() && len(o.sectors) > 0; sector++ {
		delete(o.sectors, sector)
	}
}

// changed lists the sectors in ascending order.
func (o *overlay) changed() []int64 { return slices.Sorted(maps.Keys(o.sectors)) }
