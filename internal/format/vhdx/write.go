package vhdx

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"sextant/internal/blocks"
	"sextant/internal/span"
)

// File is what a disk is written to; it must be empty.
type File interface {
	blocks.File
	Truncate(size int64) error
}

// Options say how a disk is made.
type Options struct {
	Fixed      bool
	SectorSize int64 // logical, 512 or 4096; zero: 512
	BlockSize  int64 // a power of two; zero: what suits the size

	// Identity is asked by Close for unique ids: one for the disk, one for
	// its content, one for the file. It can depend on what was written. Nil
	// gives zeros, which Hyper-V does not take.
	Identity func(what string) GUID
}

// Writer is a disk that is being made: zeros that can be read and written at
// any place, by one goroutine after the other. Only Close makes it a disk.
type Writer struct {
	*disk
	f    File
	size int64
	opts Options

	blocks []uint32 // MiB in the file, 0 for missing ones
	next   int64    // where the next block goes
}

type disk = blocks.Disk

// The places of what Create writes.
const (
	logAt      = 1 << 20
	metadataAt = 2 << 20
	batAt      = 3 << 20
)

// Create starts a disk of size bytes, a multiple of its sector size, in an
// empty file.
func Create(f File, size int64, opts Options) (*Writer, error) {
	if opts.SectorSize == 0 {
		opts.SectorSize = 512
	}
	if opts.BlockSize == 0 {
		opts.BlockSize = blockSizeFor(size)
	}
	block := opts.BlockSize
	switch {
	case opts.SectorSize != 512 && opts.SectorSize != 4096:
		return nil, unsupported("sectors of %d bytes", opts.SectorSize)
	case block < MinBlockSize || block > MaxBlockSize || block&(block-1) != 0:
		return nil, unsupported("blocks of %d bytes", block)
	case size < 0 || size%opts.SectorSize != 0:
		return nil, fmt.Errorf("disk of %d bytes, which are no whole sectors of %d", size, opts.SectorSize)
	case size > MaxSize:
		return nil, unsupported("disk of %d bytes, a VHDX has at most %d", size, int64(MaxSize))
	}
	w := &Writer{f: f, size: size, opts: opts, blocks: make([]uint32, (size+block-1)/block)}
	w.disk = blocks.New(f, size, layout{w})
	w.next = batAt + w.batSize()
	if opts.Fixed {
		for i := range w.blocks {
			w.allocate(int64(i))
		}
	}
	return w, nil
}

// blockSizeFor returns the smallest size with which a BAT fits in 1 MiB, or
// the largest there is.
func blockSizeFor(size int64) int64 {
	block := int64(MinBlockSize)
	for block < MaxBlockSize && size/block > 1<<17-1<<10 {
		block *= 2
	}
	return block
}

// batSize returns the bytes of the BAT's region.
func (w *Writer) batSize() int64 {
	return span.AlignUp(max(1, 8*batEntries(w.size, w.opts.BlockSize, w.opts.SectorSize)), align)
}

// layout is where a Writer puts blocks.
type layout struct{ *Writer }

// Find is blocks.Layout's.
func (w layout) Find(offset, length int64) (at, n int64, err error) {
	block, within := offset/w.opts.BlockSize, offset%w.opts.BlockSize
	length = min(length, w.opts.BlockSize-within)
	if w.blocks[block] == 0 {
		return blocks.Nowhere, length, nil
	}
	return int64(w.blocks[block])*align + within, length, nil
}

// Allocate is blocks.Layout's.
func (w layout) Allocate(offset int64) (int64, error) {
	w.allocate(offset / w.opts.BlockSize)
	at, _, err := w.Find(offset, 1)
	return at, err
}

func (w *Writer) allocate(block int64) {
	w.blocks[block] = uint32(w.next / align)
	w.next += w.opts.BlockSize
}

// Close writes what makes the file a disk, the file identifier last. After it
// the disk can be read only. The file stays open.
func (w *Writer) Close() error { return w.disk.Close(w.finish) }

func (w *Writer) finish() error {
	if err := w.f.Truncate(w.next); err != nil {
		return err
	}
	for _, part := range []struct {
		what string
		b    []byte
		at   int64
	}{
		{"BAT", w.bat(), batAt},
		{"metadata", w.metadata(), metadataAt},
		{"region table", w.regions(), regionTable1At},
		{"region table", w.regions(), regionTable2At},
		{"header", w.header(1), header1At},
		{"header", w.header(2), header2At},
		{"file identifier", bytes(identifier()), 0},
	} {
		if _, err := w.f.WriteAt(part.b, part.at); err != nil {
			return fmt.Errorf("write %s: %w", part.what, err)
		}
	}
	return nil
}

func identifier() fileIdentifier {
	id := fileIdentifier{Signature: [8]byte([]byte(Signature))}
	copy(id.Creator[:], utf16.Encode([]rune("sextant")))
	return id
}

func (w *Writer) identity(what string) guid {
	if w.opts.Identity == nil {
		return guid{}
	}
	return w.opts.Identity(what).disk()
}

func (w *Writer) header(sequence uint64) []byte {
	return sealed(header{
		Signature:      [4]byte([]byte("head")),
		SequenceNumber: sequence,
		FileWriteGUID:  w.identity("file"),
		DataWriteGUID:  w.identity("content"),
		Version:        1,
		LogLength:      metadataAt - logAt,
		LogOffset:      logAt,
	}, headerSize)
}

func (w *Writer) regions() []byte {
	type table struct {
		regionHeader
		BAT, Metadata regionEntry
	}
	return sealed(table{
		regionHeader{Signature: [4]byte([]byte("regi")), EntryCount: 2},
		regionEntry{batRegion(), batAt, uint32(w.batSize()), 1},
		regionEntry{metadataRegion(), metadataAt, batAt - metadataAt, 1},
	}, regionTable)
}

// metadata returns the metadata table, and the items behind it.
func (w *Writer) metadata() []byte {
	parameters := fileParameters{BlockSize: uint32(w.opts.BlockSize)}
	if w.opts.Fixed {
		parameters.Flags = leaveBlocksAllocated
	}
	items := []struct {
		item  guid
		flags itemFlags
		value any
	}{
		{fileParametersItem(), itemRequired, parameters},
		{diskSizeItem(), itemRequired | itemDisk, uint64(w.size)},
		{diskIDItem(), itemRequired | itemDisk, w.identity("disk")},
		{logicalSectorItem(), itemRequired | itemDisk, uint32(w.opts.SectorSize)},
		{physicalSectorItem(), itemRequired | itemDisk, uint32(4096)},
	}
	table := bytes(metadataHeader{Signature: [8]byte([]byte("metadata")), EntryCount: uint16(len(items))})
	var values []byte
	for _, i := range items {
		value := bytes(i.value)
		table = append(table, bytes(metadataEntry{
			Item: i.item, Offset: uint32(metadataTable + len(values)), Length: uint32(len(value)), Flags: i.flags,
		})...)
		values = append(values, value...)
	}
	table = append(table, make([]byte, metadataTable-len(table))...)
	return append(table, values...)
}

func (w *Writer) bat() []byte {
	b := make([]byte, w.batSize())
	for i, at := range w.blocks {
		if at != 0 {
			entry := uint64(at)*align | uint64(fullyPresent)
			binary.LittleEndian.PutUint64(b[8*batIndex(int64(i), w.opts.BlockSize, w.opts.SectorSize):], entry)
		}
	}
	return b
}
