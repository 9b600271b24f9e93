package erofs

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"sextant/internal/hexdump"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// Describe prints every structure of the image in the order of their offsets,
// each field with its offset, bytes, name and meaning. Of file data only
// the place is printed, and of long runs the first few entries.
func (f *FS) Describe(w io.Writer) error {
	d := &describer{f: f}
	if err := d.superBlock(); err != nil {
		return err
	}
	c := newChecker(f)
	for what, s := range f.specials() {
		if err := d.inode(visit{path: what, inode: s.Inode}); err != nil {
			return err
		}
	}
	err := c.walk(func(v visit) error {
		if v.err != nil {
			return fmt.Errorf("%s: %w", v.path, v.err)
		}
		if v.again {
			return nil
		}
		return d.inode(v)
	})
	c.checkShared()
	for _, s := range c.claims {
		d.meta = f.areaOf(s.metabox)
		d.add(s.Span, s.what, d.xattrEntry)
	}
	slices.SortStableFunc(d.parts, func(a, b part) int {
		return cmp.Or(compareBool(a.inMetabox(f), b.inMetabox(f)), cmp.Compare(a.Offset, b.Offset))
	})
	out := hexdump.New(w)
	for _, p := range d.parts {
		if err := d.print(out, p); err != nil {
			return err
		}
	}
	return cmp.Or(err, out.Err())
}

// describer collects the parts of an image to print.
type describer struct {
	f     *FS
	meta  area // of what is added next
	parts []part
}

// part is one structure. Its print function gets the structure's bytes.
type part struct {
	span.Span
	meta  area
	title string
	print func(out *printer, p []byte)
}

func (p part) inMetabox(f *FS) bool { return p.meta.reader != source(f) }

func (d *describer) add(s span.Span, title string, print func(*printer, []byte)) {
	if s.Length > 0 {
		d.parts = append(d.parts, part{s, d.meta, title, print})
	}
}

// maxPrinted is how many bytes of a part are read and printed.
const maxPrinted = 1 << 16

func (d *describer) print(out *hexdump.Printer, p part) error {
	place := ""
	if p.inMetabox(d.f) {
		place = " of the metabox"
	}
	out.Title("%s at %#x%s, %d bytes", p.title, p.Offset, place, p.Length)
	if p.print == nil {
		return nil
	}
	data, err := p.meta.bytes(span.Span{Offset: p.Offset, Length: min(p.Length, maxPrinted)})
	if err != nil {
		return err
	}
	p.print(&printer{out, p.Offset}, data)
	return out.Err()
}

// inode adds what belongs to one inode.
func (d *describer) inode(v visit) error {
	i := v.inode
	d.meta = i.meta
	layout := any(&CompactInode{})
	head := int64(compactSize)
	if i.Format.Extended() {
		layout, head = &ExtendedInode{}, extendedSize
	}
	d.add(span.Span{Offset: i.at, Length: head}, fmt.Sprintf("inode %d %s", i.NID&^metaboxBit, v.path), d.fields(layout))
	d.add(span.Span{Offset: i.at + head, Length: i.xattrSize}, "extended attributes", d.xattrBody)
	if !i.Mode.IsRegular() && !i.Mode.IsDir() && i.Mode.Type() != tree.TypeSymlink {
		return nil
	}
	c, err := i.content()
	if err != nil {
		return fmt.Errorf("%s: %w", v.path, err)
	}
	return d.content(v, c)
}

func (d *describer) content(v visit, c content) error {
	switch x := c.(type) {
	case *flat:
		d.add(x.tail, "inline data of "+v.path, d.data(v.inode))
	case *chunked:
		d.add(x.table, "chunk table of "+v.path, d.chunkTable(x))
	case *compressed:
		return d.compressed(v, x)
	}
	places, err := c.place()
	if err != nil {
		return fmt.Errorf("%s: %w", v.path, err)
	}
	d.meta = d.f.image()
	for _, s := range places {
		if !v.inode.Mode.IsDir() {
			d.add(s, "data of "+v.path, nil)
			continue
		}
		for s.Length > 0 {
			n := min(s.Length, d.f.blockSize())
			d.add(span.Span{Offset: s.Offset, Length: n}, "directory block of "+v.path, d.dirBlock)
			s.Offset, s.Length = s.Offset+n, s.Length-n
		}
	}
	return nil
}

// data returns what prints the inline data of i.
func (d *describer) data(i *Inode) func(*printer, []byte) {
	if i.Mode.IsDir() {
		return d.dirBlock
	}
	return func(out *printer, p []byte) { out.text("Data", p) }
}

// fields returns what prints a structure of the type that v points to.
func (d *describer) fields(v any) func(*printer, []byte) {
	return func(out *printer, p []byte) { out.fields(p, v) }
}

func (d *describer) dirBlock(out *printer, p []byte) {
	entries, err := parseDirBlock(p)
	if err != nil {
		out.line(p, "no directory block", err.Error())
		return
	}
	for k, e := range entries {
		text := fmt.Sprintf("inode %d, %s, %.40q", e.NID, e.Type, e.Name)
		out.line(p[k*direntSize:(k+1)*direntSize], "Dirent", text)
	}
	for k, e := range entries {
		at := int(binary.LittleEndian.Uint16(p[k*direntSize+8:]))
		out.text("Name", p[at:at+len(e.Name)])
	}
}

func (d *describer) xattrBody(out *printer, p []byte) {
	var header XattrHeader
	at := out.fields(p, &header)
	for k := range header.SharedCount {
		if at+4 > len(p) {
			return
		}
		id := binary.LittleEndian.Uint32(p[at:])
		_, sharedAt := d.f.sharedAt(id)
		out.line(p[at:at+4], fmt.Sprintf("Shared %d", k), fmt.Sprintf("%d, at %#x", id, sharedAt))
		at += 4
	}
	for at < len(p) {
		_, size, err := d.f.parseXattr(p[at:])
		if err != nil {
			out.line(p[at:], "no entry", err.Error())
			return
		}
		d.xattrEntry(out, p[at:at+int(size)])
		at += int(size)
	}
}

func (d *describer) xattrEntry(out *printer, p []byte) {
	x, _, err := d.f.parseXattr(p)
	if err != nil {
		out.line(p, "no entry", err.Error())
		return
	}
	var e XattrEntry
	at := out.fields(p, &e)
	at += out.text("Name", p[at:at+int(e.NameLength)])
	at += out.text("Value", p[at:at+len(x.Value)])
	if at < len(p) {
		out.line(p[at:], "Padding", "")
	}
}

func (d *describer) chunkTable(c *chunked) func(*printer, []byte) {
	return func(out *printer, p []byte) {
		for k := 0; len(p) >= int(c.entry); k++ {
			value := "hole"
			if block, _ := c.block(p); block != nullAddress {
				value = fmt.Sprintf("block %d", block)
			}
			out.line(p[:c.entry], fmt.Sprintf("Chunk %d", k), value)
			p = p[c.entry:]
		}
	}
}

// printer prints fields and knows the offset it has come to.
type printer struct {
	*hexdump.Printer
	at int64
}

// maxField is how many bytes of a field are shown.
const maxField = 32

// line prints one field and moves behind it.
func (o *printer) line(p []byte, name, value string) {
	text := name
	if value != "" {
		text += ": " + value
	}
	if len(p) > maxField {
		text += fmt.Sprintf(" (%d bytes)", len(p))
	}
	o.Field(o.at, p[:min(len(p), maxField)], text)
	o.at += int64(len(p))
}

// text prints p with its start as a string, and returns its length.
func (o *printer) text(name string, p []byte) int {
	if len(p) > 0 {
		o.line(p, name, fmt.Sprintf("%.40q", p))
	}
	return len(p)
}

// fields decodes the structure that v points to from the start of p, prints it
// and returns its length.
func (o *printer) fields(p []byte, v any) int {
	if binary.Size(v) > len(p) {
		o.line(p, "", "cut short")
		return len(p)
	}
	take(p, v)
	at := 0
	s := reflect.ValueOf(v).Elem()
	for k := range s.NumField() {
		field := s.Type().Field(k)
		size := binary.Size(reflect.Zero(field.Type).Interface())
		name, value := field.Name, ""
		if name == "_" {
			name = "(unused)"
		} else {
			value = meaning(s.Field(k).Interface())
		}
		o.line(p[at:at+size], name, value)
		at += size
	}
	return at
}

// meaning gives the value of a field in words.
func meaning(v any) string {
	switch v := v.(type) {
	case [16]byte:
		return fmt.Sprintf("%q", strings.TrimRight(string(v[:]), "\x00"))
	case uint32:
		return fmt.Sprintf("%d (%#x)", v, v)
	case tree.Mode:
		return fmt.Sprintf("%s %04o", v.Kind(), uint16(v.Perm()))
	case XattrPrefix:
		return v.String()
	case fmt.Stringer:
		return v.String()
	}
	return fmt.Sprint(v)
}
