package vhd

import (
	"encoding/binary"
	"fmt"
	"time"

	"sextant/internal/blocks"
	"sextant/internal/span"
)

// File is what a disk is written to; it must be empty.
type File = blocks.File

// Options say how a disk is made.
type Options struct {
	Kind Kind // Fixed or Dynamic

	// Time becomes the time stamp; one before 2000 counts as 2000.
	Time time.Time

	// Identity is asked by Close for the unique id, so that it can depend on
	// what was written. Nil gives zeros.
	Identity func() [16]byte
}

// Writer is a disk that is being made: zeros that can be read and written at
// any place, by one goroutine after the other. Only Close makes it a disk.
type Writer struct {
	*disk
	f    File
	size int64
	opts Options

	blocks []uint32 // sectors of the bitmaps, noBlock for missing ones
	next   int64    // where the next block's data goes
	end    int64    // behind the last block, or the table
}

type disk = blocks.Disk

const (
	tableOffset = FooterSize + dynamicHeaderSize
	bitmap      = BlockSize / SectorSize / 8 // bytes, one sector

	// dataAlign keeps pages of the disk pages of the file. Between two blocks
	// are 3584 unused bytes and the bitmap.
	dataAlign = 4096
)

// Create starts a disk of size bytes in an empty file. The size must be a
// multiple of 512, and for Azure one of 1 MiB.
func Create(f File, size int64, opts Options) (*Writer, error) {
	switch {
	case size < 0 || size%SectorSize != 0:
		return nil, fmt.Errorf("disk of %d bytes, which are no whole sectors", size)
	case size > MaxSize:
		return nil, unsupported("disk of %d bytes, a VHD has at most %d", size, int64(MaxSize))
	case size == 0 && opts.Kind == Fixed:
		return nil, unsupported("a fixed disk of 0 bytes, whose footer would pass for the copy of one")
	case opts.Kind != Fixed && opts.Kind != Dynamic:
		return nil, unsupported("VHD of type %s", opts.Kind)
	}
	w := &Writer{f: f, size: size, opts: opts}
	w.disk = blocks.New(f, size, layout{w})
	if opts.Kind == Dynamic {
		w.blocks = make([]uint32, (size+BlockSize-1)/BlockSize)
		for i := range w.blocks {
			w.blocks[i] = noBlock
		}
		w.end = tableOffset + w.tableSize()
		w.next = span.AlignUp(w.end+bitmap, dataAlign)
	}
	return w, nil
}

// tableSize returns the bytes of the block allocation table, in whole sectors.
func (w *Writer) tableSize() int64 { return span.AlignUp(int64(len(w.blocks))*4, SectorSize) }

// layout is where a Writer puts blocks.
type layout struct{ *Writer }

// Find is blocks.Layout's.
func (w layout) Find(offset, length int64) (at, n int64, err error) {
	if w.opts.Kind == Fixed {
		return offset, length, nil
	}
	block, within := offset/BlockSize, offset%BlockSize
	length = min(length, BlockSize-within)
	if w.blocks[block] == noBlock {
		return blocks.Nowhere, length, nil
	}
	return int64(w.blocks[block])*SectorSize + bitmap + within, length, nil
}

// Allocate is blocks.Layout's. The bitmap says that the file has all sectors of
// the block.
func (w layout) Allocate(offset int64) (int64, error) {
	at := w.next
	full := [bitmap]byte{}
	for i := range full {
		full[i] = 0xff
	}
	if _, err := w.f.WriteAt(full[:], at-bitmap); err != nil {
		return 0, err
	}
	w.blocks[offset/BlockSize] = uint32((at - bitmap) / SectorSize)
	w.end, w.next = at+BlockSize, at+BlockSize+dataAlign
	return at + offset%BlockSize, nil
}

// Close writes what makes the file a disk. After it the disk can be read only.
// The file stays open.
func (w *Writer) Close() error { return w.disk.Close(w.finish) }

func (w *Writer) finish() error {
	f := sealed(w.footer(), footerChecksum)
	if w.opts.Kind == Fixed {
		return w.write("footer", f, w.size)
	}
	if err := w.write("block allocation table", w.table(), tableOffset); err != nil {
		return err
	}
	h := dynamicHeader{
		Cookie:          [8]byte([]byte(dynamicCookie)),
		DataOffset:      noOffset,
		TableOffset:     tableOffset,
		HeaderVersion:   version1,
		MaxTableEntries: uint32(len(w.blocks)),
		BlockSize:       BlockSize,
	}
	if err := w.write("dynamic disk header", sealed(h, dynamicChecksum), FooterSize); err != nil {
		return err
	}
	if err := w.write("footer", f, w.end); err != nil {
		return err
	}
	return w.write("copy of the footer", f, 0)
}

func (w *Writer) write(what string, b []byte, at int64) error {
	if _, err := w.f.WriteAt(b, at); err != nil {
		return fmt.Errorf("write %s: %w", what, err)
	}
	return nil
}

func (w *Writer) table() []byte {
	b := make([]byte, w.tableSize())
	for i := range b {
		b[i] = 0xff
	}
	for i, sector := range w.blocks {
		binary.BigEndian.PutUint32(b[i*4:], sector)
	}
	return b
}

// footer returns the footer, without checksum. The creator is the one that
// makes every reader go by Current Size; QEMU before 10.0 takes only creators
// that it knows for that.
func (w *Writer) footer() footer {
	f := footer{
		Cookie:             [8]byte([]byte(Cookie)),
		Features:           featureReserved,
		Version:            version1,
		DataOffset:         noOffset,
		TimeStamp:          uint32(max(0, min(w.opts.Time.Unix()-epoch, noBlock))),
		CreatorApplication: [4]byte([]byte("qem2")),
		CreatorVersion:     0x00050003,
		CreatorHostOS:      [4]byte([]byte("Wi2k")),
		OriginalSize:       uint64(w.size),
		CurrentSize:        uint64(w.size),
		Geometry:           geometryOf(w.size / SectorSize),
		Kind:               w.opts.Kind,
	}
	if w.opts.Kind == Dynamic {
		f.DataOffset = FooterSize
	}
	if w.opts.Identity != nil {
		f.UniqueID = w.opts.Identity()
	}
	return f
}
