package squashfs

import (
	"fmt"
	"slices"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

// entry is one name in a directory. It implements fs.DirEntry.
type entry struct {
	dir    *inode
	name   string
	ref    Ref
	number uint32
	kind   inodeType
	nth    int32 // in the listing
}

const (
	// phantom is what Linux adds to the size of a listing for "." and "..".
	phantom = 3

	dirHeaderSize = 12
	dirEntrySize  = 8
	maxRun        = 256 // entries behind one header
)

// listing reads the entries of a directory one after the other.
type listing struct {
	dir  *inode
	c    *cursor
	left int64 // bytes
	run  int   // entries until the next header
	nth  int32 // entries so far
	head dirHeader
}

func (fs *FS) listing(dir *inode) (*listing, error) {
	if dir.size <= phantom {
		return &listing{dir: dir}, nil
	}
	c, err := fs.cursorAt(fs.directories, dir.listing)
	if err != nil {
		return nil, err
	}
	return &listing{dir: dir, c: c, left: int64(dir.size) - phantom}, nil
}

// next returns the next entry, and false behind the last.
func (l *listing) next() (entry, bool, error) {
	if l.run == 0 {
		if l.left == 0 {
			return entry{}, false, nil
		}
		if err := l.header(); err != nil {
			return entry{}, false, err
		}
	}
	l.run--
	l.nth++
	e, err := l.entry()
	return e, err == nil, err
}

func (l *listing) take(n int64) error {
	if n > l.left {
		return corrupt("listing ends within an entry")
	}
	l.left -= n
	return nil
}

func (l *listing) header() error {
	if err := l.take(dirHeaderSize); err != nil {
		return err
	}
	var err error
	if l.head, err = l.c.dirHeader(); err != nil {
		return err
	}
	if l.head.Count >= maxRun {
		return corrupt("%d entries behind one header, at most %d", uint64(l.head.Count)+1, maxRun)
	}
	l.run = int(l.head.Count) + 1
	return nil
}

func (l *listing) entry() (entry, error) {
	if err := l.take(dirEntrySize); err != nil {
		return entry{}, err
	}
	d, err := l.c.dirEntry()
	if err != nil {
		return entry{}, err
	}
	size := int(d.Size) + 1
	if size > tree.NameMax {
		return entry{}, corrupt("name of %d bytes, Linux allows %d", size, tree.NameMax)
	}
	if err := l.take(int64(size)); err != nil {
		return entry{}, err
	}
	name, err := l.c.text(size)
	if err != nil {
		return entry{}, err
	}
	if name[0] == '.' || strings.IndexByte(name, '/') >= 0 || strings.IndexByte(name, 0) >= 0 {
		if err := tree.CheckName(name); err != nil {
			return entry{}, corrupt("%w", err)
		}
	}
	if d.Type < typeDir || d.Type > typeSocket {
		return entry{}, corrupt("%q has type %d", name, uint16(d.Type))
	}
	return entry{
		dir:    l.dir,
		name:   name,
		ref:    makeRef(l.head.Block, d.Offset),
		number: l.head.Number + uint32(int32(d.Number)),
		kind:   d.Type,
		nth:    l.nth - 1,
	}, nil
}

// fixed returns the next n bytes, at most as many as buf has. Mostly they are in
// one block, and are not copied then.
func (c *cursor) fixed(n int) (string, error) {
	if s := c.block.text[c.offset:]; len(s) >= n {
		c.offset += n
		return s[:n], nil
	}
	p := c.buf[:n]
	err := c.read(p)
	return string(p), err
}

func word(s string) uint16 { return uint16(s[0]) | uint16(s[1])<<8 }

func long(s string) uint32 { return uint32(word(s)) | uint32(word(s[2:]))<<16 }

// dirHeader and dirEntry are decode for what is read most often, ten times as
// fast.
func (c *cursor) dirHeader() (h dirHeader, err error) {
	s, err := c.fixed(dirHeaderSize)
	if err != nil {
		return h, err
	}
	return dirHeader{Count: long(s), Block: long(s[4:]), Number: long(s[8:])}, nil
}

func (c *cursor) dirEntry() (e dirEntry, err error) {
	s, err := c.fixed(dirEntrySize)
	if err != nil {
		return e, err
	}
	return dirEntry{Offset: word(s), Number: int16(word(s[2:])), Type: inodeType(word(s[4:])), Size: word(s[6:])}, nil
}

// entries returns all entries of a directory in the order of their names. A
// name that is there twice is an error.
func (fs *FS) entries(dir *inode) ([]entry, error) {
	// Most names are longer than four bytes, so this is often enough, and
	// never more than twice the metadata that must be there.
	return fs.appendEntries(make([]entry, 0, min(dir.size/(dirEntrySize+4), maxRun)), dir)
}

// appendEntries appends what entries returns to list.
func (fs *FS) appendEntries(list []entry, dir *inode) ([]entry, error) {
	l, err := fs.listing(dir)
	if err != nil {
		return nil, fmt.Errorf("inode %d: listing: %w", dir.number, err)
	}
	for first := len(list); len(list)-first <= maxEntries; {
		e, ok, err := l.next()
		if err != nil {
			return nil, fmt.Errorf("inode %d: listing: %w", dir.number, err)
		}
		if !ok {
			return list, sorted(list[first:])
		}
		list = append(list, e)
	}
	return nil, tooMany()
}

// sorted sorts entries by name, and wants each name once.
func sorted(list []entry) error {
	byName := func(a, b entry) int { return strings.Compare(a.name, b.name) }
	if !slices.IsSortedFunc(list, byName) {
		slices.SortFunc(list, byName)
	}
	for i := 1; i < len(list); i++ {
		if list[i].name == list[i-1].name {
			return corrupt("name %q is there twice", list[i].name)
		}
	}
	return nil
}

// find returns the entry called name. It starts where the directory's index
// says and stops at the first name that starts with a greater byte, as Linux
// does.
func (fs *FS) find(dir *inode, name string) (entry, bool, error) {
	l, err := fs.listing(dir)
	if err != nil {
		return entry{}, false, err
	}
	if err := fs.jump(dir, l, name); err != nil {
		return entry{}, false, fmt.Errorf("directory index: %w", err)
	}
	for {
		e, ok, err := l.next()
		if err != nil || !ok || e.name[0] > name[0] {
			return entry{}, false, err
		}
		if e.name == name {
			return e, true, nil
		}
	}
}

// jump moves a fresh listing to the last indexed place that is not behind
// name.
func (fs *FS) jump(dir *inode, l *listing, name string) error {
	if dir.indexes == 0 || l.left == 0 {
		return nil
	}
	c, err := fs.cursor(fs.inodes, dir.tail)
	if err != nil {
		return err
	}
	var best dirIndex
	for range dir.indexes {
		x, first, err := c.dirIndex()
		if err != nil {
			return err
		}
		if first > name {
			break
		}
		best = x
	}
	if int64(best.Index) > l.left {
		return corrupt("%d of %d bytes", best.Index, l.left)
	}
	if best.Index == 0 {
		return nil
	}
	offset := (uint64(dir.listing.offset()) + uint64(best.Index)) % metadataSize
	if l.c, err = fs.cursorAt(fs.directories, makeRef(best.Block, uint16(offset))); err != nil {
		return err
	}
	l.left -= int64(best.Index)
	return nil
}

// dirIndex reads an index and the name behind it.
func (c *cursor) dirIndex() (x dirIndex, first string, err error) {
	if err := c.decode(&x); err != nil {
		return x, "", err
	}
	if x.Size >= tree.NameMax {
		return x, "", corrupt("name of %d bytes, Linux allows %d", uint64(x.Size)+1, tree.NameMax)
	}
	first, err = c.text(int(x.Size) + 1)
	return x, first, err
}

// child reads the inode of an entry and compares the two.
func (fs *FS) child(e *entry) (*inode, error) {
	n, err := fs.inode(e.ref)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", e.name, err)
	}
	if n.kind != e.kind || n.number != e.number {
		return nil, corrupt("%q: entry says %s with number %d, inode says %s with number %d", e.name, e.kind, e.number, n.kind, n.number)
	}
	if n.kind == typeDir {
		if err := fs.enter(e, n); err != nil {
			return nil, fmt.Errorf("%q: %w", e.name, err)
		}
	}
	return n, nil
}

// enter makes sure that one entry only leads to each directory, and that all
// listings together are no longer than the directory table. So no walk takes
// longer than the image justifies, whatever it says.
func (fs *FS) enter(e *entry, n *inode) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	way := way{e.dir.ref, e.nth}
	if before, ok := fs.parent[n.ref]; ok {
		if before != way {
			return corrupt("another entry leads to the same directory")
		}
		return nil
	}
	if n.ref == fs.root.ref {
		return corrupt("entry leads back to the root directory")
	}
	fs.listed += int64(n.size)
	if most := fs.directories.Length / (metadataHeader + 1) * metadataSize; fs.listed > most+int64(len(fs.parent)+1)*phantom {
		return corrupt("listings are longer than the directory table")
	}
	fs.parent[n.ref] = way
	return nil
}

// way is how a directory is reached: the directory and the entry in it.
type way struct {
	dir Ref
	nth int32
}

func tooMany() error {
	return fmt.Errorf("more than %d directory entries: %w", maxEntries, fault.ErrUnsupported)
}
