package vhdx

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// ReadAt is io.ReaderAt's.
func (d *Disk) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read at %d of a disk", offset)
	}
	if offset >= d.size {
		return 0, io.EOF
	}
	var end error
	if rest := d.size - offset; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	for n := 0; n < len(p); {
		block, within := (offset+int64(n))/d.blockSize(), (offset+int64(n))%d.blockSize()
		part := p[n:min(int64(len(p)), int64(n)+d.blockSize()-within)]
		at, err := d.block(block)
		if err != nil {
			return n, err
		}
		if at == 0 {
			clear(part)
		} else if k, err := pages.ReadFull(d.r, part, at+within); err != nil {
			return n + k, err
		}
		n += len(part)
	}
	return len(p), end
}

// Segments returns what is not zero, ascending, and where in the file it lies.
// It stops after an error. With changes in the log nothing lies in the file as
// it is.
func (d *Disk) Segments() iter.Seq2[span.Mapped, error] {
	return func(yield func(span.Mapped, error) bool) {
		for block := int64(0); block*d.blockSize() < d.size; block++ {
			at, err := d.block(block)
			if err != nil {
				yield(span.Mapped{}, err)
				return
			}
			if at == 0 {
				continue
			}
			if d.replayed {
				at = span.Packed
			}
			from := block * d.blockSize()
			m := span.Mapped{Span: span.Between(from, min(from+d.blockSize(), d.size)), At: at}
			if !yield(m, nil) {
				return
			}
		}
	}
}

// block returns where a payload block is, 0 for one that is zero.
func (d *Disk) block(number int64) (int64, error) {
	var b [8]byte
	if err := d.tables.Read(b[:], d.bat.Offset+8*batIndex(number, d.blockSize(), d.sectorSize)); err != nil {
		return 0, err
	}
	entry := binary.LittleEndian.Uint64(b[:])
	switch state := blockState(entry & batState); state {
	case notPresent, undefined, zeroBlock, unmapped, unmappedBefore1:
		return 0, nil
	case fullyPresent:
		return d.presentBlock(number, entry)
	default:
		return 0, corrupt("block %d is in state %d, which only differencing disks have", number, state)
	}
}

// presentBlock returns where a block is that the file holds. The last one need
// not be there beyond the end of the disk; QEMU made such files.
func (d *Disk) presentBlock(number int64, entry uint64) (int64, error) {
	length := min(d.blockSize(), d.size-number*d.blockSize())
	at := span.Span{Offset: int64(entry & batOffset), Length: length}
	if entry&batReserved != 0 {
		return 0, corrupt("block %d: BAT entry has reserved bits: %#x", number, entry)
	}
	if err := at.Within(d.fileSize); err != nil {
		return 0, corrupt("block %d: %w", number, err)
	}
	for _, region := range d.regions {
		if at.Overlaps(region) {
			return 0, corrupt("block %d: bytes %s overlap %s", number, at, region)
		}
	}
	return at.Offset, nil
}
