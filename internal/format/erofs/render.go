package erofs

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sort"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// Image renders any part of the image that a Layout describes. It reads the
// files of the tree as it goes and keeps at most one of them open, and none of
// their bytes. An Image is for one goroutine; each has its own.
//
// Whoever reads a whole image does best with segments of 512 KiB or a multiple
// of it, at offsets that are multiples of their size: most files are then
// opened once.
type Image struct {
	l       *Layout
	node    int32 // whose content file is
	file    tree.Reader
	scratch []byte
	probe   [1]byte
}

// Open returns an Image of l, which opens files only when it needs them.
func (l *Layout) Open() *Image { return &Image{l: l, node: -1} }

// Size returns the length of the image in bytes.
func (m *Image) Size() int64 { return m.l.size }

// Close closes the file that was read last. The Image can still be used.
func (m *Image) Close() error {
	if m.file == nil {
		return nil
	}
	err := m.file.Close()
	m.file, m.node = nil, -1
	return err
}

// ReadAt fills p with the bytes of the image from off on. The error io.EOF
// says that the image ends before p does. A file that no longer has the size
// that it had in Plan is an error with the file's origin. After an error, what
// p holds means nothing.
func (m *Image) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	if off >= m.l.size {
		return 0, io.EOF
	}
	atEnd := int64(len(p)) > m.l.size-off
	if atEnd {
		p = p[:m.l.size-off]
	}
	if err := m.render(p, off); err != nil {
		return 0, err
	}
	if err := m.renderSuperBlock(p, off); err != nil {
		return 0, err
	}
	if atEnd {
		return len(p), io.EOF
	}
	return len(p), nil
}

// render writes all but the superblock.
func (m *Image) render(p []byte, off int64) error {
	m.clearMetadata(p, off)
	place(p, off, m.l.shared, m.l.sharedAt)
	// Inodes come first, so that the file open at the end is the one that goes
	// on in the next segment.
	if err := m.renderRecords(p, off); err != nil {
		return err
	}
	return m.renderExtents(p, off)
}

// place copies the part of src, which belongs at offset at, that lies within
// p, which begins at offset off.
func place(p []byte, off int64, src []byte, at int64) {
	if at < off {
		src = src[min(off-at, int64(len(src))):]
		at = off
	}
	if at-off < int64(len(p)) {
		copy(p[at-off:], src)
	}
}

// within returns the part of p, which begins at offset off, that lies in s.
func within(p []byte, off int64, s span.Span) []byte {
	start := max(s.Offset-off, 0)
	end := min(s.End()-off, int64(len(p)))
	if start >= end {
		return nil
	}
	return p[start:end]
}

// clearMetadata zeros what lies between the extents.
func (m *Image) clearMetadata(p []byte, off int64) {
	end := off + int64(len(p))
	at := off
	for _, e := range m.l.extents[m.firstExtent(off):] {
		if e.at >= end {
			break
		}
		if at < e.at {
			clear(p[at-off : e.at-off])
		}
		at = min(e.at+e.length, end)
	}
	clear(p[at-off:])
}

// firstExtent returns the index of the first extent that ends behind off.
func (m *Image) firstExtent(off int64) int {
	return sort.Search(len(m.l.extents), func(k int) bool {
		return m.l.extents[k].at+m.l.extents[k].length > off
	})
}

func (m *Image) renderExtents(p []byte, off int64) error {
	end := off + int64(len(p))
	for _, e := range m.l.extents[m.firstExtent(off):] {
		if e.at >= end {
			break
		}
		if m.l.dataWithTail(e.node, off, end) {
			continue
		}
		part := within(p, off, span.Span{Offset: e.at, Length: e.length})
		if err := m.renderData(part, e.node, e.from+max(off-e.at, 0)); err != nil {
			return err
		}
	}
	return nil
}

// dataWithTail reports whether a rendering of the bytes from off to end writes
// the data of node i together with its tail, to open the file only once.
func (l *Layout) dataWithTail(i int32, off, end int64) bool {
	n := &l.nodes[i]
	return n.src.Mode.IsRegular() && n.layout == FlatInline &&
		n.at >= off && n.at+l.recordSize(n) <= end
}

// renderData fills p with the data blocks of node i from the file's offset
// from on, and with zeros behind the end of the file.
func (m *Image) renderData(p []byte, i int32, from int64) error {
	n := &m.l.nodes[i]
	if rest := n.size - from; rest < int64(len(p)) {
		clear(p[max(rest, 0):])
		p = p[:max(rest, 0)]
	}
	if len(p) == 0 {
		return nil
	}
	switch n.src.Mode.Type() {
	case tree.TypeDir:
		m.renderDir(p, &m.l.dirs[n.dir], from)
		return nil
	case tree.TypeSymlink:
		copy(p, n.src.Target[from:])
		return nil
	}
	return m.readFile(p, i, from)
}

// renderDir fills p with the content of d from offset from on.
func (m *Image) renderDir(p []byte, d *directory, from int64) {
	for len(p) > 0 {
		b := from >> m.l.bits
		start := b << m.l.bits
		block := m.zeros(min(m.l.blockSize(), d.size-start))
		m.l.renderDirBlock(block, d, int32(b))
		n := copy(p, block[from-start:])
		p, from = p[n:], from+int64(n)
	}
}

// zeros returns n bytes of room that the next call takes back.
func (m *Image) zeros(n int64) []byte {
	if int64(cap(m.scratch)) < n {
		m.scratch = make([]byte, max(n, 2*m.l.blockSize()))
	}
	clear(m.scratch[:n])
	return m.scratch[:n]
}

// readFile fills p with the content of node i from offset from on.
func (m *Image) readFile(p []byte, i int32, from int64) error {
	n := &m.l.nodes[i]
	if err := m.openFile(i); err != nil {
		return err
	}
	if got, err := m.file.ReadAt(p, from); got < len(p) {
		if err == nil || err == io.EOF {
			return fmt.Errorf("%s: the file has become shorter than %d bytes", m.l.origin(i), n.size)
		}
		return fmt.Errorf("%s: %w", m.l.origin(i), err)
	}
	if from+int64(len(p)) == n.size {
		return m.checkGrowth(i)
	}
	return nil
}

// openFile makes m.file the content of node i.
func (m *Image) openFile(i int32) error {
	if m.node == i {
		return nil
	}
	if err := m.Close(); err != nil {
		return err
	}
	file, err := m.l.nodes[i].src.Content.Open()
	if err != nil {
		return fmt.Errorf("%s: %w", m.l.origin(i), err)
	}
	m.file, m.node = file, i
	return nil
}

// checkGrowth returns an error if m.file, that of node i, goes on behind the
// size it had.
func (m *Image) checkGrowth(i int32) error {
	if n, _ := m.file.ReadAt(m.probe[:], m.l.nodes[i].size); n > 0 {
		return fmt.Errorf("%s: the file has become longer than %d bytes", m.l.origin(i), m.l.nodes[i].size)
	}
	return nil
}

// checkSize returns an error if the file of node i does not have the size it
// had.
func (m *Image) checkSize(i int32) error {
	if err := m.openFile(i); err != nil {
		return err
	}
	if size := m.l.nodes[i].size; size > 0 {
		return m.readFile(m.probe[:], i, size-1)
	}
	return m.checkGrowth(i)
}

// renderRecords writes the inodes with all that follows each of them.
func (m *Image) renderRecords(p []byte, off int64) error {
	l, end := m.l, off+int64(len(p))
	first := sort.Search(len(l.records), func(k int) bool {
		n := &l.nodes[l.records[k]]
		return n.at+l.recordSize(n) > off
	})
	for _, i := range l.records[first:] {
		n := &l.nodes[i]
		if n.at >= end {
			break
		}
		if err := m.renderRecord(p, off, i); err != nil {
			return err
		}
		if !l.dataWithTail(i, off, end) || n.data == 0 {
			continue
		}
		part := within(p, off, span.Span{Offset: n.data, Length: l.dataSize(n)})
		if err := m.renderData(part, i, max(off-n.data, 0)); err != nil {
			return err
		}
	}
	return nil
}

// renderRecord writes the part of node i's record that lies within p.
func (m *Image) renderRecord(p []byte, off int64, i int32) error {
	l, n := m.l, &m.l.nodes[i]
	head, tail := n.headSize(), l.tail(n)
	record := span.Span{Offset: n.at, Length: head + tail}
	part := within(p, off, record)
	whole := int64(len(part)) == record.Length
	if !whole {
		part = make([]byte, record.Length) // at the ends of p only
	}
	l.renderInode(part, i)
	copy(part[n.inodeSize():], n.body)
	if err := m.renderData(part[head:], i, n.size-tail); err != nil {
		return err
	}
	if !whole {
		place(p, off, part, n.at)
	}
	if n.chunks != nil {
		m.renderTable(p, off, n)
	}
	if n.src.Content != nil && (n.chunks != nil || n.size == 0) {
		return m.checkSize(i) // nothing else looks at the file's end
	}
	return nil
}

// renderTable writes the part of n's chunk table that lies within p.
func (m *Image) renderTable(p []byte, off int64, n *node) {
	start := n.at + n.headSize()
	first := max(off-start, 0) / chunkEntrySize
	for first < n.chunks.count && start+first*chunkEntrySize < off+int64(len(p)) {
		count := min(n.chunks.count-first, m.l.blockSize()/chunkEntrySize)
		table := m.zeros(count * chunkEntrySize)
		n.chunks.renderTable(table, first, m.l.bits)
		place(p, off, table, start+first*chunkEntrySize)
		first += count
	}
}

// renderInode writes the inode of node i to the start of p.
func (l *Layout) renderInode(p []byte, i int32) {
	n := &l.nodes[i]
	if !n.extended {
		put(p, CompactInode{
			Format:     formatOf(n.layout, false),
			XattrCount: xattrCount(n.body),
			Mode:       n.src.Mode,
			Nlink:      uint16(n.nlink),
			Size:       uint32(n.size),
			Union:      l.union(n),
			Ino:        uint32(i) + 1,
			UID:        uint16(n.src.UID),
			GID:        uint16(n.src.GID),
		})
		return
	}
	modTime := l.modTime(n)
	put(p, ExtendedInode{
		Format:      formatOf(n.layout, true),
		XattrCount:  xattrCount(n.body),
		Mode:        n.src.Mode,
		Size:        uint64(n.size),
		Union:       l.union(n),
		Ino:         uint32(i) + 1,
		UID:         n.src.UID,
		GID:         n.src.GID,
		ModTime:     modTime.Unix(),
		ModTimeNsec: uint32(modTime.Nanosecond()),
		Nlink:       n.nlink,
	})
}

func xattrCount(body string) uint16 {
	if body == "" {
		return 0
	}
	return uint16(1 + (len(body)-xattrHeaderSize)/4)
}

// union returns the field whose meaning depends on the kind of inode.
func (l *Layout) union(n *node) uint32 {
	switch {
	case n.src.Mode.IsDevice():
		return encodeDevice(n.src.Device)
	case n.chunks != nil:
		return uint32(n.chunks.bits - l.bits)
	case n.data == 0 && n.layout == FlatInline:
		return math.MaxUint32 // as mkfs.erofs: no blocks
	}
	return uint32(n.data >> l.bits)
}

// renderSuperBlock writes the part of the superblock that lies within p. Its
// checksum covers inodes that share the block with it.
func (m *Image) renderSuperBlock(p []byte, off int64) error {
	at := span.Between(SuperBlockOffset, SuperBlockOffset+superBlockSize)
	if within(p, off, at) == nil {
		return nil
	}
	sum := span.Between(SuperBlockOffset, checksumEnd(m.l.blockSize()))
	block := within(p, off, sum)
	if int64(len(block)) < sum.Length {
		block = make([]byte, sum.Length)
		if err := m.render(block, sum.Offset); err != nil {
			return err
		}
	}
	super := m.l.superBlock()
	put(block, super)
	super.Checksum = checksum(block)
	put(block, super)
	place(p, off, block[:superBlockSize], at.Offset)
	return nil
}

func (l *Layout) superBlock() SuperBlock {
	s := SuperBlock{
		Magic:         Magic,
		FeatureCompat: CompatChecksum | CompatModTime,
		BlockBits:     l.bits,
		RootNID:       uint16(l.nid(0)),
		Inodes:        uint64(len(l.nodes)),
		BuildTime:     l.opts.BuildTime.Unix(),
		BuildTimeNsec: uint32(l.opts.BuildTime.Nanosecond()),
		Blocks:        uint32(l.size >> l.bits),
		XattrBlock:    uint32(l.sharedAt >> l.bits),
		UUID:          l.opts.UUID,
	}
	copy(s.VolumeName[:], l.opts.VolumeName)
	for i := range l.nodes {
		if l.nodes[i].chunks != nil {
			s.FeatureIncompat |= IncompatChunkedFile
			break
		}
	}
	return s
}
