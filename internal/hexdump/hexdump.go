// Package hexdump prints the bytes of a format with a comment on each field,
// for people who inspect an image and for the golden files of tests.
//
//	== primary header
//	00000200  45 46 49 20 50 41 52 54                          signature: "EFI PART"
//	00000208  00 00 01 00                                      revision: 1.0
//	0000025c  (420 zero bytes)
package hexdump

import (
	"fmt"
	"io"
	"strings"

	"sextant/internal/plain"
)

// Printer prints fields one after the other. The first write that fails stops
// it; Err tells.
type Printer struct {
	w   io.Writer
	err error
}

// New returns a Printer that prints to w.
func New(w io.Writer) *Printer { return &Printer{w: w} }

// Err returns the error of the first write that failed.
func (p *Printer) Err() error { return p.err }

// Title begins a part.
func (p *Printer) Title(format string, args ...any) {
	p.printf("== %s\n", plain.Text(fmt.Sprintf(format, args...)))
}

// Field prints the bytes b, which lie at offset, sixteen to a line, and the
// text behind the first line.
func (p *Printer) Field(offset int64, b []byte, text string) {
	text = plain.Text(text)
	for len(b) > 0 {
		n := min(16, len(b))
		line := fmt.Sprintf("%08x  %-47s  %s", offset, fmt.Sprintf("% x", b[:n]), text)
		p.printf("%s\n", strings.TrimRight(line, " "))
		text = ""
		offset, b = offset+int64(n), b[n:]
	}
}

// Rest prints bytes that belong to no field: a count if all are zero, and the
// bytes themselves, with a note, if not.
func (p *Printer) Rest(offset int64, b []byte) {
	switch {
	case len(b) == 0:
	case strings.Trim(string(b), "\x00") == "":
		p.printf("%08x  (%d zero bytes)\n", offset, len(b))
	default:
		p.Field(offset, b, "must be zero")
	}
}

func (p *Printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}
