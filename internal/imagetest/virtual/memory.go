package virtual

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"sextant/internal/fault"
)

// Memory is a file in memory.
type Memory struct{ Bytes []byte }

// Size returns the bytes of the file.
func (m *Memory) Size() int64 { return int64(len(m.Bytes)) }

// ReadAt is io.ReaderAt's.
func (m *Memory) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errors.New("read at a negative offset")
	}
	if offset >= m.Size() {
		return 0, io.EOF
	}
	n := copy(p, m.Bytes[offset:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt is io.WriterAt's.
func (m *Memory) WriteAt(p []byte, offset int64) (int, error) {
	if end := offset + int64(len(p)); end > m.Size() {
		if err := m.Truncate(end); err != nil {
			return 0, err
		}
	}
	return copy(m.Bytes[offset:], p), nil
}

// Truncate makes the file longer or shorter.
func (m *Memory) Truncate(size int64) error {
	if size <= m.Size() {
		m.Bytes = m.Bytes[:size]
		return nil
	}
	m.Bytes = append(m.Bytes, make([]byte, size-m.Size())...)
	return nil
}

// Put writes a number of 1, 2, 4 or 8 bytes.
func (m *Memory) Put(order binary.ByteOrder, at int, value any) {
	b := m.Bytes[at:]
	switch v := value.(type) {
	case uint8:
		b[0] = v
	case uint16:
		order.PutUint16(b, v)
	case uint32:
		order.PutUint32(b, v)
	case uint64:
		order.PutUint64(b, v)
	default:
		panic("internal error: a number of another size")
	}
}

// ReadAll reads a disk by its segments and as a whole, up to limit bytes of
// each, as a copy would, and checks what holds for every disk however damaged:
// errors are those of the format, and segments are in order and inside.
func ReadAll(t testing.TB, d Disk, limit int64) error {
	t.Helper()
	buf := make([]byte, 1<<16)
	last, total := int64(0), int64(0)
	for m, err := range d.Segments() {
		if err != nil {
			return formatError(t, err)
		}
		if m.Offset < last || m.Length <= 0 || m.End() > d.Size() {
			t.Fatalf("Segments: %s behind %d, in a disk of %d bytes", m.Span, last, d.Size())
		}
		last = m.End()
		for at := m.Offset; at < m.End() && total < limit; at += int64(len(buf)) {
			n := min(int64(len(buf)), m.End()-at)
			if _, err := d.ReadAt(buf[:n], at); err != nil && err != io.EOF {
				return formatError(t, err)
			}
			total += n
		}
		if total++; total >= limit {
			break
		}
	}
	for at := int64(0); at < min(limit, d.Size()); at += int64(len(buf)) {
		if _, err := d.ReadAt(buf, at); err != nil && err != io.EOF {
			return formatError(t, err)
		}
	}
	return nil
}

func formatError(t testing.TB, err error) error {
	t.Helper()
	if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("error of no kind: %v", err)
	}
	return err
}
