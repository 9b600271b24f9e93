package qcow2

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/pages"
	"sextant/internal/span"
)

// Image is an image that is open for reading. Goroutines may share it.
type Image struct {
	r        io.ReaderAt
	fileSize int64
	h        header
	h3       header3

	tables   *pages.Cache // L1 and L2 tables
	unpacked *pages.Cache // compressed clusters that were read in part
	packers  unpackers
}

// Open opens the image in the first fileSize bytes of r. What breaks the
// format wraps fault.ErrCorrupt, what is refused wraps fault.ErrUnsupported
// and says why.
func Open(r io.ReaderAt, fileSize int64) (*Image, error) {
	m := &Image{r: r, fileSize: fileSize}
	if err := m.readHeader(); err != nil {
		return nil, err
	}
	if err := m.checkFeatures(); err != nil {
		return nil, err
	}
	if err := m.checkContents(); err != nil {
		return nil, err
	}
	if err := m.checkTables(); err != nil {
		return nil, err
	}
	m.tables = pages.OfFile(r, fileSize, tablePage, tablePages)
	m.unpacked = pages.New(int(m.cluster()), max(2, unpackedBytes/int(m.cluster())), m.unpackCluster, nil)
	return m, nil
}

const (
	tablePage     = 4096
	tablePages    = 512
	unpackedBytes = 2 << 20
)

// Size returns the bytes of the disk.
func (m *Image) Size() int64 { return int64(m.h.Size) }

func (m *Image) cluster() int64 { return 1 << m.h.ClusterBits }

// ClusterSize returns how many bytes of the disk are stored, or compressed, as
// one: a power of two, at most 2 MiB.
func (m *Image) ClusterSize() int64 { return m.cluster() }

func (m *Image) extended() bool { return m.h3.Incompatible&ExtendedL2 != 0 }

// entrySize returns the bytes of an L2 entry.
func (m *Image) entrySize() int64 {
	if m.extended() {
		return 16
	}
	return 8
}

// reach returns the bytes of the disk that one L2 table describes.
func (m *Image) reach() int64 { return m.cluster() / m.entrySize() * m.cluster() }

func corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrCorrupt)...)
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrUnsupported)...)
}

// readHeader reads the header, and completes one of version 2.
func (m *Image) readHeader() error {
	b := make([]byte, headerSize3+8)
	n, err := m.r.ReadAt(b[:min(int64(len(b)), max(0, m.fileSize))], 0)
	if err != nil && err != io.EOF {
		return err
	}
	if n < headerSize2 || string(b[:4]) != Magic {
		return corrupt("no qcow2 header")
	}
	decode(b, &m.h)
	switch {
	case m.h.Version == 2:
		m.h3 = header3{RefcountOrder: 4, HeaderLength: headerSize2}
		return nil
	case m.h.Version != 3:
		return unsupported("qcow version %d", m.h.Version)
	case n < headerSize3:
		return corrupt("header ends after %d bytes", n)
	}
	decode(b[headerSize2:], &m.h3)
	length := m.h3.HeaderLength
	if length < headerSize3 || length%8 != 0 {
		return corrupt("header length %d is not 104 or a larger multiple of 8", length)
	}
	if length < headerSize3+8 {
		m.h3.Compression, m.h3.Padding = Deflate, [7]byte{}
	}
	return nil
}

// checkFeatures refuses the incompatible features that are not handled.
func (m *Image) checkFeatures() error {
	f := m.h3.Incompatible
	if known := Dirty | Corrupt | ExternalDataFile | CompressionType | ExtendedL2; f&^known != 0 {
		return unsupported("qcow2 feature %s", m.featureNames(f&^known))
	}
	if f&ExternalDataFile != 0 {
		return unsupported("the disk's data is in another file, which an image must not name; qemu-img convert gives one file")
	}
	if f&Corrupt != 0 {
		return corrupt("the image is marked as damaged; qemu-img check -r all repairs what it can")
	}
	if (f&CompressionType != 0) != (m.h3.Compression != Deflate) {
		return corrupt("compression type %d and its feature bit do not fit together", m.h3.Compression)
	}
	if m.h3.Compression > Zstd {
		return unsupported("compression type %d", m.h3.Compression)
	}
	return nil
}

// checkContents refuses disks that are not in this one file, or not readable
// as they are.
func (m *Image) checkContents() error {
	h := m.h
	switch {
	case h.BackingFileOffset != 0:
		return unsupported("the image rests on the backing file %s, which an image must not name; qemu-img convert gives one file", m.backingName())
	case h.CryptMethod == 1:
		return unsupported("the disk is encrypted with AES")
	case h.CryptMethod == 2:
		return unsupported("the disk is encrypted with LUKS")
	case h.CryptMethod != 0:
		return unsupported("the disk is encrypted with method %d", h.CryptMethod)
	case h.NbSnapshots != 0:
		return unsupported("the image has %d internal snapshots, which a copy would lose; qemu-img snapshot -d removes them", h.NbSnapshots)
	}
	return nil
}

// backingName returns the name of the backing file in quotes.
func (m *Image) backingName() string {
	at := span.Span{Offset: int64(m.h.BackingFileOffset), Length: int64(m.h.BackingFileSize)}
	if at.Length > maxBackingName || at.Within(m.fileSize) != nil {
		return "(whose name cannot be read)"
	}
	b := make([]byte, at.Length)
	if _, err := m.r.ReadAt(b, at.Offset); err != nil && err != io.EOF {
		return "(whose name cannot be read)"
	}
	return fmt.Sprintf("%q", b)
}

// checkTables checks the numbers that all others rest on.
func (m *Image) checkTables() error {
	h := m.h
	least := MinClusterBits
	if m.extended() {
		least = MinExtendedClusterBits
	}
	switch {
	case h.ClusterBits < uint32(least) || h.ClusterBits >= 32:
		return corrupt("clusters of 2^%d bytes", h.ClusterBits)
	case h.ClusterBits > MaxClusterBits:
		return unsupported("clusters of 2^%d bytes", h.ClusterBits)
	case int64(m.h3.HeaderLength) > m.cluster():
		return corrupt("header of %d bytes is longer than a cluster", m.h3.HeaderLength)
	case m.h3.RefcountOrder > 6:
		return corrupt("refcounts of 2^%d bits", m.h3.RefcountOrder)
	case h.Size > 1<<62:
		return unsupported("disk of %d bytes", h.Size)
	}
	if err := m.checkTable("L1 table", h.L1TableOffset, int64(h.L1Size)*8, maxL1Size); err != nil {
		return err
	}
	if need := (int64(h.Size) + m.reach() - 1) / m.reach(); int64(h.L1Size) < need {
		return corrupt("L1 table of %d entries is too short for a disk of %d bytes, which takes %d", h.L1Size, h.Size, need)
	}
	return m.checkTable("refcount table", h.RefcountTableOffset, int64(h.RefcountTableClusters)<<h.ClusterBits, maxRefcountTab)
}

func (m *Image) checkTable(name string, offset uint64, length, limit int64) error {
	if length > limit {
		return unsupported("%s of %d bytes, at most %d are read", name, length, limit)
	}
	if length == 0 {
		return nil
	}
	if offset == 0 || offset%uint64(m.cluster()) != 0 {
		return corrupt("%s at %d, which is no cluster behind the first", name, offset)
	}
	if err := (span.Span{Offset: int64(offset), Length: length}).Within(m.fileSize); err != nil {
		return corrupt("%s: %w", name, err)
	}
	return nil
}

// featureNames returns what the image itself calls the features in unknown,
// or their numbers.
func (m *Image) featureNames(unknown Incompatible) string {
	names := make(map[uint8]string)
	table, err := m.extension(extFeatureNames)
	if err != nil {
		return fmt.Sprintf("%#x", uint64(unknown))
	}
	for ; len(table) >= 48; table = table[48:] {
		var f featureName
		decode(table, &f)
		if name, _, _ := strings.Cut(string(f.Name[:]), "\x00"); f.Type == 0 && f.Bit < 64 {
			names[f.Bit] = fmt.Sprintf("%q", name)
		}
	}
	var list []string
	for unknown != 0 {
		bit := uint8(bits.TrailingZeros64(uint64(unknown)))
		unknown &^= 1 << bit
		name, ok := names[bit]
		if !ok {
			name = fmt.Sprintf("bit %d", bit)
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}

// extension returns the data of the header extension of a type; nil if there
// is none. It reads no further than the smallest of the first cluster and
// 64 KiB.
func (m *Image) extension(kind uint32) ([]byte, error) {
	b := make([]byte, min(m.fileSize, 1<<min(m.h.ClusterBits, 16)))
	if _, err := m.r.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, err
	}
	for at := int64(m.h3.HeaderLength); at+8 <= int64(len(b)); {
		e := extension{binary.BigEndian.Uint32(b[at:]), binary.BigEndian.Uint32(b[at+4:])}
		if e.Type == extEnd {
			return nil, nil
		}
		body := span.Span{Offset: at + 8, Length: int64(e.Length)}
		if err := body.Within(int64(len(b))); err != nil {
			return nil, corrupt("header extension %#x: %w", e.Type, err)
		}
		if e.Type == kind {
			return b[body.Offset:body.End()], nil
		}
		at = span.AlignUp(body.End(), 8)
	}
	return nil, nil
}
