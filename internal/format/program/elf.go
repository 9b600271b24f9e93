package program

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"sextant/internal/fault"
)

// ReadELF reads what an ELF program runs on. What is none wraps
// fault.ErrCorrupt.
func ReadELF(r io.ReaderAt) (ELF, error) {
	var e ELF
	p := make([]byte, binary.Size(e))
	if n, err := r.ReadAt(p, 0); n < len(p) {
		return ELF{}, short(err, "ELF header has %d of %d bytes", n, len(p))
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if Order(p[5]) == Big {
		order = binary.BigEndian
	}
	if _, err := binary.Decode(p, order, &e); err != nil {
		panic("internal error: " + err.Error())
	}
	switch {
	case string(e.Magic[:]) != elfMagic:
		return ELF{}, fault.Corrupt("not an ELF program")
	case e.Class != Class32 && e.Class != Class64:
		return ELF{}, fmt.Errorf("ELF class %d: %w", e.Class, fault.ErrCorrupt)
	case e.Order != Little && e.Order != Big:
		return ELF{}, fmt.Errorf("ELF byte order %d: %w", e.Order, fault.ErrCorrupt)
	case e.Version != elfVersion:
		return ELF{}, fmt.Errorf("ELF version %d: %w", e.Version, fault.ErrCorrupt)
	}
	return e, nil
}

// short says what is wrong where fewer bytes came than wanted.
func short(err error, format string, args ...any) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fault.ErrCorrupt
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
