package ext4

import (
	"fmt"
	"io/fs"
	"iter"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

// dirent is a directory entry in use. name is part of a cached block.
type dirent struct {
	inode    uint32
	fileType FileType
	name     []byte
	at       int // where in the block
}

func (d dirent) isDots() bool {
	return string(d.name) == "." || string(d.name) == ".."
}

// dirBlock is a block of a directory, or one of the two places in an inode that
// stand for one.
type dirBlock struct {
	logical uint64
	number  uint64 // 0 inside an inode
	bytes   []byte
	index   bool // part of the index, with no entries but "." and ".."
}

// dirBlocks gives a directory's blocks, whose checksums match, in order. Holes
// are left out, as the kernel leaves them out.
func (f *FS) dirBlocks(n *node) iter.Seq2[dirBlock, error] {
	return func(yield func(dirBlock, error) bool) {
		if !n.mode().IsDir() {
			yield(dirBlock{}, fmt.Errorf("not a directory: %w", fs.ErrInvalid))
			return
		}
		if n.has(FlagInlineData) {
			f.inlineDir(n, yield)
			return
		}
		for r, err := range f.runs(n, 0) {
			if err != nil {
				yield(dirBlock{}, err)
				return
			}
			for i := range r.Length {
				if r.Unwritten || r.Logical+i >= f.sizeBlocks(n) {
					continue
				}
				b, err := f.dirBlock(n, r.Logical+i, r.Physical+i)
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}

// inlineDir gives the two pieces of a directory in an inode: behind the parent's
// number in place of the block pointers, and in the xattr system.data.
func (f *FS) inlineDir(n *node, yield func(dirBlock, error) bool) {
	if !yield(dirBlock{bytes: n.disk.Block[4:]}, nil) {
		return
	}
	rest, _, err := f.inlineRest(n)
	if err != nil || len(rest) > 0 {
		yield(dirBlock{logical: 1, bytes: rest}, err)
	}
}

// dirBlock reads one block and verifies its checksum.
func (f *FS) dirBlock(n *node, logical, number uint64) (dirBlock, error) {
	b, err := f.block(number)
	d := dirBlock{logical: logical, number: number, bytes: b}
	if err == nil {
		d.index = f.isIndexBlock(n, logical, b)
		err = f.checkDirBlock(n, d)
	}
	if err != nil {
		return d, atBlock(number, "directory block", err)
	}
	return d, nil
}

// isIndexBlock tells the blocks of an index: the first one, and those that look
// like one unused entry over the whole block.
func (f *FS) isIndexBlock(n *node, logical uint64, b []byte) bool {
	if !n.has(FlagIndex) {
		return false
	}
	return logical == 0 || le32(b, 0) == 0 && b[6] == 0 && f.recordSize(le16(b, 4)) == len(b)
}

// recordSize gives the length of an entry: multiples of four, of which the
// greatest have no room in 16 bits (ext4_rec_len_from_disk).
func (f *FS) recordSize(stored uint16) int {
	if f.geo.BlockSize < MaxBlockSize {
		return int(stored)
	}
	if stored == 0 || stored == 65535 {
		return MaxBlockSize
	}
	return int(stored&^3) | int(stored&3)<<16
}

func (f *FS) checkDirBlock(n *node, d dirBlock) error {
	if !f.super.checksums() {
		return nil
	}
	if d.index {
		x, err := f.indexNode(d)
		if err != nil {
			return err
		}
		return x.checkSum(n)
	}
	tail := len(d.bytes) - direntTailSize
	t := d.bytes[tail:]
	if le32(t, 0) != 0 || le16(t, 4) != direntTailSize || t[6] != 0 || t[7] != direntTailType {
		return corrupt("no checksum")
	}
	if n.seed.Block(d.bytes[:tail]) != le32(t, 8) {
		return corrupt("checksum does not match")
	}
	return nil
}

// entries gives the entries in use of a block, "." and ".." among them.
func (f *FS) entries(d dirBlock) iter.Seq2[dirent, error] {
	return func(yield func(dirent, error) bool) {
		for b := d.bytes; len(b) > 0; {
			e, length, err := f.decodeDirent(b)
			if err != nil {
				if d.number != 0 {
					err = atBlock(d.number, "directory block", err)
				}
				yield(dirent{}, err)
				return
			}
			e.at = len(d.bytes) - len(b)
			if e.inode != 0 && !yield(e, nil) {
				return
			}
			b = b[length:]
		}
	}
}

func (f *FS) decodeDirent(b []byte) (dirent, int, error) {
	if len(b) < direntHeader {
		return dirent{}, 0, corrupt("directory entry cut short")
	}
	d := DirEntry{le32(b, 0), le16(b, 4), b[6], FileType(b[7])}
	nameLength := int(d.NameLength)
	if f.super.FeatureIncompat&IncompatFileType == 0 {
		d.FileType = TypeUnknown
	}
	length := f.recordSize(d.RecordSize)
	switch {
	case length < minDirent || length%4 != 0 || length > len(b):
		return dirent{}, 0, corrupt("directory entry of %d bytes, room for %d", length, len(b))
	case direntHeader+nameLength > length:
		return dirent{}, 0, corrupt("directory entry of %d bytes with a name of %d", length, nameLength)
	case d.Inode != 0 && nameLength == 0:
		return dirent{}, 0, corrupt("directory entry without a name")
	case d.Inode > f.geo.Inodes:
		return dirent{}, 0, corrupt("directory entry of inode %d of %d", d.Inode, f.geo.Inodes)
	}
	// Lustre keeps flags in the upper bits.
	return dirent{inode: d.Inode, fileType: d.FileType & 0xf, name: b[direntHeader : direntHeader+nameLength]}, length, nil
}

// children gives a directory's entries but "." and "..". Names that no file can
// have are errors.
func (f *FS) children(n *node) iter.Seq2[dirent, error] {
	return func(yield func(dirent, error) bool) {
		if n.has(FlagEncrypt) {
			yield(dirent{}, unsupported("encrypted names"))
			return
		}
		for d, err := range f.dirBlocks(n) {
			if err != nil {
				yield(dirent{}, err)
				return
			}
			for e, err := range f.entries(d) {
				if err == nil && e.isDots() {
					continue
				}
				if err == nil {
					err = checkName(e.name)
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

func checkName(name []byte) error {
	if err := tree.CheckName(string(name)); err != nil {
		return fmt.Errorf("%w: %w", err, fault.ErrCorrupt)
	}
	return nil
}

// lookup returns the inode number of a directory's entry, fs.ErrNotExist if
// there is none.
func (f *FS) lookup(n *node, name string) (uint32, error) {
	if n.has(FlagEncrypt) {
		return 0, unsupported("encrypted names")
	}
	if _, e, found, _ := f.lookupIndex(n, name); found {
		return e.inode, nil
	}
	_, e, found, err := f.lookupAll(n, name)
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	return e.inode, err
}

// lookupAll searches all blocks of a directory.
func (f *FS) lookupAll(n *node, name string) (dirBlock, dirent, bool, error) {
	for d, err := range f.dirBlocks(n) {
		if err != nil {
			return d, dirent{}, false, err
		}
		if e, found, err := f.lookupBlock(d, name); err != nil || found {
			return d, e, found, err
		}
	}
	return dirBlock{}, dirent{}, false, nil
}

func (f *FS) lookupBlock(d dirBlock, name string) (e dirent, found bool, err error) {
	for e, err := range f.entries(d) {
		if err != nil {
			return e, false, err
		}
		if string(e.name) == name {
			return e, true, nil
		}
	}
	return dirent{}, false, nil
}
