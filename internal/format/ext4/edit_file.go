package ext4

import (
	"fmt"

	"sextant/internal/tree"
)

// put makes or replaces the file at a place.
func (e *Editor) put(p place, file *tree.Inode) error {
	if p.node != nil && (p.node.mode().IsDir() || p.name == "") {
		return e.set(p.node, file)
	}
	n, err := e.fileFor(p, file)
	if err != nil {
		return err
	}
	kind := typeOf(n.mode())
	if p.node == nil {
		err = e.addEntry(p.dir, dirent{inode: n.number, fileType: kind, name: []byte(p.name)})
	} else {
		err = e.replaceEntry(p.dir, p.block, p.entry.at, n.number, kind)
	}
	if err != nil {
		return err
	}
	if n.mode().IsDir() {
		e.countSubdir(p.dir, 1)
	}
	e.touch(p.dir)
	if err := e.save(p.dir); err != nil {
		return err
	}
	if p.node == nil {
		return nil
	}
	old, err := e.load(p.node.number) // another name of it may be new
	if err != nil {
		return err
	}
	return e.dropLink(old)
}

// fileFor returns the inode of a file: one that was made before, with one more
// link, or a new one.
func (e *Editor) fileFor(p place, file *tree.Inode) (*node, error) {
	if n, err := e.made(file); err != nil || n != nil {
		return n, err
	}
	group, _ := e.fs.geo.Place(p.dir.number)
	n, err := e.newNode(group, file.Mode)
	if err != nil {
		return nil, err
	}
	e.inherit(n, p.dir)
	if err := e.fill(n, p.dir, file); err != nil {
		return nil, err
	}
	if err := e.set(n, file); err != nil {
		return nil, err
	}
	if !file.Mode.IsDir() {
		e.links[file] = identity{n.number, n.disk.Generation}
	}
	return n, nil
}

// identity tells an inode from others that had its number before.
type identity struct{ number, generation uint32 }

// made returns the inode that was made for a file, with one more link; nil if
// there is none any more.
func (e *Editor) made(file *tree.Inode) (*node, error) {
	id, ok := e.links[file]
	if !ok {
		return nil, nil
	}
	n, err := e.fs.readNode(id.number)
	if err != nil || n.disk.Generation != id.generation || n.disk.Links == 0 {
		return nil, err
	}
	if n, err = e.load(id.number); err != nil {
		return nil, err
	}
	if n.disk.Links >= maxLinks {
		return nil, fmt.Errorf("%d names of one file: %w", n.disk.Links, ErrLimit)
	}
	n.disk.Links++
	n.setChangeTime(e.time)
	return n, e.save(n)
}

// The flags that a new file has from its directory (EXT4_FL_INHERITED); some
// mean nothing for other files than directories.
const (
	inheritedFlags   InodeFlags = 0x00000001 | 0x00000002 | 0x00000004 | 0x00000008 | 0x00000040 | 0x00000080 | 0x00000400 | 0x00004000 | 0x00008000 | 0x00010000 | FlagProjInherit | 0x02000000
	inheritedByFiles            = inheritedFlags &^ (0x00010000 | FlagProjInherit)
	inheritedByRest  InodeFlags = 0x00000040 | 0x00000080
)

// inherit gives a new inode what it has from its directory.
func (e *Editor) inherit(n, dir *node) {
	mask := inheritedByRest
	switch {
	case n.mode().IsDir():
		mask = inheritedFlags
	case n.mode().IsRegular():
		mask = inheritedByFiles
	}
	n.disk.Flags |= dir.disk.Flags & mask
	if dir.has(FlagProjInherit) && e.fs.super.FeatureROCompat&ROCompatProject != 0 {
		e.charge(n, -1, 0)
		n.disk.ProjectID = dir.disk.ProjectID
		e.charge(n, 1, 0)
	}
}

// fill gives a new inode what is in the file.
func (e *Editor) fill(n, dir *node, file *tree.Inode) error {
	switch file.Mode.Type() {
	case tree.TypeRegular:
		e.newMap(n)
		return e.putContent(n, file.Content)
	case tree.TypeDir:
		return e.newDir(n, dir.number)
	case tree.TypeSymlink:
		return e.putTarget(n, file.Target)
	case tree.TypeChar, tree.TypeBlock:
		putDevice(n, file.Device)
	}
	return nil
}

func (e *Editor) putTarget(n *node, target string) error {
	if len(target) < blockAreaSize {
		copy(n.disk.Block[:], target)
		e.setSize(n, int64(len(target)))
		return nil
	}
	e.newMap(n)
	return e.putContent(n, tree.Bytes(target))
}

// putDevice is the reverse of device.
func putDevice(n *node, d tree.Device) {
	if d.Major < 256 && d.Minor < 256 {
		put32(n.disk.Block[:], 0, d.Major<<8|d.Minor)
		return
	}
	put32(n.disk.Block[:], 4, d.Minor&0xff|d.Major<<8|d.Minor&^0xff<<12)
}

// set gives an inode the attributes of a file and saves it.
func (e *Editor) set(n *node, file *tree.Inode) error {
	plan, err := e.planXattrs(n, file.Xattrs)
	if err != nil {
		return err
	}
	e.setAttributes(n, file)
	if err := e.putXattrs(n, plan); err != nil {
		return err
	}
	return e.save(n)
}

// mayHaveSubdir reports whether the link count of a directory takes one more.
func (e *Editor) mayHaveSubdir(dir *node) bool {
	return dir.disk.Links < maxLinks || e.fs.super.FeatureROCompat&ROCompatDirNlink != 0 && dir.has(FlagIndex)
}

// countSubdir counts a subdirectory that comes or goes. A directory that once
// had too many to count is not counted again (ext4_inc_count).
func (e *Editor) countSubdir(dir *node, by int) {
	links := int(dir.disk.Links)
	switch {
	case links == linksUnknown:
	case by > 0 && links >= maxLinks:
		dir.disk.Links = linksUnknown
	case by < 0 && links <= 2: // wrong already, and the entry is what counts
	default:
		dir.disk.Links = uint16(links + by)
	}
}

// remove takes away the file at a place, and all that is in it.
func (e *Editor) remove(p place) error {
	if err := e.removeEntry(p.dir, p.block, p.entry.at); err != nil {
		return err
	}
	if p.node.mode().IsDir() {
		e.countSubdir(p.dir, -1)
	}
	e.touch(p.dir)
	if err := e.save(p.dir); err != nil {
		return err
	}
	if p.node.mode().IsDir() {
		return e.removeDir(p.node, make(map[uint32]bool))
	}
	return e.dropLink(p.node)
}

// removeDir removes a directory that no entry names any more. above are those
// that it lies in.
func (e *Editor) removeDir(dir *node, above map[uint32]bool) error {
	if len(above) > maxDepth {
		return unsupported("directories lie more than %d deep in each other", maxDepth)
	}
	if above[dir.number] {
		return corrupt("inode %d: directory that lies in itself", dir.number)
	}
	above[dir.number] = true
	defer delete(above, dir.number)
	var children []uint32
	for x, err := range e.fs.children(dir) {
		if err != nil {
			return fmt.Errorf("inode %d: %w", dir.number, err)
		}
		children = append(children, x.inode)
	}
	for _, number := range children {
		if e.fs.isSpecial(number) || number == RootInode {
			return corrupt("inode %d: entry of the special inode %d", dir.number, number)
		}
		n, err := e.load(number)
		if err != nil {
			return err
		}
		if n.mode().IsDir() {
			err = e.removeDir(n, above)
		} else {
			err = e.dropLink(n)
		}
		if err != nil {
			return err
		}
	}
	return e.delete(dir)
}

// dropLink takes one name from a file that is no directory, and the file with
// its last one.
func (e *Editor) dropLink(n *node) error {
	if n.disk.Links > 1 {
		n.disk.Links--
		n.setChangeTime(e.time)
		return e.save(n)
	}
	return e.delete(n)
}

// delete frees an inode and all that belongs to it.
func (e *Editor) delete(n *node) error {
	if e.fs.xattrBlock(n) != 0 {
		if err := e.addSectors(n, -1); err != nil {
			return err
		}
	}
	if err := e.releaseXattrs(n); err != nil {
		return err
	}
	if err := e.releaseMap(n); err != nil {
		return fmt.Errorf("inode %d: %w", n.number, err)
	}
	return e.dropInode(n)
}
