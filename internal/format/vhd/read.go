package vhd

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"math/bits"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// piece is a part of the disk that is zero or lies in the file.
type piece struct {
	length int64
	stored bool
	at     int64 // in the file, if stored
}

// ReadAt is io.ReaderAt's.
func (d *Disk) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read at %d of a disk", offset)
	}
	if offset >= d.Size() {
		return 0, io.EOF
	}
	var end error
	if rest := d.Size() - offset; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	for n := 0; n < len(p); {
		piece, err := d.run(offset+int64(n), int64(len(p)-n))
		if err != nil {
			return n, err
		}
		part := p[n : n+int(piece.length)]
		if !piece.stored {
			clear(part)
		} else if k, err := pages.ReadFull(d.r, part, piece.at); err != nil {
			return n + k, err
		}
		n += len(part)
	}
	return len(p), end
}

// Segments returns what is not zero, ascending, and where in the file it lies.
// It stops after an error.
func (d *Disk) Segments() iter.Seq2[span.Mapped, error] {
	return func(yield func(span.Mapped, error) bool) {
		for offset := int64(0); offset < d.Size(); {
			piece, err := d.run(offset, d.Size()-offset)
			if err != nil {
				yield(span.Mapped{}, err)
				return
			}
			m := span.Mapped{Span: span.Span{Offset: offset, Length: piece.length}, At: piece.at}
			if piece.stored && !yield(m, nil) {
				return
			}
			offset += piece.length
		}
	}
}

// run returns the piece that begins at offset, made as long as the pieces
// behind it continue it, but at most limit bytes.
func (d *Disk) run(offset, limit int64) (piece, error) {
	first, err := d.piece(offset)
	if err != nil {
		return first, err
	}
	for first.length < limit {
		next, err := d.piece(offset + first.length)
		if err != nil || next.stored != first.stored || next.stored && next.at != first.at+first.length {
			break // who reads there gets the error
		}
		first.length += next.length
	}
	first.length = min(first.length, limit)
	return first, nil
}

// piece returns the piece that begins at offset and ends at the latest where
// its block does.
func (d *Disk) piece(offset int64) (piece, error) {
	if d.f.Kind == Fixed {
		return piece{d.Size() - offset, true, offset}, nil
	}
	size := int64(d.h.BlockSize)
	block, within := offset/size, offset%size
	at, err := d.block(block)
	if err != nil || at == 0 {
		return piece{length: size - within}, err
	}
	set, length, err := d.sectors(at, within)
	if err != nil {
		return piece{}, err
	}
	return piece{length, set, at + bitmapSize(size) + within}, nil
}

// block returns where a block's bitmap is, 0 for a block that is missing.
func (d *Disk) block(number int64) (int64, error) {
	var b [4]byte
	if err := d.tables.Read(b[:], int64(d.h.TableOffset)+number*4); err != nil {
		return 0, err
	}
	sector := binary.BigEndian.Uint32(b[:])
	if sector == noBlock {
		return 0, nil
	}
	size := int64(d.h.BlockSize)
	at := span.Span{Offset: int64(sector) * SectorSize, Length: bitmapSize(size) + min(size, d.Size()-number*size)}
	if at.Offset < FooterSize {
		return 0, corrupt("block %d at sector %d, where the footer's copy is", number, sector)
	}
	if err := at.Within(d.fileSize); err != nil {
		return 0, corrupt("block %d: %w", number, err)
	}
	return at.Offset, nil
}

// sectors returns whether the sector at within of a block is in the file, and
// up to where that is so for the sectors behind it too.
func (d *Disk) sectors(bitmap, within int64) (set bool, length int64, err error) {
	var words [64]byte // 512 sectors at once
	first := within / SectorSize
	end := int64(d.h.BlockSize) / SectorSize
	sector := first
	for sector < end {
		from := sector / 8
		n := min(int64(len(words)), (end+7)/8-from)
		if err := d.tables.Read(words[:n], bitmap+from); err != nil {
			return false, 0, err
		}
		if sector == first {
			set = words[0]<<(first%8)&0x80 != 0
		}
		k := same(words[:n], int(sector%8), set)
		sector += int64(k)
		if sector < (from+n)*8 {
			break
		}
	}
	return set, min(sector, end)*SectorSize - within, nil
}

// same counts the bits from skip on that are like set. The first bit of a byte
// is its highest.
func same(b []byte, skip int, set bool) int {
	for i, c := range b {
		if set {
			c = ^c
		}
		if i == 0 {
			c &= 0xff >> skip
		}
		if c != 0 {
			return i*8 + bits.LeadingZeros8(c) - skip
		}
	}
	return len(b)*8 - skip
}
