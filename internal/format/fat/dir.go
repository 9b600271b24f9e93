package fat

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"sextant/internal/pages"
	"sextant/internal/tree"
)

// node is a file or directory with where its entry lies.
type node struct {
	name  string // as it is shown
	short string // the alias as it is shown
	entry DirEntry
	first uint32 // cluster, 0 for none
	root  bool

	dir   uint32 // first cluster of the directory that has it, 0: root
	slot  int    // first of its entries in that directory
	slots int    // how many entries it has, the short one is the last
}

func (n *node) isDir() bool { return n.root || n.entry.Attributes&Dir != 0 }

func (n *node) size() int64 {
	if n.isDir() {
		return 0
	}
	return int64(n.entry.Size)
}

func (n *node) modTime() time.Time {
	if n.root {
		return time.Date(firstYear, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return join(n.entry.WriteDate, n.entry.WriteTime)
}

// mode gives the permissions that Linux shows with an umask of 022.
func (n *node) mode() tree.Mode {
	mode := tree.TypeRegular | 0o755
	if n.isDir() {
		mode = tree.TypeDir | 0o755
	}
	if !n.root && n.entry.Attributes&ReadOnly != 0 {
		mode &^= 0o222
	}
	return mode
}

// matches reports whether a name means this file: the long or the short one, in
// whatever case.
func (n *node) matches(folded string) bool {
	return fold(n.name) == folded || fold(n.short) == folded
}

// directory is the bytes of a directory and where they lie.
type directory struct {
	bytes    []byte
	clusters []uint32 // none for the fixed root of FAT12 and FAT16
	fixed    bool
}

// rootNode returns the root directory.
func (f *FS) rootNode() *node { return &node{root: true, first: f.geo.RootCluster, name: "."} }

// readBytes reads the bytes of a directory.
func (f *FS) readBytes(n *node) (*directory, error) {
	d := &directory{}
	if n.root && f.geo.Bits != 32 {
		d.fixed = true
		d.bytes = make([]byte, f.geo.RootSize)
		_, err := pages.ReadFull(f.r, d.bytes, f.geo.RootStart)
		return d, err
	}
	if n.first == 0 {
		return nil, corrupt("directory without a cluster")
	}
	var err error
	if d.clusters, err = f.table.all(n.first, max(1, dirMax/f.geo.ClusterSize)); err != nil {
		return nil, err
	}
	size := f.geo.ClusterSize
	d.bytes = make([]byte, int64(len(d.clusters))*size)
	for from := 0; from < len(d.clusters); {
		to := from + 1
		for to < len(d.clusters) && d.clusters[to] == d.clusters[to-1]+1 {
			to++
		}
		at := f.geo.ClusterSpan(d.clusters[from], uint32(to-from))
		if _, err := pages.ReadFull(f.r, d.bytes[int64(from)*size:][:at.Length], at.Offset); err != nil {
			return nil, err
		}
		from = to
	}
	return d, nil
}

// slotOffset gives where an entry of a directory lies on the volume.
func (g *Geometry) slotOffset(d *directory, slot int) int64 {
	at := int64(slot) * DirEntrySize
	if d.fixed {
		return g.RootStart + at
	}
	return g.ClusterSpan(d.clusters[at/g.ClusterSize], 1).Offset + at%g.ClusterSize
}

// finding is what scan tells of an entry that is not as it has to be.
type finding struct {
	slot int
	text string
}

// listing is what a directory has in it.
type listing struct {
	nodes    []*node
	dots     []*node // "." and ".."
	labels   []*node // entries with the volume's label
	findings []finding
	end      int // slot of the end mark, or behind the last
}

// scan takes the entries of a directory apart. parent is its first cluster, 0
// for the root.
func (f *FS) scan(d *directory, parent uint32) *listing {
	list := &listing{end: len(d.bytes) / DirEntrySize}
	var long longReader
	start := 0
	for slot := range len(d.bytes) / DirEntrySize {
		b := d.bytes[slot*DirEntrySize:][:DirEntrySize]
		switch {
		case b[0] == markEnd:
			list.end = slot
			if long.begun {
				list.note(slot, "long name without its entry")
			}
			return list
		case b[0] == markDeleted:
			if long.begun {
				list.note(slot, "long name without its entry")
			}
			long = longReader{}
			continue
		}
		e := decodeEntry(b)
		if e.Attributes.isLong() {
			l := decodeLong(b)
			if l.Order&lastLong != 0 {
				start = slot
			}
			if !long.add(&l) {
				list.note(slot, "long name that does not continue the one before")
			}
			continue
		}
		name, ok := long.name(e.Name)
		if name == "" {
			start = slot // what stands before it is not its own
		}
		n := f.newNode(e, name)
		if !ok {
			list.note(slot, fmt.Sprintf("long name of %q is not whole, is another's, or cannot be a name", n.short))
		}
		n.dir, n.slot, n.slots = parent, start, slot-start+1
		list.take(n)
	}
	if long.begun {
		list.note(list.end, "long name without its entry")
	}
	return list
}

func (l *listing) note(slot int, text string) { l.findings = append(l.findings, finding{slot, text}) }

// newNode makes a node of an entry and the long name before it.
func (f *FS) newNode(e DirEntry, name string) *node {
	n := &node{name: name, short: e.Name.Text(0), entry: e, first: uint32(e.ClusterLo)}
	if f.geo.Bits == 32 {
		n.first |= uint32(e.ClusterHi) << 16 & entryBits
	}
	if name == "" {
		n.name = e.Name.Text(e.Case)
	}
	return n
}

// take sorts a node into the listing.
func (l *listing) take(n *node) {
	switch name := string(n.entry.Name[:]); {
	case n.entry.Attributes&VolumeID != 0:
		l.labels = append(l.labels, n)
	case name == dotName || name == dotDotName:
		l.dots = append(l.dots, n)
	default:
		l.nodes = append(l.nodes, n)
	}
}

// children returns what is in a directory, in the order of the volume. Entries
// without a name that a path could have are an error.
func (f *FS) children(dir *node) ([]*node, error) {
	d, err := f.readBytes(dir)
	if err != nil {
		return nil, err
	}
	list := f.scan(d, dir.first)
	seen := make(map[string]bool, len(list.nodes))
	for _, n := range list.nodes {
		if err := tree.CheckName(n.name); err != nil {
			return nil, corrupt("entry %d: %v", n.slot, err)
		}
		if seen[n.name] {
			return nil, corrupt("two entries %q", n.name)
		}
		seen[n.name] = true
	}
	return list.nodes, nil
}

// lookup finds a name in a directory.
func (f *FS) lookup(dir *node, name string) (*node, error) {
	list, err := f.children(dir)
	if err != nil {
		return nil, err
	}
	folded := fold(name)
	var found *node
	for _, n := range list {
		if n.name == name {
			return n, nil
		}
		if found == nil && n.matches(folded) {
			found = n
		}
	}
	if found == nil {
		return nil, fs.ErrNotExist
	}
	return found, nil
}

// resolve returns the file at path, whose names are separated by slashes.
func (f *FS) resolve(path string) (*node, error) {
	n := f.rootNode()
	for _, name := range tree.Split(path) {
		if name == ".." {
			return nil, fs.ErrInvalid
		}
		if !n.isDir() {
			return nil, fs.ErrNotExist
		}
		child, err := f.lookup(n, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("directory %q: %w", n.name, err)
		}
		if err != nil {
			return nil, err
		}
		n = child
	}
	return n, nil
}

// Label returns the label of the volume: that of the root directory, or else
// that of the boot sector, "" for none.
func (f *FS) Label() string {
	root := f.rootNode()
	if d, err := f.readBytes(root); err == nil {
		if labels := f.scan(d, root.first).labels; len(labels) > 0 {
			return oem(labels[0].entry.Name[:])
		}
	}
	label := f.tail.VolumeLabel
	if f.tail.ExtSignature != extSignature || string(label[:]) == "NO NAME    " {
		return ""
	}
	return strings.TrimRight(oem(label[:]), "\x00 ")
}
