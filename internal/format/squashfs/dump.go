package squashfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"sextant/internal/hexdump"
	"sextant/internal/span"
)

// Describe prints the bytes of the superblock, of the compressor options, of
// the indexes of the lookup tables and of the root directory's inode, with
// what they mean, and where the parts between lie. It shows an image that Open
// refuses as far as its numbers can be followed; then it returns Open's error.
func Describe(w io.Writer, r io.ReaderAt, size int64) error {
	out := hexdump.New(w)
	var b [superblockSize]byte
	if size < superblockSize {
		return fmt.Errorf("describe squashfs: %w", corrupt("%d bytes", size))
	}
	if _, err := r.ReadAt(b[:], 0); err != nil {
		return fmt.Errorf("describe squashfs: %w", noEOF(err))
	}
	var s Superblock
	if _, err := binary.Decode(b[:], binary.LittleEndian, &s); err != nil {
		return err
	}
	describeSuperblock(out, s, b[:])
	fs, err := Open(r, size)
	if err == nil {
		err = fs.describe(out)
	}
	if out.Err() != nil {
		return out.Err()
	}
	return err
}

func describeSuperblock(out *hexdump.Printer, s Superblock, b []byte) {
	out.Title("superblock")
	field := func(at, size int64, format string, args ...any) {
		out.Field(at, b[at:at+size], fmt.Sprintf(format, args...))
	}
	table := func(at int64, name string, start uint64) {
		if start == none {
			field(at, 8, "%s: none", name)
			return
		}
		field(at, 8, "%s: at %d", name, start)
	}
	field(0, 4, "magic: %q", b[:4])
	field(4, 4, "inodes: %d", s.Inodes)
	field(8, 4, "made: %s", time.Unix(int64(s.MakeTime), 0).UTC().Format(time.RFC3339))
	field(12, 4, "block size: %d", s.BlockSize)
	field(16, 4, "fragments: %d", s.Fragments)
	field(20, 2, "compressor: %s", s.Compression)
	field(22, 2, "block size: 2^%d", s.BlockLog)
	field(24, 2, "flags: %s", s.Flags)
	field(26, 2, "ids: %d", s.IDs)
	field(28, 4, "version: %d.%d", s.Major, s.Minor)
	field(32, 8, "root directory: inode at %s", s.Root)
	field(40, 8, "bytes used: %d", s.BytesUsed)
	table(48, "id table", s.IDTable)
	table(56, "xattr table", s.XattrTable)
	table(64, "inode table", s.InodeTable)
	table(72, "directory table", s.DirectoryTable)
	table(80, "fragment table", s.FragmentTable)
	table(88, "export table", s.ExportTable)
}

func (fs *FS) describe(out *hexdump.Printer) error {
	if fs.options != nil {
		fs.describeOptions(out)
	}
	if err := fs.describeInode(out); err != nil {
		return err
	}
	for _, t := range []struct {
		name string
		span span.Span
	}{
		{"inode table", fs.inodes},
		{"directory table", fs.directories},
		{"fragment entries", fs.fragments.table},
		{"export entries", fs.export.table},
		{"xattrs", fs.xattrs},
		{"xattr entries", fs.xattrIDs.table},
	} {
		if t.span.Length > 0 {
			out.Title("%s: metadata blocks in bytes %s", t.name, t.span)
		}
	}
	for _, t := range []*lookup{&fs.fragments, &fs.export, &fs.xattrIDs} {
		if err := fs.describeIndex(out, t); err != nil {
			return err
		}
	}
	fs.describeIDs(out)
	return nil
}

// describeOptions prints what the compressor was told.
func (fs *FS) describeOptions(out *hexdump.Printer) {
	out.Title("compressor options")
	names := map[Compression][]string{
		Gzip: {"level", "window size"},
		XZ:   {"dictionary size", "filters"},
		LZ4:  {"version", "flags"},
		Zstd: {"level"},
	}[fs.super.Compression]
	at := int64(superblockSize)
	out.Field(at, binary.LittleEndian.AppendUint16(nil, uint16(len(fs.options))|storedMetadata), fmt.Sprintf("%d bytes, stored", len(fs.options)))
	at += metadataHeader
	for b := fs.options; len(b) > 0; {
		n, text := min(4, len(b)), ""
		if len(names) > 0 {
			text, names = names[0], names[1:]
		}
		if text == "window size" {
			n = min(2, len(b))
		}
		switch n {
		case 4:
			text = fmt.Sprintf("%s: %d", text, binary.LittleEndian.Uint32(b))
		case 2:
			text = fmt.Sprintf("%s: %d", text, binary.LittleEndian.Uint16(b))
		}
		out.Field(at, b[:n], text)
		at, b = at+int64(n), b[n:]
	}
}

// describeInode prints the root directory's inode as it is unpacked; the
// offsets are those in the metadata block.
func (fs *FS) describeInode(out *hexdump.Printer) error {
	c, err := fs.cursorAt(fs.inodes, fs.root.ref)
	if err != nil {
		return err
	}
	n := fs.root
	size := 32
	if n.extra {
		size = 40
	}
	b := make([]byte, size)
	if err := c.read(b); err != nil {
		return err
	}
	out.Title("inode of the root directory, unpacked from the metadata block at %d", fs.inodes.Offset+int64(n.ref.block()))
	base := int64(n.ref.offset())
	field := func(at, size int64, format string, args ...any) {
		out.Field(base+at, b[at:at+size], fmt.Sprintf(format, args...))
	}
	kind := n.kind
	if n.extra {
		kind += extended
	}
	field(0, 2, "type: %s", kind)
	field(2, 2, "mode: %04o", n.mode)
	field(4, 4, "owner and group: %d, %d", n.uid, n.gid)
	field(8, 4, "modified: %s", n.modTime().UTC().Format(time.RFC3339))
	field(12, 4, "number: %d", n.number)
	rest := int64(16)
	out.Field(base+rest, b[rest:], fmt.Sprintf("links: %d, listing: %d bytes at %s, parent: %d", n.links, n.size, n.listing, n.parent))
	return nil
}

func (fs *FS) describeIndex(out *hexdump.Printer, t *lookup) error {
	if t.count == 0 {
		return nil
	}
	out.Title("%s table: index of %d entries of %d bytes", t.name, t.count, t.size)
	const most = 64 // lines, as a large image has thousands
	for at := t.index.Offset; at < t.index.End() && at < t.index.Offset+8*most; at += 8 {
		var b [8]byte
		if err := fs.readAt(b[:], at); err != nil {
			return err
		}
		out.Field(at, b[:], fmt.Sprintf("metadata block at %d", binary.LittleEndian.Uint64(b[:])))
	}
	if rest := t.index.Length/8 - most; rest > 0 {
		out.Title("and %d more", rest)
	}
	return nil
}

func (fs *FS) describeIDs(out *hexdump.Printer) {
	out.Title("id table: %d ids", len(fs.ids))
	for i, id := range fs.ids[:min(len(fs.ids), 64)] {
		out.Field(int64(4*i), binary.LittleEndian.AppendUint32(nil, id), fmt.Sprintf("id %d: %d", i, id))
	}
}
