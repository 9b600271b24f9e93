package vhdx

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"unicode/utf16"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// File is what a disk is written to; it must be empty.
type File interface {
	io.ReaderAt
	io.WriterAt
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
	f    File
	size int64
	opts Options

	mu     sync.Mutex
	blocks []uint32 // MiB in the file, 0 for missing ones
	next   int64    // where the next block goes
	closed bool
}

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

// Size returns the bytes of the disk.
func (w *Writer) Size() int64 { return w.size }

// ReadAt is io.ReaderAt's.
func (w *Writer) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset >= w.size {
		return 0, io.EOF
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var end error
	if rest := w.size - offset; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	for n := 0; n < len(p); {
		at, length := w.find(offset+int64(n), len(p)-n)
		part := p[n : n+length]
		clear(part)
		if at != 0 {
			// What was never written may lie behind the end of the file.
			if _, err := w.f.ReadAt(part, at); err != nil && err != io.EOF {
				return n, err
			}
		}
		n += length
	}
	return len(p), end
}

// WriteAt is io.WriterAt's. Zeros for blocks that were not written yet take no
// room.
func (w *Writer) WriteAt(p []byte, offset int64) (int, error) {
	if err := (span.Span{Offset: offset, Length: int64(len(p))}).Within(w.size); err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, fs.ErrClosed
	}
	for n := 0; n < len(p); {
		at, length := w.find(offset+int64(n), len(p)-n)
		part := p[n : n+length]
		if at == 0 && !pages.Zero(part) {
			w.allocate((offset + int64(n)) / w.opts.BlockSize)
			at, _ = w.find(offset+int64(n), length)
		}
		if at != 0 {
			if _, err := w.f.WriteAt(part, at); err != nil {
				return n, err
			}
		}
		n += length
	}
	return len(p), nil
}

// find returns where the byte at offset is, 0 for nowhere, and how many of the
// length bytes from there on are next to it.
func (w *Writer) find(offset int64, length int) (int64, int) {
	block, within := offset/w.opts.BlockSize, offset%w.opts.BlockSize
	length = int(min(int64(length), w.opts.BlockSize-within))
	if w.blocks[block] == 0 {
		return 0, length
	}
	return int64(w.blocks[block])*align + within, length
}

func (w *Writer) allocate(block int64) {
	w.blocks[block] = uint32(w.next / align)
	w.next += w.opts.BlockSize
}

// Close writes what makes the file a disk, the file identifier last. After it
// the disk can be read only. The file stays open.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
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
