// Package blocks is a disk that grows in a file: a block of it gets its place
// in the file when something else than zeros is first written to it. That is
// what the writers of qcow2, vhd and vhdx have in common; where a block goes
// is theirs to say.
package blocks

import (
	"io"
	"io/fs"
	"sync"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// File is what a disk is written to; it must be empty.
type File interface {
	io.ReaderAt
	io.WriterAt
}

// Nowhere is the place of what has none yet: all of it is zero.
const Nowhere = -1

// Layout is where a format puts the blocks of a disk.
type Layout interface {
	// Find returns where in the file the byte at offset of the disk is, or
	// Nowhere, and how many of the length bytes from there on are in the same
	// block.
	Find(offset, length int64) (at, n int64, err error)

	// Allocate gives the block with the byte at offset, which is nowhere, a
	// place that reads as zeros, and returns where that byte is.
	Allocate(offset int64) (at int64, err error)
}

// Disk is zeros that can be read and written at any place, by one goroutine
// after the other.
type Disk struct {
	file   File
	size   int64
	layout Layout

	mu     sync.Mutex // of the layout
	closed bool
}

// New returns a disk of size bytes in an empty file.
func New(file File, size int64, layout Layout) *Disk {
	return &Disk{file: file, size: size, layout: layout}
}

// Size returns the bytes of the disk.
func (d *Disk) Size() int64 { return d.size }

// ReadAt is io.ReaderAt's.
func (d *Disk) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset >= d.size {
		return 0, io.EOF
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var end error
	if rest := d.size - offset; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	for n := int64(0); n < int64(len(p)); {
		at, length, err := d.layout.Find(offset+n, int64(len(p))-n)
		if err != nil {
			return int(n), err
		}
		if err := d.read(p[n:n+length], at); err != nil {
			return int(n), err
		}
		n += length
	}
	return len(p), end
}

// read reads bytes of the file. What was never written may lie behind its end.
func (d *Disk) read(p []byte, at int64) error {
	clear(p)
	if at == Nowhere {
		return nil
	}
	if _, err := d.file.ReadAt(p, at); err != nil && err != io.EOF {
		return err
	}
	return nil
}

// WriteAt is io.WriterAt's. Zeros for blocks that were not written yet take no
// room.
func (d *Disk) WriteAt(p []byte, offset int64) (int, error) {
	places, err := d.Place(p, offset)
	if err != nil {
		return 0, err
	}
	for _, m := range places {
		n := m.Offset - offset
		if _, err := d.file.WriteAt(p[n:n+m.Length], m.At); err != nil {
			return int(n), err
		}
	}
	return len(p), nil
}

// Place gives bytes their places in the file, as WriteAt would, and leaves it
// to the caller to write them there; what is in no span is zero and has no
// place. The same calls in the same order give the same places, while what is
// written to them can be written in any order, and by several at once.
func (d *Disk) Place(p []byte, offset int64) (places []span.Mapped, err error) {
	if err := (span.Span{Offset: offset, Length: int64(len(p))}).Within(d.size); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, fs.ErrClosed
	}
	for n := int64(0); n < int64(len(p)); {
		at, length, err := d.layout.Find(offset+n, int64(len(p))-n)
		if err == nil && at == Nowhere && !pages.Zero(p[n:n+length]) {
			at, err = d.layout.Allocate(offset + n)
		}
		if err != nil {
			return nil, err
		}
		if at != Nowhere {
			places = join(places, span.Mapped{Span: span.Span{Offset: offset + n, Length: length}, At: at})
		}
		n += length
	}
	return places, nil
}

// join adds a span, as a part of the last one if it continues it in the file.
func join(places []span.Mapped, next span.Mapped) []span.Mapped {
	if last := len(places) - 1; last >= 0 {
		if longer, ok := places[last].Extended(next); ok {
			places[last] = longer
			return places
		}
	}
	return append(places, next)
}

// Close calls finish, which writes what makes the file a disk image. After it
// the disk can be read only. The file stays open.
func (d *Disk) Close(finish func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	return finish()
}
