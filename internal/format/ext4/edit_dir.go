package ext4

import (
	"fmt"
	"io/fs"
	"slices"
)

// entry finds a name in a directory. It trusts the index, so that a name that
// is not there costs no more than one that is.
func (e *Editor) entry(dir *node, name string) (dirBlock, dirent, error) {
	if dir.has(FlagEncrypt) {
		return dirBlock{}, dirent{}, unsupported("encrypted names")
	}
	if dir.has(FlagCaseFold) {
		return dirBlock{}, dirent{}, unsupported("directory that takes upper and lower case for the same")
	}
	find := e.fs.lookupAll
	if e.usesIndex(dir) {
		find = e.fs.lookupIndex
	}
	d, x, found, err := find(dir, name)
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	return d, x, err
}

func (e *Editor) usesIndex(dir *node) bool {
	return e.fs.super.FeatureCompat&CompatDirIndex != 0 && e.fs.usesIndex(dir)
}

// addEntry puts a new name into a directory, whose inode the caller saves.
func (e *Editor) addEntry(dir *node, x dirent) error {
	switch {
	case dir.has(FlagInlineData):
		return e.addInline(dir, x)
	case e.usesIndex(dir):
		return e.addIndexed(dir, x)
	case dir.has(FlagIndex) && e.fs.super.checksums():
		return unsupported("directory with an index without feature dir_index")
	}
	// What was an index is empty entries to those who do not know it.
	dir.disk.Flags &^= FlagIndex
	return e.addLinear(dir, x)
}

// addLinear puts an entry where there is room, or into a new block.
func (e *Editor) addLinear(dir *node, x dirent) error {
	for d, err := range e.fs.dirBlocks(dir) {
		if err != nil {
			return err
		}
		if added, err := e.addToBlock(dir, d, x); err != nil || added {
			return err
		}
	}
	if e.fs.sizeBlocks(dir) == 1 && e.fs.super.FeatureCompat&CompatDirIndex != 0 {
		if err := e.makeIndex(dir); err != nil {
			return err
		}
		return e.addIndexed(dir, x)
	}
	d, err := e.newDirBlock(dir)
	if err != nil {
		return err
	}
	e.packLeaf(dir, d.bytes, []dirent{x})
	return nil
}

// addToBlock puts an entry into a block with names if there is room.
func (e *Editor) addToBlock(dir *node, d dirBlock, x dirent) (bool, error) {
	at, used, ok, err := e.findRoom(d.bytes[:e.leafEnd(d.bytes)], direntSize(len(x.name)))
	if err != nil || !ok {
		return false, err
	}
	b, err := e.write(d.number)
	if err != nil {
		return false, err
	}
	e.insertAt(b, at, used, x)
	e.sealLeaf(dir, b)
	return true, nil
}

// direntSize gives the bytes that an entry takes.
func direntSize(nameLength int) int { return (direntHeader + nameLength + 3) &^ 3 }

// leafEnd returns where the entries of a block with names end.
func (e *Editor) leafEnd(b []byte) int {
	if e.fs.super.checksums() {
		return len(b) - direntTailSize
	}
	return len(b)
}

// findRoom finds an entry with room behind its name, and the bytes that it needs
// for itself.
func (e *Editor) findRoom(b []byte, need int) (at, used int, ok bool, err error) {
	for at < len(b) {
		x, length, err := e.fs.decodeDirent(b[at:])
		if err != nil {
			return 0, 0, false, err
		}
		used := 0
		if x.inode != 0 {
			used = direntSize(len(x.name))
		}
		if length-used >= need {
			return at, used, true, nil
		}
		at += length
	}
	return 0, 0, false, nil
}

// insertAt puts an entry behind the one at a place that keeps its used bytes.
func (e *Editor) insertAt(b []byte, at, used int, x dirent) {
	length := e.fs.recordSize(le16(b, at+4))
	if used > 0 {
		put16(b, at+4, e.storedSize(used))
	}
	e.putDirent(b[at+used:], length-used, x)
}

// putDirent writes an entry that takes length bytes.
func (e *Editor) putDirent(b []byte, length int, x dirent) {
	if e.fs.super.FeatureIncompat&IncompatFileType == 0 {
		x.fileType = TypeUnknown
	}
	encode(b, &DirEntry{Inode: x.inode, RecordSize: e.storedSize(length), NameLength: uint8(len(x.name)), FileType: x.fileType})
	n := copy(b[direntHeader:], x.name)
	clear(b[direntHeader+n : direntSize(n)])
}

// storedSize is the reverse of recordSize (ext4_rec_len_to_disk).
func (e *Editor) storedSize(length int) uint16 {
	if length < MaxBlockSize {
		return uint16(length)
	}
	return 65535
}

// packLeaf fills a block with entries, which must fit, and its checksum.
func (e *Editor) packLeaf(dir *node, b []byte, entries []dirent) {
	clear(b)
	end := e.leafEnd(b)
	if len(entries) == 0 {
		put16(b, 4, e.storedSize(end))
	}
	at := 0
	for i, x := range entries {
		length := direntSize(len(x.name))
		if i == len(entries)-1 {
			length = end - at
		}
		e.putDirent(b[at:end], length, x)
		at += length
	}
	e.sealLeaf(dir, b)
}

// sealLeaf sets the checksum of a block with names.
func (e *Editor) sealLeaf(dir *node, b []byte) {
	if !e.fs.super.checksums() {
		return
	}
	tail := e.leafEnd(b)
	put32(b, tail, 0)
	put16(b, tail+4, direntTailSize)
	b[tail+6], b[tail+7] = 0, direntTailType
	put32(b, tail+8, dir.seed.Block(b[:tail]))
}

// newDirBlock adds a block to a directory. Its bytes are zeros.
func (e *Editor) newDirBlock(dir *node) (dirBlock, error) {
	logical := e.fs.sizeBlocks(dir)
	size := int64(logical+1) * e.fs.geo.BlockSize
	if size > 1<<32-1 && e.fs.super.FeatureIncompat&IncompatLargeDir == 0 || logical > 1<<28-1 {
		return dirBlock{}, fmt.Errorf("directory of %d bytes: %w", size, ErrLimit)
	}
	number, err := e.appendBlock(dir, logical)
	if err != nil {
		return dirBlock{}, err
	}
	e.setSize(dir, size)
	return dirBlock{logical: logical, number: number, bytes: e.fresh(number)}, nil
}

// appendBlock gives a file one more block, near the one before.
func (e *Editor) appendBlock(n *node, logical uint64) (uint64, error) {
	group, _ := e.fs.geo.Place(n.number)
	r := request{goal: e.fs.geo.GroupStart(group), want: 1, end: n.lastBlock()}
	if logical > 0 {
		for last, err := range e.fs.runs(n, logical-1) {
			if err != nil {
				return 0, err
			}
			r.goal = last.Physical + last.Length
		}
	}
	number, _, err := e.allocate(r)
	if err != nil {
		return 0, err
	}
	if err := e.addSectors(n, 1); err != nil {
		return 0, err
	}
	return number, e.appendRun(n, Run{Logical: logical, Physical: number, Length: 1})
}

// newDir fills a new directory with "." and "..".
func (e *Editor) newDir(dir *node, parent uint32) error {
	e.newMap(dir)
	dir.disk.Links = 2
	return e.firstDirBlock(dir, parent, nil)
}

func (e *Editor) firstDirBlock(dir *node, parent uint32, entries []dirent) error {
	d, err := e.newDirBlock(dir)
	if err != nil {
		return err
	}
	dots := []dirent{
		{inode: dir.number, fileType: TypeDir, name: []byte(".")},
		{inode: parent, fileType: TypeDir, name: []byte("..")},
	}
	e.packLeaf(dir, d.bytes, append(dots, entries...))
	return nil
}

// replaceEntry makes an entry lead to another inode.
func (e *Editor) replaceEntry(dir *node, d dirBlock, at int, inode uint32, fileType FileType) error {
	b, err := e.changeDirBlock(d)
	if err != nil {
		return err
	}
	put32(b, at, inode)
	if e.fs.super.FeatureIncompat&IncompatFileType != 0 {
		b[at+7] = byte(fileType)
	}
	e.sealDirBlock(dir, d, b)
	return nil
}

// removeEntry takes an entry out: the one before it gets its room.
func (e *Editor) removeEntry(dir *node, d dirBlock, at int) error {
	b, err := e.changeDirBlock(d)
	if err != nil {
		return err
	}
	before := -1
	for i := 0; i < at; {
		before = i
		i += e.fs.recordSize(le16(b, i+4))
	}
	length := e.fs.recordSize(le16(b, at+4))
	clear(b[at : at+direntSize(int(b[at+6]))])
	if before < 0 {
		put16(b, at+4, e.storedSize(length))
	} else {
		put16(b, before+4, e.storedSize(at-before+length))
	}
	e.sealDirBlock(dir, d, b)
	return nil
}

// changeDirBlock returns the bytes of a block with names, to be changed. Those
// inside an inode are its node's.
func (e *Editor) changeDirBlock(d dirBlock) ([]byte, error) {
	if d.number == 0 {
		return d.bytes, nil
	}
	return e.write(d.number)
}

func (e *Editor) sealDirBlock(dir *node, d dirBlock, b []byte) {
	if d.number != 0 {
		e.sealLeaf(dir, b)
	}
}

// isEmpty reports whether a directory has no entries.
func (e *Editor) isEmpty(dir *node) (bool, error) {
	for _, err := range e.fs.children(dir) {
		return false, err
	}
	return true, nil
}

// entriesOf returns copies of the entries of a block, without "." and "..".
func (e *Editor) entriesOf(d dirBlock) ([]dirent, error) {
	var list []dirent
	for x, err := range e.fs.entries(d) {
		if err != nil {
			return nil, err
		}
		if !x.isDots() {
			x.name = slices.Clone(x.name)
			list = append(list, x)
		}
	}
	return list, nil
}
