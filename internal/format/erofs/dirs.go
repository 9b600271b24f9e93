package erofs

// dirent is one name of a directory.
type dirent struct {
	name string
	node int32
}

// directory is the content of a directory: dirents in byte order of their
// names, "." and ".." among them, in blocks of which each begins with the
// table of its entries and ends with their names.
type directory struct {
	first, count       int32 // in Layout.dirents
	firstBlock, blocks int32 // in Layout.blockStarts
	size               int64
}

func (l *Layout) entries(d *directory) []dirent {
	return l.dirents[d.first : d.first+d.count]
}

// splitDir fills each block with as many entries as it can hold.
func (l *Layout) splitDir(d *directory) {
	used := l.blockSize()
	for i, e := range l.entries(d) {
		need := int64(direntSize + len(e.name))
		if used+need > l.blockSize() {
			l.blockStarts = append(l.blockStarts, d.first+int32(i))
			d.blocks++
			used = 0
		}
		used += need
	}
	d.size = int64(d.blocks-1)*l.blockSize() + used
}

// blockEntries returns the entries in block b of d.
func (l *Layout) blockEntries(d *directory, b int32) []dirent {
	end := d.first + d.count
	if b+1 < d.blocks {
		end = l.blockStarts[d.firstBlock+b+1]
	}
	return l.dirents[l.blockStarts[d.firstBlock+b]:end]
}

// renderDirBlock writes block b of d to p, which begins with zeros and may be
// shorter than a block if it is the last one.
func (l *Layout) renderDirBlock(p []byte, d *directory, b int32) {
	entries := l.blockEntries(d, b)
	names := len(entries) * direntSize
	for i, e := range entries {
		put(p[i*direntSize:], Dirent{
			NID:        l.nid(e.node),
			NameOffset: uint16(names),
			FileType:   fileTypeOf(l.nodes[e.node].src.Mode),
		})
		names += copy(p[names:], e.name)
	}
}

// nid returns the number under which directories know node i.
func (l *Layout) nid(i int32) uint64 { return uint64(l.nodes[i].at / SlotSize) }
