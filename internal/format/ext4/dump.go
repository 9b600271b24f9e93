package ext4

import (
	"encoding/binary"
	"fmt"
	"io"
	"reflect"
	"strings"

	"sextant/internal/hexdump"
	"sextant/internal/pages"
)

// maxDescribed bounds the elements of each kind that Describe prints.
const maxDescribed = 1024

// Describe prints the superblock and the group descriptors, field by field: the
// byte's place in the image, the bytes, the name and the meaning.
func (f *FS) Describe(w io.Writer) error {
	d := &description{out: hexdump.New(w), fs: f}
	raw := make([]byte, SuperBlockSize)
	if _, err := pages.ReadFull(f.image, raw, SuperBlockOffset); err != nil {
		return fmt.Errorf("describe ext4: %w", err)
	}
	d.fields("superblock", SuperBlockOffset, raw, &SuperBlock{})
	per := f.geo.DescsPerBlock()
	for g := range min(f.geo.Groups, maxDescribed) {
		number := f.geo.DescBlock(uint64(g / per))
		b, err := f.block(number)
		if err != nil {
			return fmt.Errorf("describe ext4: %w", err)
		}
		at := int(g%per) * f.geo.DescSize
		end := at + min(f.geo.DescSize, descSize64)
		d.fields(fmt.Sprintf("group descriptor %d", g), f.geo.Bytes(number, 1).Offset+int64(at), b[at:end], &GroupDesc{})
	}
	return d.out.Err()
}

// DescribeFile prints the inode of the file at path, its attributes, the blocks
// of its map and, of a directory, its entries. It does not follow a link at the
// end of path.
func (f *FS) DescribeFile(w io.Writer, path string) error {
	n, err := f.find("describe", path, false)
	if err != nil {
		return err
	}
	d := &description{out: hexdump.New(w), fs: f, node: n}
	for _, part := range []func() error{d.inode, d.attributes, d.blocks, d.entries} {
		if err := part(); err != nil {
			return fmt.Errorf("describe %s: inode %d: %w", path, n.number, err)
		}
	}
	return d.out.Err()
}

// description prints structures, those of one file among them.
type description struct {
	out  *hexdump.Printer
	fs   *FS
	node *node
}

// fields prints a structure that lies at the offset base of the image. Fields
// that b has no room for are left out.
func (d *description) fields(title string, base int64, b []byte, structure any) {
	d.out.Title("%s", title)
	full := make([]byte, max(len(b), binary.Size(structure)))
	copy(full, b)
	decode(full, structure)
	v := reflect.ValueOf(structure).Elem()
	at := 0
	for i := range v.NumField() {
		size := binary.Size(v.Field(i).Interface())
		if at+size > len(b) {
			break
		}
		text := strings.TrimRight(v.Type().Field(i).Name+": "+meaning(v.Field(i)), ": ")
		d.out.Field(base+int64(at), b[at:at+size], text)
		at += size
	}
}

// meaning gives the value of a field in words.
func meaning(v reflect.Value) string {
	if s, ok := v.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	switch v.Kind() {
	case reflect.Array:
		if v.Type().Elem().Kind() != reflect.Uint8 {
			return ""
		}
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		if text := strings.TrimRight(string(b), "\x00"); text == "" {
			return "zero"
		} else if isText(text) {
			return fmt.Sprintf("%q", text)
		}
		return fmt.Sprintf("%x", b)
	default:
		return fmt.Sprint(v.Interface())
	}
}

func isText(s string) bool {
	for _, r := range s {
		if r < ' ' || r > '~' {
			return false
		}
	}
	return true
}

func (d *description) inode() error {
	block, at, err := d.fs.inodeBlock(d.node.number)
	if err != nil {
		return err
	}
	record := d.node.record
	if len(record) > inodeSize0 {
		record = record[:min(len(record), inodeSize0+int(d.node.disk.ExtraSize))]
	}
	title := fmt.Sprintf("inode %d, a %s", d.node.number, d.node.mode().Kind())
	d.fields(title, d.fs.geo.Bytes(block, 1).Offset+int64(at), record, &Inode{})
	return nil
}

func (d *description) attributes() error {
	body, err := d.fs.xattrBody(d.node)
	if err != nil {
		return err
	}
	if err := d.area("attribute in the inode", body); err != nil {
		return err
	}
	number := d.fs.xattrBlock(d.node)
	if number == 0 {
		return nil
	}
	area, _, err := d.fs.xattrBlockArea(number)
	if err != nil {
		return err
	}
	b := area.valueBytes
	d.fields(fmt.Sprintf("xattr block %d", number), d.fs.geo.Bytes(number, 1).Offset, b[:xattrHeaderSize], &XattrHeader{})
	return d.area("attribute in the block", area)
}

func (d *description) area(title string, a xattrArea) error {
	for x, err := range a.entries() {
		if err != nil {
			return err
		}
		d.out.Title("%s: %s %q, %d bytes, hash %#x, inode %d", title, x.NameIndex, x.name, x.ValueSize, x.Hash, x.ValueInode)
	}
	return nil
}

// blocks prints the map: its own blocks, and the runs that they lead to.
func (d *description) blocks() error {
	if !d.fs.hasMap(d.node) {
		return nil
	}
	count := 0
	more := func() error {
		if count++; count > maxDescribed {
			d.out.Title("and more")
			return errStop
		}
		return nil
	}
	err := d.fs.walkRuns(d.node, 0, func(block uint64) error {
		if err := more(); err != nil {
			return err
		}
		d.out.Title("map block %d", block)
		return nil
	}, func(r Run) error {
		if err := more(); err != nil {
			return err
		}
		state := ""
		if r.Unwritten {
			state = ", never written"
		}
		d.out.Title("logical blocks %d+%d at %d%s", r.Logical, r.Length, r.Physical, state)
		return nil
	})
	if err == errStop {
		return nil
	}
	return err
}

func (d *description) entries() error {
	if !d.node.mode().IsDir() {
		return nil
	}
	count := 0
	for b, err := range d.fs.dirBlocks(d.node) {
		if err != nil {
			return err
		}
		d.out.Title("directory block %d at %d, index: %t", b.logical, b.number, b.index)
		for e, err := range d.fs.entries(b) {
			if err != nil {
				return err
			}
			if count++; count > maxDescribed {
				d.out.Title("and more")
				return nil
			}
			d.entry(b, e)
		}
	}
	return nil
}

func (d *description) entry(b dirBlock, e dirent) {
	text := fmt.Sprintf("inode %d, %s, %q", e.inode, e.fileType, e.name)
	if b.number == 0 {
		d.out.Title("%s", text) // inside the inode
		return
	}
	d.out.Field(d.fs.geo.Bytes(b.number, 1).Offset+int64(e.at), b.bytes[e.at:e.at+direntHeader+len(e.name)], text)
}
