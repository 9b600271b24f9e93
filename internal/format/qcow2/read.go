package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"

	"sextant/internal/pages"
	"sextant/internal/span"
)

// state is where the bytes of a piece of the disk come from.
type state uint8

const (
	hole   state = iota // they are zero
	stored              // from the file as they are
	packed              // from compressed bytes in the file
)

// piece is a part of the disk in one state.
type piece struct {
	state  state
	length int64
	at     int64 // in the file
	packed int64 // length of the compressed bytes
}

// ReadAt is io.ReaderAt's.
func (m *Image) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, fmt.Errorf("read at %d of a disk", offset)
	}
	if offset >= m.Size() {
		return 0, io.EOF
	}
	var end error
	if rest := m.Size() - offset; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	for n := 0; n < len(p); {
		at := offset + int64(n)
		piece, err := m.run(at, int64(len(p)-n))
		if err != nil {
			return n, fmt.Errorf("cluster at %d: %w", at, err)
		}
		if err := m.readPiece(p[n:n+int(piece.length)], at, piece); err != nil {
			return n, fmt.Errorf("cluster at %d: %w", at, err)
		}
		n += int(piece.length)
	}
	return len(p), end
}

// readPiece fills p with the bytes of a piece that begins at offset.
func (m *Image) readPiece(p []byte, offset int64, piece piece) error {
	switch {
	case piece.state == hole:
		clear(p)
		return nil
	case piece.state == stored:
		return m.readStored(p, piece.at)
	case int64(len(p)) == m.cluster():
		return m.unpack(p, piece)
	}
	number, within := offset>>m.h.ClusterBits, offset&(m.cluster()-1)
	return m.unpacked.Use(number, func(cluster []byte) { copy(p, cluster[within:]) })
}

// unpackCluster loads a page of unpacked.
func (m *Image) unpackCluster(number int64, cluster []byte) error {
	piece, err := m.piece(number << m.h.ClusterBits)
	if err != nil {
		return err
	}
	return m.unpack(cluster, piece)
}

// readStored reads bytes of data clusters. The last one may be cut short
// where the file ends, and reads as zeros from there.
func (m *Image) readStored(p []byte, at int64) error {
	if rest := m.fileSize - at; int64(len(p)) > rest {
		clear(p[rest:])
		p = p[:rest]
	}
	_, err := pages.ReadFull(m.r, p, at)
	return err
}

// Segments returns what is not a hole, ascending, and where in the file it
// lies. It stops after an error.
func (m *Image) Segments() iter.Seq2[span.Mapped, error] {
	return func(yield func(span.Mapped, error) bool) {
		var last span.Mapped
		for offset := int64(0); offset < m.Size(); {
			piece, err := m.run(offset, m.Size()-offset)
			if err != nil {
				yield(span.Mapped{}, fmt.Errorf("cluster at %d: %w", offset, err))
				return
			}
			next := span.Mapped{Span: span.Span{Offset: offset, Length: piece.length}, At: piece.at}
			offset += piece.length
			if piece.state == hole {
				continue
			}
			if piece.state == packed {
				next.At = span.Packed
			}
			longer, ok := last.Extended(next)
			if !ok && last.Length > 0 && !yield(last, nil) {
				return
			}
			if last = next; ok {
				last = longer
			}
		}
		if last.Length > 0 {
			yield(last, nil)
		}
	}
}

// run returns the piece that begins at offset, made as long as the pieces
// behind it continue it, but at most limit bytes.
func (m *Image) run(offset, limit int64) (piece, error) {
	first, err := m.piece(offset)
	if err != nil {
		return first, err
	}
	for first.length < limit && first.state != packed {
		next, err := m.piece(offset + first.length)
		if err != nil || next.state != first.state || next.state == stored && next.at != first.at+first.length {
			break // who reads there gets the error
		}
		first.length += next.length
	}
	first.length = min(first.length, limit)
	return first, nil
}

// piece returns the piece that begins at offset: up to the end of its cluster
// or subcluster, or of the missing L2 table's reach.
func (m *Image) piece(offset int64) (piece, error) {
	table, err := m.l2Table(offset / m.reach())
	if err != nil {
		return piece{}, err
	}
	if table == 0 {
		return piece{state: hole, length: m.reach() - offset%m.reach()}, nil
	}
	var b [16]byte
	index := offset % m.reach() >> m.h.ClusterBits
	if err := m.tables.Read(b[:m.entrySize()], table+index*m.entrySize()); err != nil {
		return piece{}, err
	}
	entry, subclusters := binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
	within := offset & (m.cluster() - 1)
	switch {
	case entry&entryCompressed != 0:
		return m.packedPiece(entry, subclusters, within)
	case m.extended():
		return m.subclusterPiece(entry, subclusters, within)
	}
	return m.clusterPiece(entry, within)
}

// l2Table returns where an L2 table is, 0 if it is missing.
func (m *Image) l2Table(index int64) (int64, error) {
	var b [8]byte
	if err := m.tables.Read(b[:], int64(m.h.L1TableOffset)+index*8); err != nil {
		return 0, err
	}
	entry := binary.BigEndian.Uint64(b[:])
	table := int64(entry & entryOffset)
	switch {
	case entry&l1Reserved != 0:
		return 0, corrupt("L1 entry %d has reserved bits: %#x", index, entry)
	case table == 0:
		return 0, nil
	case table%m.cluster() != 0:
		return 0, corrupt("L2 table at %d, which is no multiple of the cluster size", table)
	}
	if err := (span.Span{Offset: table, Length: m.cluster()}).Within(m.fileSize); err != nil {
		return 0, corrupt("L2 table: %w", err)
	}
	return table, nil
}

// clusterPiece reads a standard cluster descriptor.
func (m *Image) clusterPiece(entry uint64, within int64) (piece, error) {
	length := m.cluster() - within
	if entry&entryZero != 0 && m.h.Version < 3 {
		return piece{}, corrupt("a zero cluster, which version 2 does not have")
	}
	at, err := m.hostCluster(entry)
	if err != nil {
		return piece{}, err
	}
	if entry&entryZero != 0 || at == 0 {
		return piece{state: hole, length: length}, nil
	}
	return piece{state: stored, length: length, at: at + within}, nil
}

// hostCluster returns where an L2 entry says the cluster is, 0 for nowhere.
func (m *Image) hostCluster(entry uint64) (int64, error) {
	at := int64(entry & entryOffset)
	switch {
	case entry&l2Reserved != 0:
		return 0, corrupt("L2 entry has reserved bits: %#x", entry)
	case at == 0 && entry&entryUsedOnce != 0:
		return 0, corrupt("L2 entry puts a cluster on the header: %#x", entry)
	case at%m.cluster() != 0:
		return 0, corrupt("data at %d, which is no multiple of the cluster size", at)
	case at >= m.fileSize && entry&entryZero == 0 && at != 0:
		return 0, corrupt("data at %d lies behind the end of the file, %d", at, m.fileSize)
	}
	return at, nil
}

// subclusterPiece reads an extended L2 entry.
func (m *Image) subclusterPiece(entry, subclusters uint64, within int64) (piece, error) {
	at, err := m.hostCluster(entry)
	if err != nil {
		return piece{}, err
	}
	allocated, zero := uint32(subclusters), uint32(subclusters>>32)
	switch {
	case entry&entryZero != 0:
		return piece{}, corrupt("L2 entry has reserved bits: %#x", entry)
	case allocated&zero != 0:
		return piece{}, corrupt("subclusters both zero and stored: %#x", subclusters)
	case allocated != 0 && at == 0:
		return piece{}, corrupt("subclusters stored nowhere: %#x", subclusters)
	}
	size := m.cluster() / Subclusters
	length := size - within%size
	if allocated>>(within/size)&1 == 0 {
		return piece{state: hole, length: length}, nil
	}
	return piece{state: stored, length: length, at: at + within}, nil
}

// packedPiece reads a compressed cluster descriptor.
func (m *Image) packedPiece(entry, subclusters uint64, within int64) (piece, error) {
	shift := 62 - (m.h.ClusterBits - 8)
	at := int64(entry & (1<<shift - 1))
	sectors := int64(entry&(entryCompressed-1)) >> shift
	switch {
	case entry&entryUsedOnce != 0 || subclusters != 0:
		return piece{}, corrupt("compressed cluster with bits that it must not have: %#x, %#x", entry, subclusters)
	case at < m.cluster() || at >= m.fileSize:
		return piece{}, corrupt("compressed data at %d lies outside the file, %d", at, m.fileSize)
	}
	length := min((sectors+1)*512-at%512, m.fileSize-at)
	return piece{state: packed, length: m.cluster() - within, at: at, packed: length}, nil
}
