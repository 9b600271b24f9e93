package erofs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sort"
	"strings"
	"syscall"

	"sextant/internal/tree"
)

// DirEntry is one name in a directory of an image.
type DirEntry struct {
	Name string
	NID  uint64
	Type FileType
}

// Entries returns the entries of a directory in byte order of their names, "."
// and ".." among them.
func (i *Inode) Entries() ([]DirEntry, error) {
	d, err := i.dir()
	if err != nil {
		return nil, fmt.Errorf("inode %d: %w", i.NID, err)
	}
	var list []DirEntry
	for b := range d.blocks() {
		block, err := d.block(b)
		if err != nil {
			return nil, fmt.Errorf("inode %d: %w", i.NID, err)
		}
		if len(list) > 0 && list[len(list)-1].Name >= block[0].Name {
			return nil, fmt.Errorf("inode %d: %w", i.NID,
				corrupt("directory block %d: name %q is out of order", b, block[0].Name))
		}
		list = append(list, block...)
	}
	return list, nil
}

// Lookup returns the number of the directory's entry called name. As in the
// kernel it is found by halving: first among the blocks, then in the block.
func (i *Inode) Lookup(name string) (nid uint64, ok bool, err error) {
	d, err := i.dir()
	if err != nil {
		return 0, false, fmt.Errorf("inode %d: %w", i.NID, err)
	}
	var found []DirEntry
	low, high := int64(0), d.blocks() // the block is below high
	for low < high {
		middle := (low + high) / 2
		block, err := d.block(middle)
		if err != nil {
			return 0, false, fmt.Errorf("inode %d: %w", i.NID, err)
		}
		if block[0].Name > name {
			high = middle
			continue
		}
		found, low = block, middle+1
	}
	k := sort.Search(len(found), func(k int) bool { return found[k].Name >= name })
	if k == len(found) || found[k].Name != name {
		return 0, false, nil
	}
	return found[k].NID, true, nil
}

// dirReader reads the blocks of a directory.
type dirReader struct {
	content
	size, blockSize int64
}

func (i *Inode) dir() (*dirReader, error) {
	if !i.Mode.IsDir() {
		return nil, syscall.ENOTDIR
	}
	c, err := i.content()
	if err != nil {
		return nil, err
	}
	return &dirReader{content: c, size: i.Size, blockSize: i.fs.blockSize()}, nil
}

func (d *dirReader) blocks() int64 { return (d.size + d.blockSize - 1) / d.blockSize }

// block returns the entries in block b, at least one, after checking them.
func (d *dirReader) block(b int64) ([]DirEntry, error) {
	p := make([]byte, min(d.blockSize, d.size-b*d.blockSize))
	if err := d.readAt(p, b*d.blockSize); err != nil {
		return nil, err
	}
	entries, err := parseDirBlock(p)
	if err != nil {
		return nil, fmt.Errorf("directory block %d: %w", b, err)
	}
	return entries, nil
}

func parseDirBlock(p []byte) ([]DirEntry, error) {
	if len(p) < direntSize {
		return nil, corrupt("%d bytes are no entry", len(p))
	}
	table := int(decodeDirent(p).NameOffset)
	if table < direntSize || table%direntSize != 0 || table >= len(p) {
		return nil, corrupt("the names start at %d of %d bytes", table, len(p))
	}
	names := string(p)
	entries := make([]DirEntry, 0, table/direntSize)
	start := table
	for at := 0; at < table; at += direntSize {
		e := decodeDirent(p[at:])
		end := len(p)
		if at+direntSize < table {
			end = int(binary.LittleEndian.Uint16(p[at+direntSize+8:]))
		} else if n := bytes.IndexByte(p[start:], 0); n >= 0 {
			end = start + n
		}
		if int(e.NameOffset) != start || end <= start || end > len(p) {
			return nil, corrupt("the name of entry %d is at %d-%d", at/direntSize, e.NameOffset, end)
		}
		name := names[start:end]
		if err := checkEntry(name, entries); err != nil {
			return nil, err
		}
		entries = append(entries, DirEntry{Name: name, NID: e.NID, Type: e.FileType})
		start = end
	}
	return entries, nil
}

// decodeDirent reads the entry that p begins with, field by field: there are
// too many of them for binary.Decode, which takes ten times as long.
func decodeDirent(p []byte) Dirent {
	return Dirent{NID: binary.LittleEndian.Uint64(p), NameOffset: binary.LittleEndian.Uint16(p[8:]), FileType: FileType(p[10])}
}

// checkEntry returns an error if name can not follow the entries before it.
func checkEntry(name string, before []DirEntry) error {
	switch {
	case len(name) > tree.NameMax:
		return corrupt("a name has %d bytes", len(name))
	case strings.IndexByte(name, '/') >= 0, strings.IndexByte(name, 0) >= 0:
		return corrupt("name %q contains a slash or a NUL", name)
	case len(before) > 0 && before[len(before)-1].Name >= name:
		return corrupt("name %q is out of order", name)
	}
	return nil
}
