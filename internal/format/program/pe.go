package program

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// Section returns the content of the first section with a name of a PE program
// of size bytes: what is in the file of the bytes that it has in memory (section
// table of the PE Format; src/boot/pe.c and src/shared/pe-binary.c of systemd go
// by the size in memory too). Where those are more, zeros follow in memory. No
// such section is an error that wraps nothing; what breaks the format wraps
// fault.ErrCorrupt.
func Section(r io.ReaderAt, size int64, name string) (*io.SectionReader, error) {
	f := pe{r: r, size: size}
	if err := f.open(); err != nil {
		return nil, err
	}
	// There can be 65535 of them, 2.6 MB.
	table := bufio.NewReader(io.NewSectionReader(r, f.table.Offset, f.table.Length))
	for i := range f.header.Sections {
		var s section
		if err := binary.Read(table, binary.LittleEndian, &s); err != nil {
			return nil, fmt.Errorf("section %d: %w", i+1, err)
		}
		called, err := f.isCalled(s, name)
		if err != nil {
			return nil, fmt.Errorf("name of section %d: %w", i+1, err)
		}
		if !called {
			continue
		}
		content := span.Span{Offset: int64(s.Offset), Length: int64(min(s.VirtualSize, s.Size))}
		if err := content.Within(size); err != nil {
			return nil, fmt.Errorf("section %s: %w: %w", name, err, fault.ErrCorrupt)
		}
		return io.NewSectionReader(r, content.Offset, content.Length), nil
	}
	return nil, fmt.Errorf("has no section %s", name)
}

// pe is a PE program.
type pe struct {
	r      io.ReaderAt
	size   int64
	header peHeader
	table  span.Span // of the sections
}

func (f *pe) open() error {
	var dos dosHeader
	if err := f.decode("DOS header", 0, &dos); err != nil {
		return err
	}
	if string(dos.Magic[:]) != dosMagic {
		return fault.Corrupt("not a PE program")
	}
	if err := f.decode("PE header", int64(dos.Header), &f.header); err != nil {
		return err
	}
	if string(f.header.Magic[:]) != peMagic {
		return fault.Corrupt("a program of MS-DOS, not a PE program")
	}
	at := int64(dos.Header) + int64(binary.Size(f.header)) + int64(f.header.OptionalSize)
	f.table = span.Span{Offset: at, Length: int64(f.header.Sections) * int64(binary.Size(section{}))}
	if err := f.table.Within(f.size); err != nil {
		return fmt.Errorf("table of %d sections: %w: %w", f.header.Sections, err, fault.ErrCorrupt)
	}
	return nil
}

// decode reads one of the structures.
func (f *pe) decode(what string, at int64, v any) error {
	p, err := f.read(span.Span{Offset: at, Length: int64(binary.Size(v))})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if _, err := binary.Decode(p, binary.LittleEndian, v); err != nil {
		panic("internal error: " + err.Error())
	}
	return nil
}

// read reads a few bytes.
func (f *pe) read(s span.Span) ([]byte, error) {
	if err := s.Within(f.size); err != nil {
		return nil, fmt.Errorf("%w: %w", err, fault.ErrCorrupt)
	}
	p := make([]byte, s.Length)
	if n, err := f.r.ReadAt(p, s.Offset); n < len(p) {
		return nil, err
	}
	return p, nil
}

// isCalled reports whether a section has a name. Of those that fit into the
// header systemd looks there only.
func (f *pe) isCalled(s section, name string) (bool, error) {
	inHeader := strings.TrimRight(string(s.Name[:]), "\x00")
	if len(name) <= len(s.Name) {
		return inHeader == name, nil
	}
	digits, far := strings.CutPrefix(inHeader, "/")
	offset, err := strconv.ParseUint(digits, 10, 32)
	if !far || err != nil || f.header.Symbols == 0 {
		return false, nil
	}
	// The names begin with how many bytes they have, these four included.
	names := int64(f.header.Symbols) + int64(f.header.SymbolCount)*symbolSize
	p, err := f.read(span.Span{Offset: names, Length: 4})
	if err != nil {
		return false, err
	}
	own := span.Span{Offset: int64(offset), Length: int64(len(name)) + 1}
	switch length := int64(binary.LittleEndian.Uint32(p)); {
	case own.Offset >= length:
		return false, fmt.Errorf("lies at %d of %d bytes of names: %w", offset, length, fault.ErrCorrupt)
	case own.Within(length) != nil:
		return false, nil // another, shorter one
	}
	p, err = f.read(span.Span{Offset: names + own.Offset, Length: own.Length})
	return string(p) == name+"\x00", err
}
