package fat

import (
	"fmt"
	"io"

	"sextant/internal/hexdump"
	"sextant/internal/pages"
)

// maxDescribed bounds the elements of each kind that Describe prints.
const maxDescribed = 1024

// Describe prints the boot sector, the FSInfo, the first entries of the FAT and
// the root directory, field by field: the byte's place in the image, the bytes,
// the name and the meaning.
func (f *FS) Describe(w io.Writer) error {
	d := &description{hexdump.New(w), f}
	for _, part := range []func() error{d.boot, d.fsInfo, d.table, d.root} {
		if err := part(); err != nil {
			return fmt.Errorf("describe FAT: %w", err)
		}
	}
	return d.out.Err()
}

// DescribeFile prints the entry of the file at path, the clusters of its chain
// and, of a directory, its entries.
func (f *FS) DescribeFile(w io.Writer, path string) error {
	n, err := f.find("describe", path)
	if err != nil {
		return err
	}
	d := &description{hexdump.New(w), f}
	if err := d.file(n); err != nil {
		return fmt.Errorf("describe %s: %w", path, err)
	}
	return d.out.Err()
}

type description struct {
	out *hexdump.Printer
	fs  *FS
}

func (d *description) boot() error {
	f := d.fs
	b := make([]byte, BootSize)
	if _, err := pages.ReadFull(f.r, b, 0); err != nil {
		return err
	}
	d.out.Title("boot sector, %s, %d clusters of %d bytes", f.geo.Bits, f.geo.Clusters, f.geo.ClusterSize)
	d.out.Structure(0, b[:bpb32At], &BPB{})
	if f.geo.Bits == 32 {
		d.out.Structure(bpb32At, b[bpb32At:tailAt32], &BPB32{})
	}
	tail := f.tailAt()
	d.out.Structure(tail, b[tail:tail+26], &BPBTail{})
	d.out.Field(bootSignatureAt, b[bootSignatureAt:], "signature")
	return nil
}

func (d *description) fsInfo() error {
	sector := int64(d.fs.bpb32.FSInfoSector)
	if d.fs.geo.Bits != 32 || sector == 0 || sector >= int64(d.fs.bpb.ReservedSectors) {
		return nil
	}
	b := make([]byte, BootSize)
	at := sector * d.fs.geo.SectorSize
	if _, err := pages.ReadFull(d.fs.r, b, at); err != nil {
		return err
	}
	var info FSInfo
	decode(b, &info)
	d.out.Title("FSInfo")
	d.out.Field(at, b[:4], fmt.Sprintf("LeadSignature: %#x", info.LeadSignature))
	d.out.Rest(at+4, b[4:484])
	d.out.Field(at+484, b[484:488], fmt.Sprintf("StructSignature: %#x", info.StructSignature))
	d.out.Field(at+488, b[488:492], fmt.Sprintf("FreeCount: %d", info.FreeCount))
	d.out.Field(at+492, b[492:496], fmt.Sprintf("NextFree: %d", info.NextFree))
	d.out.Rest(at+496, b[496:508])
	d.out.Field(at+508, b[508:], fmt.Sprintf("TrailSignature: %#x", info.TrailSignature))
	return nil
}

// table prints the begin of the FAT that counts.
func (d *description) table() error {
	g := d.fs.geo
	for n := range g.FATs {
		d.out.Title("FAT %d at %d, %d bytes, counts: %t", n, g.FATStart+int64(n)*g.FATSize, g.FATSize, n == g.Active)
	}
	b := make([]byte, min(64, g.FATSize))
	at := g.FATStart + int64(g.Active)*g.FATSize
	if _, err := pages.ReadFull(d.fs.r, b, at); err != nil {
		return err
	}
	d.out.Field(at, b, "its begin")
	return nil
}

func (d *description) root() error { return d.directory(d.fs.rootNode(), "root directory") }

func (d *description) file(n *node) error {
	if !n.root {
		parent, err := d.fs.readBytes(&node{root: n.dir == d.fs.geo.RootCluster, first: n.dir})
		if err != nil {
			return err
		}
		d.out.Title("%s %q, alias %q", n.mode().Kind(), n.name, n.short)
		for slot := n.slot; slot < n.slot+n.slots; slot++ {
			d.slot(parent, slot)
		}
	}
	if err := d.chain(n); err != nil || !n.isDir() {
		return err
	}
	return d.directory(n, "directory")
}

// chain prints the runs of clusters that a file has.
func (d *description) chain(n *node) error {
	walk, err := d.fs.table.walk(n.first)
	if err != nil {
		return err
	}
	for count := 0; walk.at != 0; count++ {
		first := walk.at
		last := first
		for walk.at == last && err == nil {
			if err = walk.advance(); err == nil && walk.at == last+1 {
				last++
			}
		}
		d.out.Title("clusters %d to %d at %d", first, last, d.fs.geo.ClusterSpan(first, 1).Offset)
		if err != nil {
			return err
		}
		if count == maxDescribed {
			d.out.Title("and more")
			break
		}
	}
	return nil
}

func (d *description) directory(n *node, title string) error {
	dir, err := d.fs.readBytes(n)
	if err != nil {
		return err
	}
	list := d.fs.scan(dir, n.first)
	d.out.Title("%s, %d entries, end at %d", title, len(dir.bytes)/DirEntrySize, list.end)
	for slot := range min(list.end, maxDescribed) {
		d.slot(dir, slot)
	}
	if list.end > maxDescribed {
		d.out.Title("and more")
	}
	return nil
}

func (d *description) slot(dir *directory, slot int) {
	b := dir.bytes[slot*DirEntrySize:][:DirEntrySize]
	at := d.fs.geo.slotOffset(dir, slot)
	e := decodeEntry(b)
	switch {
	case b[0] == markEnd:
		d.out.Field(at, b, fmt.Sprintf("entry %d: end", slot))
	case b[0] == markDeleted:
		d.out.Field(at, b, fmt.Sprintf("entry %d: deleted", slot))
	case e.Attributes.isLong():
		l := decodeLong(b)
		u := l.units()
		d.out.Field(at, b, fmt.Sprintf("entry %d: piece %d of a long name, checksum %#x: %q", slot, l.Order&longOrder, l.Checksum, pieceText(u[:])))
	default:
		cluster := uint32(e.ClusterLo)
		if d.fs.geo.Bits == 32 {
			cluster |= uint32(e.ClusterHi) << 16
		}
		text := fmt.Sprintf("entry %d: %q, %s, case %s, %s, cluster %d, %d bytes", slot, e.Name[:], e.Attributes, e.Case,
			join(e.WriteDate, e.WriteTime).Format("2006-01-02 15:04:05"), cluster, e.Size)
		d.out.Field(at, b, text)
	}
}
