package tar

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// piecesMax is the largest number of pieces that a file may have. It keeps an
// archive from filling the memory with a map that compresses well.
const piecesMax = 1 << 20

// Piece is a range of a file that has data.
type Piece struct {
	span.Span       // in the file
	At        int64 // where the data is in the archive
}

// ranges is a sparse map as it is written: where the data goes, in order.
type ranges []span.Span

func (m *ranges) add(offset, length int64) error {
	if len(*m) >= piecesMax {
		return fmt.Errorf("more than %d ranges of data in a file: %w", piecesMax, fault.ErrUnsupported)
	}
	*m = append(*m, span.Span{Offset: offset, Length: length})
	return nil
}

// pieces lays the ranges of a file of the given size over the data, which
// holds them one after the other and nothing else.
func (m ranges) pieces(data span.Span, size int64) ([]Piece, error) {
	var list []Piece
	at, end := data.Offset, int64(0)
	for _, s := range m {
		if err := s.Within(size); err != nil {
			return nil, fmt.Errorf("sparse map: %w: %w", err, fault.ErrCorrupt)
		}
		if s.Offset < end {
			return nil, fmt.Errorf("sparse map: bytes %s come after %d: %w", s, end, fault.ErrCorrupt)
		}
		end = s.End()
		if s.Length > data.End()-at {
			return nil, fmt.Errorf("sparse map: bytes %s are more than the archive holds: %w", s, fault.ErrCorrupt)
		}
		if s.Length > 0 {
			list = append(list, Piece{s, at})
		}
		at += s.Length
	}
	if at != data.End() {
		return nil, fmt.Errorf("sparse map: %d bytes of data belong nowhere: %w", data.End()-at, fault.ErrCorrupt)
	}
	return list, nil
}

// oldSparse reads the map of an entry of TypeSparse: four ranges in its
// header, more in the blocks that follow. It returns the size with holes.
func (r *Reader) oldSparse(block []byte) (m ranges, size int64, err error) {
	var tail GNUTail
	if _, err := binary.Decode(block[tailOffset:], binary.LittleEndian, &tail); err != nil {
		panic("internal error: " + err.Error())
	}
	if size, err = number(tail.RealSize[:]); err != nil {
		return nil, 0, err
	}
	if err := m.addEntries(tail.Sparse[:]); err != nil {
		return nil, 0, err
	}
	for more := tail.IsExtended; more != 0; {
		block, err := r.rawBlock()
		if err != nil {
			return nil, 0, err
		}
		var next SparseBlock
		if _, err := binary.Decode(block, binary.LittleEndian, &next); err != nil {
			panic("internal error: " + err.Error())
		}
		if err := m.addEntries(next.Sparse[:]); err != nil {
			return nil, 0, err
		}
		more = next.IsExtended
	}
	return m, size, nil
}

func (m *ranges) addEntries(entries []SparseEntry) error {
	for _, e := range entries {
		if e.Offset[0] == 0 || e.NumBytes[0] == 0 {
			return nil
		}
		offset, err := number(e.Offset[:])
		if err != nil {
			return err
		}
		length, err := number(e.NumBytes[:])
		if err != nil {
			return err
		}
		if err := m.add(offset, length); err != nil {
			return err
		}
	}
	return nil
}

// paxSparse reads the map of a regular file whose records say that it has
// one. The data is what the archive holds for it; in format 1.0 the map is at
// its start, and the data that is returned is what comes behind.
func (r *Reader) paxSparse(records Records, data span.Span) (m ranges, rest span.Span, err error) {
	major, minor := records[keySparseMajor], records[keySparseMinor]
	switch {
	case major == "1" && minor == "0":
		return r.dataSparse(data)
	case major != "" && major != "0", minor != "" && minor != "0" && minor != "1":
		return nil, data, fmt.Errorf("sparse format %s.%s: %w", major, minor, fault.ErrUnsupported)
	}
	m, err = parseMap(records[keySparseMap])
	return m, data, err
}

// parseMap reads "OFFSET,LENGTH,OFFSET,LENGTH...".
func parseMap(s string) (m ranges, err error) {
	for s != "" {
		var offset, length string
		offset, s, _ = strings.Cut(s, ",")
		length, s, _ = strings.Cut(s, ",")
		o, err := decimal(offset)
		if err != nil {
			return nil, fmt.Errorf("sparse map: %w", err)
		}
		l, err := decimal(length)
		if err != nil {
			return nil, fmt.Errorf("sparse map: %w", err)
		}
		if err := m.add(o, l); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// dataSparse reads "COUNT\nOFFSET\nLENGTH\n...", padded to a block.
func (r *Reader) dataSparse(data span.Span) (m ranges, rest span.Span, err error) {
	lines := lineReader{r: bufio.NewReaderSize(io.NewSectionReader(r.archive, data.Offset, data.Length), BlockSize)}
	count, err := lines.number()
	if err != nil {
		return nil, data, err
	}
	for range count {
		offset, err := lines.number()
		if err != nil {
			return nil, data, err
		}
		length, err := lines.number()
		if err != nil {
			return nil, data, err
		}
		if err := m.add(offset, length); err != nil {
			return nil, data, err
		}
	}
	used := min(span.AlignUp(lines.used, BlockSize), data.Length)
	return m, span.Span{Offset: data.Offset + used, Length: data.Length - used}, nil
}

// lineReader reads numbers, one in a line, and counts their bytes.
type lineReader struct {
	r    *bufio.Reader
	used int64
}

func (l *lineReader) number() (int64, error) {
	// No number is as long as the buffer, so ErrBufferFull is no number.
	line, err := l.r.ReadSlice('\n')
	l.used += int64(len(line))
	switch {
	case err == io.EOF, err == bufio.ErrBufferFull:
		return 0, fmt.Errorf("sparse map: %.20q is no number: %w", line, fault.ErrCorrupt)
	case err != nil:
		return 0, err
	}
	n, err := decimal(string(line[:len(line)-1]))
	if err != nil {
		return 0, fmt.Errorf("sparse map: %w", err)
	}
	return n, nil
}
