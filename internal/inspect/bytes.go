package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/format/pkcs7"
	"sextant/internal/format/verity"
	"sextant/internal/hexdump"
	"sextant/internal/image"
	"sextant/internal/signature"
)

// Bytes prints the structures of an image byte by byte with what they mean:
// partition table, superblock of the hash tree, signature, file system. Offsets
// are those in the part that is printed. A part that is broken is printed as
// far as it can be followed, and what is wrong with it behind it.
func Bytes(w io.Writer, m *image.Image) error {
	if m.Dir {
		return fmt.Errorf("a directory has no structures: %w", fault.ErrUnsupported)
	}
	out := &dump{w: w}
	if m.Table != nil {
		out.part("partition table", gpt.Describe(w, m.Whole(), m.Size))
	}
	for _, vol := range m.Volumes() {
		if vol.Hash != nil {
			out.title(vol.Hash)
			out.part(vol.Hash.Name(), verity.Describe(w, m.Section(vol.Hash), vol.Hash.Span.Length))
		}
		if vol.Signature != nil {
			out.title(vol.Signature)
			out.part(vol.Signature.Name(), describeSignature(w, m, vol.Signature))
		}
		out.title(vol.Data)
		out.part(vol.Data.Name(), m.Describe(w, vol.Data))
	}
	return out.err
}

// dump goes on after a part that is broken.
type dump struct {
	w   io.Writer
	err error
}

func (d *dump) title(p *image.Part) {
	_, err := fmt.Fprintf(d.w, "\n#### %s, at %d\n", p.Name(), p.Span.Offset)
	d.err = errors.Join(d.err, err)
}

func (d *dump) part(name string, err error) {
	if err == nil {
		return
	}
	problem, fatal := understood(err)
	if fatal != nil {
		d.err = errors.Join(d.err, fmt.Errorf("%s: %w", name, fatal))
		return
	}
	_, err = fmt.Fprintf(d.w, "#### %s: %s\n", name, problem)
	d.err = errors.Join(d.err, err)
}

// describeSignature prints the text of a signature partition and the elements
// of the PKCS#7 in it.
func describeSignature(w io.Writer, m *image.Image, p *image.Part) error {
	content, err := signatureBytes(m, p)
	if err != nil {
		return err
	}
	out := hexdump.New(w)
	text, _, _ := bytes.Cut(content, []byte{0})
	out.Title("signature partition")
	out.Field(0, text, fmt.Sprintf("JSON, %d bytes", len(text)))
	out.Rest(int64(len(text)), content[len(text):])
	s, err := signature.Parse(content)
	if err != nil {
		return errors.Join(out.Err(), err)
	}
	out.Title("its PKCS#7, decoded")
	if err := pkcs7.Describe(out, s.PKCS7); err != nil {
		return err
	}
	return out.Err()
}
