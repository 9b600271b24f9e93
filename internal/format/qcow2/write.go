package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"

	"sextant/internal/blocks"
	"sextant/internal/pages"
)

// File is what an image is written to; it must be empty.
type File = blocks.File

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
	*disk
	f    File
	size int64
	bits uint

	l1   []int64 // where the L2 tables are, 0 for those that are not
	l2   *pages.Cache
	next int64 // the first cluster that is not used
}

type disk = blocks.Disk

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
	w.disk = blocks.New(f, size, layout{w})
	return w, nil
}

func (w *Writer) cluster() int64 { return 1 << w.bits }

// reach returns the bytes of the disk that one L2 table describes.
func (w *Writer) reach() int64 { return w.cluster() / 8 << w.bits }

// clusters returns the number of clusters that n bytes take.
func (w *Writer) clusters(n int64) int64 { return (n + w.cluster() - 1) >> w.bits }

// layout is where a Writer puts clusters.
type layout struct{ *Writer }

// Find is blocks.Layout's.
func (w layout) Find(offset, length int64) (at, n int64, err error) {
	within := offset & (w.cluster() - 1)
	length = min(length, w.cluster()-within)
	table := w.l1[offset/w.reach()]
	if table == 0 {
		return blocks.Nowhere, length, nil
	}
	err = w.l2.Use(table>>w.bits, func(table []byte) {
		at = int64(binary.BigEndian.Uint64(table[w.slot(offset):]) & entryOffset)
	})
	if at == 0 {
		return blocks.Nowhere, length, err
	}
	return at + within, length, err
}

// Allocate is blocks.Layout's.
func (w layout) Allocate(offset int64) (int64, error) {
	index := offset / w.reach()
	if w.l1[index] == 0 {
		w.l1[index] = w.allocate(1)
	}
	at := w.allocate(1)
	err := w.l2.Change(w.l1[index]>>w.bits, func(table []byte) {
		binary.BigEndian.PutUint64(table[w.slot(offset):], uint64(at)|entryUsedOnce)
	})
	return at + offset&(w.cluster()-1), err
}

// slot returns where in its L2 table the entry for the byte at offset is.
func (w *Writer) slot(offset int64) int64 { return offset % w.reach() >> w.bits * 8 }

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
func (w *Writer) Close() error { return w.disk.Close(w.finish) }

func (w *Writer) finish() error {
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
