package squashfs

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
)

// Check reads the whole file system: every inode, whether a name leads to it
// or not, every directory, extended attribute and table entry, and unpacks
// every block. It returns what it finds wrong, in the order of the image's
// parts, and an error only if the image could not be read or ctx ended.
//
// It takes memory for each inode and block, some hundred bytes, and for two
// blocks on each processor.
func (fs *FS) Check(ctx context.Context) ([]Problem, error) {
	c := &check{ctx: ctx, fs: fs, seen: make(map[Ref]*seen), blocks: make(map[int64]*found), tails: make(map[uint32]*tail)}
	steps := []func(){
		c.superblock, c.inodeTable, c.directories, c.links, c.xattrs, c.export, c.fragments, c.data,
	}
	for _, step := range steps {
		if step(); c.failed != nil {
			break
		}
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("check squashfs: %w", err)
		}
	}
	if c.failed != nil {
		return nil, fmt.Errorf("check squashfs: %w", c.failed)
	}
	sortProblems(c.problems)
	return c.problems, nil
}

type check struct {
	ctx context.Context
	fs  *FS

	seen    map[Ref]*seen // inodes
	entries int
	blocks  map[int64]*found // by where they start
	tails   map[uint32]*tail // by fragment

	mu       sync.Mutex
	problems []Problem
	failed   error
}

// seen is what the check keeps of an inode.
type seen struct {
	number, links uint32
	kind          inodeType
	names         uint32
	path          *trail // the first name
}

func (c *check) superblock() {
	s := c.fs.super
	if rest := s.Flags &^ knownFlags; rest != 0 {
		c.harmless(PlaceSuperblock, nil, "flags %#x are not known", uint16(rest))
	}
	if exportable := s.ExportTable != none; exportable != (s.Flags&Exportable != 0) {
		c.harmless(PlaceSuperblock, nil, "export table %t, flags say %t", exportable, !exportable)
	}
	if s.Fragments > 0 && s.Flags&NoFragments != 0 {
		c.harmless(PlaceSuperblock, nil, "%d fragments, flags say none", s.Fragments)
	}
}

// inodeTable reads the inodes in the order of the table.
func (c *check) inodeTable() {
	cur, err := c.fs.cursor(c.fs.inodes, position{at: c.fs.inodes.Offset})
	if err != nil {
		c.report(PlaceInodes, nil, err)
		return
	}
	numbers := make(map[uint32]bool)
	for !cur.atEnd() && !c.stop() {
		n, err := c.nextInode(cur)
		if err != nil {
			c.report(PlaceInodes, nil, fmt.Errorf("inode %d of the table: %w", len(c.seen)+1, err))
			return
		}
		if len(c.seen) >= maxEntries {
			c.report(PlaceInodes, nil, tooMany())
			return
		}
		if numbers[n.number] {
			c.report(PlaceInodes, nil, corrupt("inode number %d is there twice", n.number))
		}
		numbers[n.number] = true
		c.seen[n.ref] = &seen{number: n.number, links: n.links, kind: n.kind}
		if n.mode > 0o7777 {
			c.harmless(PlaceInodes, nil, "inode %d: mode %#o has more than permissions", n.number, n.mode)
		}
	}
	if len(c.seen) != int(c.fs.super.Inodes) && !c.stop() {
		c.harmless(PlaceInodes, nil, "%d inodes, the superblock says %d", len(c.seen), c.fs.super.Inodes)
	}
}

// nextInode reads the inode at the cursor and all that belongs to it.
func (c *check) nextInode(cur *cursor) (*inode, error) {
	p := cur.position()
	n, err := c.fs.readInode(cur)
	if err != nil {
		return nil, err
	}
	n.ref = Ref(uint64(p.at-c.fs.inodes.Offset)<<16 | uint64(p.offset))
	switch n.kind {
	case typeFile:
		return n, c.file(cur, n)
	case typeSymlink:
		target, err := cur.text(int(n.size))
		if err == nil && (target == "" || hasNUL(target)) {
			err = corrupt("inode %d: target %q", n.number, target)
		}
		if err == nil && n.extra {
			err = cur.skip(4)
		}
		return n, err
	case typeDir:
		for range n.indexes {
			if _, _, err := cur.dirIndex(); err != nil {
				return nil, fmt.Errorf("directory index: %w", err)
			}
		}
	}
	return n, nil
}

func hasNUL(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}

// file passes over the sizes of a file's blocks, and notes the blocks.
func (c *check) file(cur *cursor, n *inode) error {
	at := int64(min(n.start, 1<<62))
	count := c.fs.blockCount(n)
	m := &blocks{fs: c.fs, node: n, count: count}
	var holes uint64
	for i := range count {
		if i%markEvery == 0 && c.stop() {
			return nil
		}
		var size [4]byte
		if err := cur.read(size[:]); err != nil {
			return err
		}
		s := stored{at, binary.LittleEndian.Uint32(size[:])}
		if err := c.fs.checkStored(s); err != nil {
			return fmt.Errorf("inode %d: block %d: %w", n.number, i, err)
		}
		if s.size == 0 {
			holes += uint64(m.span(i).Length)
			continue
		}
		if err := c.note(s, m.span(i).Length, n.number); err != nil {
			return err
		}
		at += s.length()
	}
	// Of a file that is one hole mksquashfs says one byte less, so that Linux
	// does not count no blocks at all.
	if n.extra && n.sparse != holes && (holes != n.size || n.sparse != holes-1) {
		c.harmless(PlaceInodes, nil, "inode %d: %d bytes in holes, inode says %d", n.number, holes, n.sparse)
	}
	if rest := m.span(count); n.fragment != none32 && rest.Length > 0 {
		c.tail(n.fragment, int64(n.offset)+rest.Length, n.number)
	}
	return nil
}

// directories walks the tree from the root.
func (c *check) directories() {
	root, ok := c.seen[c.fs.root.ref]
	if !ok {
		c.harmless(PlaceInodes, nil, "root directory is not in the table's row of inodes")
		root = &seen{number: c.fs.root.number, links: c.fs.root.links, kind: typeDir}
		c.seen[c.fs.root.ref] = root
	}
	root.names++
	c.directory(nil, c.fs.root)
}

func (c *check) directory(path *trail, dir *inode) {
	list, err := c.list(path, dir)
	if err != nil {
		c.report(PlaceDirectory, path.orRoot(), err)
		return
	}
	subdirs := uint32(0)
	for i := range list {
		e := &list[i]
		if c.stop() {
			return
		}
		if c.entries++; c.entries > maxEntries {
			c.report(PlaceDirectory, path.orRoot(), tooMany())
			return
		}
		if e.kind == typeDir {
			subdirs++
		}
		c.entry(path.down(e.name), e)
	}
	// Some writers count no subdirectories, as other file systems do.
	if dir.links != 2+subdirs && dir.links != 1 {
		c.harmless(PlaceDirectory, path.orRoot(), "%d links, %d subdirectories", dir.links, subdirs)
	}
}

// orRoot gives the root a path to print.
func (t *trail) orRoot() *trail {
	if t == nil {
		return &trail{}
	}
	return t
}

// list reads a directory and checks what a reader has no need for: the order
// of the names and the index.
func (c *check) list(path *trail, dir *inode) ([]entry, error) {
	l, err := c.fs.listing(dir)
	if err != nil {
		return nil, err
	}
	if dir.size < phantom {
		c.harmless(PlaceDirectory, path.orRoot(), "size %d is less than %d", dir.size, phantom)
	}
	var list []entry
	heads := make(map[int64]head)
	for {
		at, atHead, p := int64(dir.size)-phantom-l.left, l.run == 0 && l.left > 0, position{}
		if atHead {
			p = l.c.position()
		}
		e, ok, err := l.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if atHead {
			heads[at] = head{p.at - c.fs.directories.Offset, e.name}
		}
		if n := len(list); n > 0 && list[n-1].name >= e.name {
			c.report(PlaceDirectory, path.orRoot(), corrupt("%q stands behind %q", e.name, list[n-1].name))
		}
		if list = append(list, e); len(list) > maxEntries {
			return nil, tooMany()
		}
	}
	if err := c.index(dir, heads); err != nil {
		c.report(PlaceDirectory, path.orRoot(), fmt.Errorf("index: %w", err))
	}
	return list, nil
}

// head is where a run of entries starts: the metadata block, counted from the
// start of the table, and the first name.
type head struct {
	block int64
	name  string
}

// index checks that a directory's index leads to the starts of runs, as a
// wrong index hides names from Linux.
func (c *check) index(dir *inode, heads map[int64]head) error {
	if dir.indexes == 0 {
		return nil
	}
	cur, err := c.fs.cursor(c.fs.inodes, dir.tail)
	if err != nil {
		return err
	}
	for range dir.indexes {
		x, first, err := cur.dirIndex()
		if err != nil {
			return err
		}
		if h, ok := heads[int64(x.Index)]; !ok || h != (head{int64(x.Block), first}) {
			return corrupt("byte %d in block %d with %q is not the start of a run", x.Index, x.Block, first)
		}
	}
	return nil
}

func (c *check) entry(path *trail, e *entry) {
	if path.depth > maxDepth {
		c.report(PlaceDirectory, path, tooDeep())
		return
	}
	n, err := c.fs.child(e)
	if err != nil {
		c.report(PlaceDirectory, path.up.orRoot(), err)
		return
	}
	s, ok := c.seen[e.ref]
	if !ok {
		c.report(PlaceDirectory, path, corrupt("inode %d is not in the table's row of inodes", e.number))
		s = &seen{number: n.number, links: n.links, kind: n.kind}
		c.seen[e.ref] = s
	}
	if s.names++; s.path == nil {
		s.path = path
	}
	if n.kind == typeDir {
		if n.parent != e.dir.number {
			c.harmless(PlaceDirectory, path, "parent is inode %d, it says %d", e.dir.number, n.parent)
		}
		c.directory(path, n)
	}
}

// links compares the number of names with what the inodes say.
func (c *check) links() {
	lost := 0
	for _, s := range c.seen {
		switch {
		case s.names == 0:
			lost++
		case s.kind != typeDir && s.names != s.links:
			c.harmless(PlaceInodes, s.path, "inode %d has %d links and %d names", s.number, s.links, s.names)
		}
	}
	if lost > 0 {
		c.harmless(PlaceInodes, nil, "%d inodes have no name", lost)
	}
}

// xattrs reads all lists of attributes.
func (c *check) xattrs() {
	for id := range c.fs.xattrIDs.count {
		if _, err := c.fs.xattrList(uint32(id)); err != nil {
			c.report(PlaceXattrs, nil, fmt.Errorf("xattrs %d: %w", id, err))
		}
		if c.stop() {
			return
		}
	}
}

// export compares the export table, which leads from inode numbers to inodes,
// with the inodes.
func (c *check) export() {
	if c.fs.export.count == 0 {
		return
	}
	byNumber := make(map[uint32]Ref, len(c.seen))
	for ref, s := range c.seen {
		byNumber[s.number] = ref
	}
	cur, err := c.fs.seek(&c.fs.export, 0)
	for number := int64(1); err == nil && number <= c.fs.export.count && !c.stop(); number++ {
		var ref Ref
		if err = cur.decode(&ref); err != nil {
			break
		}
		if want, ok := byNumber[uint32(number)]; ok && want != ref {
			c.harmless(PlaceExport, nil, "inode %d is at %s, table says %s", number, want, ref)
		}
	}
	if err != nil {
		c.report(PlaceExport, nil, err)
	}
}
