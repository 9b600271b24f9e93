package ext4

// addInline puts an entry into a directory that lies in its inode, or else
// moves the directory out into a block.
func (e *Editor) addInline(dir *node, x dirent) error {
	need := direntSize(len(x.name))
	for d, err := range e.fs.dirBlocks(dir) {
		if err != nil {
			return err
		}
		at, used, ok, err := e.findRoom(d.bytes, need)
		if err != nil {
			return err
		}
		if ok {
			e.insertAt(d.bytes, at, used, x)
			return nil
		}
	}
	if err := e.leaveInode(dir); err != nil {
		return err
	}
	return e.addLinear(dir, x)
}

// leaveInode moves a directory out of its inode.
func (e *Editor) leaveInode(dir *node) error {
	parent := le32(dir.disk.Block[:], 0)
	var entries []dirent
	size := 0
	for d, err := range e.fs.dirBlocks(dir) {
		if err != nil {
			return err
		}
		more, err := e.entriesOf(d)
		if err != nil {
			return err
		}
		for _, x := range more {
			size += direntSize(len(x.name))
		}
		entries = append(entries, more...)
	}
	if size > int(e.fs.geo.BlockSize)-2*minDirent-direntTailSize {
		return corrupt("%d bytes of entries in inode %d", size, dir.number)
	}
	body, err := e.storedXattrs(dir)
	if err != nil {
		return err
	}
	kept := body.inode[:0]
	for _, x := range body.inode {
		if x.NameIndex != XattrSystem || x.name != "data" {
			kept = append(kept, x)
		}
	}
	e.packBody(dir, kept)
	dir.disk.Flags &^= FlagInlineData
	e.newMap(dir)
	e.setSize(dir, 0)
	return e.firstDirBlock(dir, parent, entries)
}
