package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// File is what an image is written to; it must be empty.
type File interface {
	io.ReaderAt
	io.WriterAt
}

// Options say how an image is made.
type Options struct {
	ClusterBits int // the cluster size is 2^ClusterBits; zero: DefaultClusterBits
}

// Writer is an image that is being made: a disk of zeros that can be read and
// written at any place, by one goroutine after the other. Only Close makes it
// an image.
//
// Memory is taken for the L1 table, 2 KiB for each TiB of the disk, and for
// 2 MiB of L2 tables; others wait in their places in the file.
type Writer struct {
	f    File
	size int64
	bits uint

	mu   sync.Mutex
	l1   []int64 // where the L2 tables are, 0 for those that are not
	l2   *pages.Cache
	next int64 // the first cluster that is not used

	closed bool
}

// Create starts an image of a disk of size bytes in an empty file.
func Create(f File, size int64, opts Options) (*Writer, error) {
	bits := opts.ClusterBits
	if bits == 0 {
		bits = DefaultClusterBits
	}
	if bits < MinClusterBits || bits > MaxClusterBits {
		return nil, unsupported("clusters of 2^%d bytes", bits)
	}
	w := &Writer{f: f, size: size, bits: uint(bits)}
	tables := (size + w.reach() - 1) / w.reach()
	if size < 0 || tables > maxL1Size/8 {
		return nil, unsupported("disk of %d bytes with clusters of %d", size, w.cluster())
	}
	w.l1 = make([]int64, tables)
	w.next = 1 + w.clusters(tables*8)
	w.l2 = pages.New(int(w.cluster()), max(2, unpackedBytes>>bits), w.loadTable, w.storeTable)
	return w, nil
}

// Size returns the bytes of the disk.
func (w *Writer) Size() int64 { return w.size }

func (w *Writer) cluster() int64 { return 1 << w.bits }

// reach returns the bytes of the disk that one L2 table describes.
func (w *Writer) reach() int64 { return w.cluster() / 8 << w.bits }

// clusters returns the number of clusters that n bytes take.
func (w *Writer) clusters(n int64) int64 { return (n + w.cluster() - 1) >> w.bits }

func (w *Writer) within(p []byte, offset int64) error {
	return (span.Span{Offset: offset, Length: int64(len(p))}).Within(w.size)
}

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
		within := (offset + int64(n)) & (w.cluster() - 1)
		length := min(int(w.cluster()-within), len(p)-n)
		part := p[n : n+length]
		at, err := w.find(offset + int64(n))
		if err != nil {
			return n, err
		}
		clear(part)
		if at != 0 {
			// What was never written may lie behind the end of the file.
			if _, err := w.f.ReadAt(part, at+within); err != nil && err != io.EOF {
				return n, err
			}
		}
		n += length
	}
	return len(p), end
}

// WriteAt is io.WriterAt's. Zeros for clusters that were not written yet take
// no room.
func (w *Writer) WriteAt(p []byte, offset int64) (int, error) {
	if err := w.within(p, offset); err != nil {
		return 0, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, fs.ErrClosed
	}
	var r run
	for n := 0; n < len(p); {
		within := (offset + int64(n)) & (w.cluster() - 1)
		length := min(int(w.cluster()-within), len(p)-n)
		at, err := w.place(offset+int64(n), p[n:n+length])
		if err != nil {
			return r.start, err
		}
		next := run{n, n + length, at + within}
		if at == 0 {
			next = run{start: n + length, end: n + length}
		}
		if !r.join(next) {
			if err := w.write(p, r); err != nil {
				return r.start, err
			}
			r = next
		}
		n += length
	}
	if err := w.write(p, r); err != nil {
		return r.start, err
	}
	return len(p), nil
}

// run is a part of what is being written that goes to one place in the file.
type run struct {
	start, end int
	at         int64
}

// join makes r longer by next if that continues it in the file.
func (r *run) join(next run) bool {
	if r.start == r.end || next.start == next.end || r.at+int64(r.end-r.start) != next.at {
		return false
	}
	r.end = next.end
	return true
}

func (w *Writer) write(p []byte, r run) error {
	if r.start == r.end {
		return nil
	}
	_, err := w.f.WriteAt(p[r.start:r.end], r.at)
	return err
}

// place returns where the cluster with the byte at offset is, after giving it
// a place if it has none. It returns 0 for one that stays missing, as all that
// will be written to it is zero.
func (w *Writer) place(offset int64, content []byte) (int64, error) {
	at, err := w.find(offset)
	if at != 0 || err != nil || pages.Zero(content) {
		return at, err
	}
	index := offset / w.reach()
	if w.l1[index] == 0 {
		w.l1[index] = w.allocate(1)
	}
	at = w.allocate(1)
	slot := offset % w.reach() >> w.bits * 8
	return at, w.l2.Change(w.l1[index]>>w.bits, func(table []byte) {
		binary.BigEndian.PutUint64(table[slot:], uint64(at)|entryUsedOnce)
	})
}

// find returns where the cluster with the byte at offset is, 0 for nowhere.
func (w *Writer) find(offset int64) (at int64, err error) {
	table := w.l1[offset/w.reach()]
	if table == 0 {
		return 0, nil
	}
	slot := offset % w.reach() >> w.bits * 8
	err = w.l2.Use(table>>w.bits, func(table []byte) {
		at = int64(binary.BigEndian.Uint64(table[slot:]) & entryOffset)
	})
	return at, err
}

func (w *Writer) allocate(clusters int64) (at int64) {
	at = w.next << w.bits
	w.next += clusters
	return at
}

// loadTable reads an L2 table, which is empty before it was ever stored.
func (w *Writer) loadTable(number int64, table []byte) error {
	n, err := w.f.ReadAt(table, number<<w.bits)
	clear(table[n:])
	if err == io.EOF {
		err = nil
	}
	return err
}

func (w *Writer) storeTable(number int64, table []byte) error {
	_, err := w.f.WriteAt(table, number<<w.bits)
	return err
}

// Close writes what makes the file an image: L2 tables, refcounts, the L1
// table and last the header. After it the disk can be read only. The file
// stays open.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if err := w.l2.Flush(); err != nil {
		return fmt.Errorf("write L2 tables: %w", err)
	}
	table, clusters, err := w.writeRefcounts()
	if err != nil {
		return fmt.Errorf("write refcounts: %w", err)
	}
	if err := w.writeL1(); err != nil {
		return fmt.Errorf("write L1 table: %w", err)
	}
	if _, err := w.f.WriteAt(w.header(table, clusters), 0); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	return nil
}

// refcountBits is the width of a refcount.
const refcountBits = 16

// writeRefcounts writes refcount blocks in which each cluster up to the end is
// used once, themselves and their table included, and returns where the table
// is and how many clusters it takes.
func (w *Writer) writeRefcounts() (table, clusters int64, err error) {
	each := w.cluster() * 8 / refcountBits // clusters that one block counts
	used, blocks := w.next, int64(0)
	for {
		total := used + blocks + clusters
		need := (total + each - 1) / each
		if need == blocks {
			break
		}
		blocks, clusters = need, w.clusters(need*8)
	}
	if clusters<<w.bits > maxRefcountTab {
		return 0, 0, unsupported("refcount table of %d bytes", clusters<<w.bits)
	}
	first := w.allocate(blocks)
	table = w.allocate(clusters)
	block := make([]byte, w.cluster())
	entries := make([]byte, clusters<<w.bits)
	for i := range blocks {
		at := first + i<<w.bits
		binary.BigEndian.PutUint64(entries[i*8:], uint64(at))
		ones(block, min(each, w.next-i*each))
		if _, err := w.f.WriteAt(block, at); err != nil {
			return 0, 0, err
		}
	}
	_, err = w.f.WriteAt(entries, table)
	return table, clusters, err
}

// ones fills a refcount block with n ones and zeros behind them.
func ones(block []byte, n int64) {
	clear(block)
	for i := range n {
		block[i*2+1] = 1
	}
}

func (w *Writer) writeL1() error {
	b := make([]byte, w.clusters(int64(len(w.l1))*8)<<w.bits)
	for i, at := range w.l1 {
		if at != 0 {
			binary.BigEndian.PutUint64(b[i*8:], uint64(at)|entryUsedOnce)
		}
	}
	_, err := w.f.WriteAt(b, w.cluster())
	return err
}

// header returns the first cluster: the header, and behind it the end of the
// header extensions.
func (w *Writer) header(refcountTable, refcountClusters int64) []byte {
	h := header{
		Magic:                 [4]byte([]byte(Magic)),
		Version:               3,
		ClusterBits:           uint32(w.bits),
		Size:                  uint64(w.size),
		L1Size:                uint32(len(w.l1)),
		L1TableOffset:         uint64(w.cluster()),
		RefcountTableOffset:   uint64(refcountTable),
		RefcountTableClusters: uint32(refcountClusters),
	}
	h3 := header3{RefcountOrder: 4, HeaderLength: headerSize3 + 8}
	b := append(bytes(h), bytes(h3)...)
	return append(b, make([]byte, int(w.cluster())-len(b))...)
}
