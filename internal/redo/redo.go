// Package redo changes a disk in two steps, of which a program that is killed
// leaves the first undone or the second to be done again.
//
// A Log is the disk as it will be: what is written to it goes into a file
// beside, and reading sees that first. Seal brings the file to stable storage;
// from then on the change counts. Apply copies it over the disk, as often as it
// takes.
//
//	0     header: magic, sizes, SHA-256 of what follows; zeros until it is sealed
//	4096  blocks of 4096 bytes, in the order in which they were first written
//	...   the number of each block on the disk, 8 bytes little-endian
//
// A Log without Seal is a way to write to a disk without changing it.
package redo

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"sextant/internal/fault"
)

// Block is the number of bytes that are noted at once.
const Block = 4096

// Magic begins a log that is sealed.
const Magic = "sextant redo log"

// header is the first block of a log. Numbers are little-endian.
type header struct {
	Magic   [16]byte // 0
	Version uint32   // 16
	Zero    uint32   // 20
	Size    uint64   // 24  bytes of the disk
	Count   uint64   // 32  blocks in the log
	Sum     [32]byte // 40  SHA-256 of blocks and numbers
}

const version = 1

// File is where a log is kept.
type File interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Log is a disk with changes. It must not be used by several goroutines at the
// same time.
type Log struct {
	disk   io.ReaderAt
	size   int64
	file   File
	create func() (File, error)
	places map[int64]int64 // number of a block to its place in the log
	order  []int64
}

// New begins a log over a disk of size bytes. The file is made when something
// is written.
func New(disk io.ReaderAt, size int64, create func() (File, error)) *Log {
	return &Log{disk: disk, size: size, create: create, places: map[int64]int64{}}
}

// Scratch is a New whose file has no name and goes with the program. Close
// gives its room back.
func Scratch(disk io.ReaderAt, size int64) *Log {
	return New(disk, size, func() (File, error) {
		f, err := os.CreateTemp("", "sextant-*")
		if err != nil {
			return nil, err
		}
		// Where an open file cannot be removed, Close does it.
		os.Remove(f.Name())
		return f, nil
	})
}

// Close gives the file of a Scratch back.
func (l *Log) Close() error {
	f, ok := l.file.(*os.File)
	if !ok {
		return nil
	}
	err := f.Close()
	os.Remove(f.Name())
	return err
}

// Changed reports whether anything was written.
func (l *Log) Changed() bool { return len(l.order) > 0 }

// Size returns the bytes of the disk.
func (l *Log) Size() int64 { return l.size }

// ReadAt reads the disk as it will be.
func (l *Log) ReadAt(p []byte, at int64) (n int, err error) {
	if len(l.places) == 0 {
		return l.disk.ReadAt(p, at)
	}
	for n < len(p) {
		number, within := (at+int64(n))/Block, (at+int64(n))%Block
		part := p[n:min(len(p), n+int(Block-within))]
		var k int
		if place, ok := l.places[number]; ok {
			part = part[:max(0, min(int64(len(part)), l.size-at-int64(n)))]
			k, err = l.file.ReadAt(part, place+within)
			if k == len(part) {
				err = nil
			}
			if k == 0 && err == nil {
				err = io.EOF
			}
		} else {
			part = p[n : l.untouched(at+int64(n), at+int64(len(p)))-at]
			k, err = l.disk.ReadAt(part, at+int64(n))
		}
		n += k
		if err != nil && !(errors.Is(err, io.EOF) && n == len(p)) {
			return n, err
		}
	}
	return n, nil
}

// untouched returns where the next block begins that is in the log, at most
// end.
func (l *Log) untouched(from, end int64) int64 {
	for number := from/Block + 1; number*Block < end; number++ {
		if _, ok := l.places[number]; ok {
			return number * Block
		}
	}
	return end
}

// WriteAt notes a change.
func (l *Log) WriteAt(p []byte, at int64) (n int, err error) {
	if at < 0 || at+int64(len(p)) > l.size {
		return 0, fmt.Errorf("bytes %d-%d lie outside 0-%d", at, at+int64(len(p)), l.size)
	}
	for n < len(p) {
		number, within := (at+int64(n))/Block, (at+int64(n))%Block
		part := p[n:min(len(p), n+int(Block-within))]
		if err := l.put(number, within, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func (l *Log) put(number, within int64, part []byte) error {
	if l.file == nil {
		f, err := l.create()
		if err != nil {
			return err
		}
		l.file = f
	}
	if place, ok := l.places[number]; ok {
		_, err := l.file.WriteAt(part, place+within)
		return err
	}
	block := make([]byte, Block)
	if len(part) < Block {
		length := min(Block, l.size-number*Block)
		if n, err := l.disk.ReadAt(block[:length], number*Block); int64(n) < length {
			return fmt.Errorf("read block %d: %w", number, err)
		}
	}
	copy(block[within:], part)
	place := int64(1+len(l.order)) * Block
	if _, err := l.file.WriteAt(block, place); err != nil {
		return err
	}
	l.places[number], l.order = place, append(l.order, number)
	return nil
}

// Seal completes the log and brings it to stable storage. Nothing may be
// written after that.
func (l *Log) Seal() error {
	if !l.Changed() {
		return nil
	}
	var numbers bytes.Buffer
	for _, n := range l.order {
		binary.Write(&numbers, binary.LittleEndian, n) // into memory: no error
	}
	end := int64(1+len(l.order)) * Block
	if _, err := l.file.WriteAt(numbers.Bytes(), end); err != nil {
		return err
	}
	h := header{Version: version, Size: uint64(l.size), Count: uint64(len(l.order))}
	copy(h.Magic[:], Magic)
	sum, err := sumOf(l.file, h.Count)
	if err != nil {
		return err
	}
	h.Sum = sum
	raw, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	// The header must not reach the disk before what it vouches for: its sum
	// would tell, but then the change would be lost.
	if err := l.file.Sync(); err != nil {
		return err
	}
	if _, err := l.file.WriteAt(raw, 0); err != nil {
		return err
	}
	return l.file.Sync()
}

// sumOf returns the sum over the blocks and numbers of a log.
func sumOf(r io.ReaderAt, count uint64) (sum [32]byte, err error) {
	h := sha256.New()
	length := int64(count) * (Block + 8)
	n, err := io.Copy(h, io.NewSectionReader(r, Block, length))
	if err == nil && n < length {
		err = io.ErrUnexpectedEOF
	}
	h.Sum(sum[:0])
	return sum, err
}

// Open returns the sealed log in a file, over its disk. One that was not sealed,
// or was cut, is fs.ErrNotExist: it counts for nothing. One for a disk of
// another size wraps fault.ErrCorrupt.
func Open(disk io.ReaderAt, size int64, file File) (*Log, error) {
	raw := make([]byte, binary.Size(header{}))
	var h header
	if n, _ := file.ReadAt(raw, 0); n < len(raw) {
		return nil, os.ErrNotExist
	}
	if _, err := binary.Decode(raw, binary.LittleEndian, &h); err != nil {
		panic("internal error: " + err.Error())
	}
	if string(h.Magic[:]) != Magic || h.Version != version || h.Count > uint64(size/Block+1) {
		return nil, os.ErrNotExist
	}
	if sum, err := sumOf(file, h.Count); err != nil || sum != h.Sum {
		return nil, os.ErrNotExist
	}
	if h.Size != uint64(size) {
		return nil, fmt.Errorf("redo log is for a disk of %d bytes, this one has %d: %w", h.Size, size, fault.ErrCorrupt)
	}
	l := New(disk, size, nil)
	l.file = file
	numbers := io.NewSectionReader(file, int64(1+h.Count)*Block, int64(h.Count)*8)
	for i := range int64(h.Count) {
		var n int64
		if err := binary.Read(numbers, binary.LittleEndian, &n); err != nil {
			return nil, err
		}
		if n < 0 || n*Block >= size {
			return nil, fmt.Errorf("redo log has block %d of a disk of %d bytes: %w", n, size, fault.ErrCorrupt)
		}
		l.places[n], l.order = (1+i)*Block, append(l.order, n)
	}
	return l, nil
}

// Apply writes the changes to a disk.
func (l *Log) Apply(w io.WriterAt) error {
	block := make([]byte, Block)
	for _, number := range l.order {
		part := block[:min(Block, l.size-number*Block)]
		if n, err := l.file.ReadAt(part, l.places[number]); n < len(part) {
			return fmt.Errorf("read redo log: %w", err)
		}
		if _, err := w.WriteAt(part, number*Block); err != nil {
			return err
		}
	}
	return nil
}
