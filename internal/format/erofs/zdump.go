package erofs

import (
	"fmt"
	"strings"

	"sextant/internal/span"
)

// superBlock adds the superblock, and the settings of compression behind it.
func (d *describer) superBlock() error {
	f := d.f
	d.meta = f.image()
	d.add(span.Span{Offset: SuperBlockOffset, Length: superBlockSize}, "superblock", d.fields(&f.super))
	s := f.superBlockSpan()
	if s.Length > superBlockSize {
		s = span.Between(s.Offset+superBlockSize, s.End())
		d.add(s, "superblock extension", d.fields(&f.more))
	}
	return f.eachConfig(func(a Algorithm, s span.Span, config any) error {
		d.add(s, fmt.Sprintf("settings of %s", a), d.fields(config))
		return nil
	})
}

// compressed adds the map of a compressed file, and where its data is.
func (d *describer) compressed(v visit, c *compressed) error {
	d.add(c.table, c.form+" of "+v.path, func(out *printer, p []byte) { c.describe(out, p) })
	if err := c.each(span.Span{Length: c.size}, func(p pcluster) error {
		d.add(p.inlined(), "inline pcluster of "+v.path, func(out *printer, p []byte) { out.text("Data", p) })
		return nil
	}); err != nil {
		return fmt.Errorf("%s: %w", v.path, err)
	}
	places, err := c.place()
	if err != nil {
		return fmt.Errorf("%s: %w", v.path, err)
	}
	d.meta = d.f.image()
	for _, s := range places {
		d.add(s, "data of "+v.path, nil)
	}
	return nil
}

// describe prints the map header and the first of what follows it.
func (c *compressed) describe(out *printer, p []byte) {
	switch x := c.find.(type) {
	case fragment:
		out.line(p, "Fragment", fmt.Sprintf("at %#x of the packed inode", x.at))
	case *indexes:
		at := out.fields(p, &x.header)
		x.describe(out, p[at:])
	case *extents:
		at := out.fields(p, &MapHeader{})
		x.describe(out, p[at:])
	}
}

// maxIndexes is how many lines of indexes or extents are printed for a file.
const maxIndexes = 16

func (x *indexes) describe(out *printer, p []byte) {
	full := x.c.inode.Format.Layout() == CompressedFull
	if full {
		out.line(p[:fullIndexGap], "(unused)", "")
		p = p[fullIndexGap:]
	}
	for n, lines := int64(0), 0; n < x.count && lines < maxIndexes; lines++ {
		size, count := int64(fullIndexSize), 1
		if !full {
			s, c, _ := x.packs.find(n)
			size, count = s.Length, c
		}
		if size > int64(len(p)) {
			break
		}
		var list []string
		for k := n; k < min(n+int64(count), x.count); k++ {
			list = append(list, x.describeIndex(k))
		}
		out.line(p[:size], fmt.Sprintf("Index %d", n), strings.Join(list, "; "))
		p, n = p[size:], n+int64(count)
	}
	if len(p) > 0 {
		out.line(p, "More indexes", "")
	}
}

func (x *indexes) describeIndex(n int64) string {
	l, err := x.load(n)
	switch {
	case err != nil:
		return err.Error()
	case l.head() && l.partial:
		return fmt.Sprintf("%s %d block %d partial", l.kind, l.offset, l.block)
	case l.head():
		return fmt.Sprintf("%s %d block %d", l.kind, l.offset, l.block)
	case l.blocks > 0:
		return fmt.Sprintf("%d blocks", l.blocks)
	}
	return fmt.Sprintf("-%d", l.back)
}

func (x *extents) describe(out *printer, p []byte) {
	before := min(x.at-x.c.table.Offset-mapHeaderSize, int64(len(p)))
	if x.record == shortestExtent && before >= 8 {
		out.line(p[before-8:before], "Start", "")
	} else if before > 0 {
		out.line(p[:before], "(unused)", "")
	}
	p = p[before:]
	for k := range min(x.count, maxIndexes) {
		if x.record > int64(len(p)) {
			break
		}
		out.line(p[:x.record], fmt.Sprintf("Extent %d", k), x.describeExtent(k))
		p = p[x.record:]
	}
	if len(p) > 0 {
		out.line(p, "More extents", "")
	}
}

func (x *extents) describeExtent(k int64) string {
	e, err := x.load(k)
	at := e.offset()
	if err == nil && x.record <= shortExtent {
		at = k << x.bits
		_, e, _, err = x.search(at)
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d bytes at %#x, form %d, for %d", e.length(), e.start(), e.Length>>extentFormShift, at)
}
