// Package tree holds a file tree in memory. It knows no file system format
// and no disk: sources make trees, format writers take them, and file system
// readers can be compared through them.
//
// A Tree is a graph of inodes. A directory maps names to inodes; a hard link
// is one Inode reached under two names. File contents are not held, only the
// means to open them.
package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"sextant/internal/span"
)

// NameMax is the longest file name in bytes that Linux allows (NAME_MAX).
const NameMax = 255

// Mode holds the file type and the twelve permission bits as in the kernel's
// st_mode (see inode(7)).
type Mode uint16

// The file types and special permission bits of a Mode (inode(7)).
const (
	TypeMask    Mode = 0o170000
	TypeSocket  Mode = 0o140000
	TypeSymlink Mode = 0o120000
	TypeRegular Mode = 0o100000
	TypeBlock   Mode = 0o060000
	TypeDir     Mode = 0o040000
	TypeChar    Mode = 0o020000
	TypeFIFO    Mode = 0o010000

	SetUID Mode = 0o4000
	SetGID Mode = 0o2000
	Sticky Mode = 0o1000
)

// Type returns the file type bits alone.
func (m Mode) Type() Mode { return m & TypeMask }

// Perm returns the twelve permission bits.
func (m Mode) Perm() Mode { return m &^ TypeMask }

// IsDir reports whether the mode is a directory's.
func (m Mode) IsDir() bool { return m.Type() == TypeDir }

// IsRegular reports whether the mode is a regular file's.
func (m Mode) IsRegular() bool { return m.Type() == TypeRegular }

// IsDevice reports whether the mode is a block or character device's.
func (m Mode) IsDevice() bool { return m.Type() == TypeBlock || m.Type() == TypeChar }

// Kind returns the word for the file type: file, dir, symlink, block, char,
// fifo or socket, and "unknown" for bits that are none of these.
func (m Mode) Kind() string {
	switch m.Type() {
	case TypeRegular:
		return "file"
	case TypeDir:
		return "dir"
	case TypeSymlink:
		return "symlink"
	case TypeBlock:
		return "block"
	case TypeChar:
		return "char"
	case TypeFIFO:
		return "fifo"
	case TypeSocket:
		return "socket"
	}
	return "unknown"
}

// FileMode returns the mode in io/fs's representation.
func (m Mode) FileMode() fs.FileMode {
	fm := fs.FileMode(m & 0o777)
	if m&SetUID != 0 {
		fm |= fs.ModeSetuid
	}
	if m&SetGID != 0 {
		fm |= fs.ModeSetgid
	}
	if m&Sticky != 0 {
		fm |= fs.ModeSticky
	}
	switch m.Type() {
	case TypeDir:
		fm |= fs.ModeDir
	case TypeSymlink:
		fm |= fs.ModeSymlink
	case TypeBlock:
		fm |= fs.ModeDevice
	case TypeChar:
		fm |= fs.ModeDevice | fs.ModeCharDevice
	case TypeFIFO:
		fm |= fs.ModeNamedPipe
	case TypeSocket:
		fm |= fs.ModeSocket
	case TypeRegular:
	default:
		fm |= fs.ModeIrregular
	}
	return fm
}

// ModeOf returns the Mode for io/fs's representation.
func ModeOf(fm fs.FileMode) Mode {
	m := Mode(fm.Perm())
	if fm&fs.ModeSetuid != 0 {
		m |= SetUID
	}
	if fm&fs.ModeSetgid != 0 {
		m |= SetGID
	}
	if fm&fs.ModeSticky != 0 {
		m |= Sticky
	}
	switch {
	case fm.IsRegular():
		m |= TypeRegular
	case fm.IsDir():
		m |= TypeDir
	case fm&fs.ModeSymlink != 0:
		m |= TypeSymlink
	case fm&fs.ModeCharDevice != 0:
		m |= TypeChar
	case fm&fs.ModeDevice != 0:
		m |= TypeBlock
	case fm&fs.ModeNamedPipe != 0:
		m |= TypeFIFO
	case fm&fs.ModeSocket != 0:
		m |= TypeSocket
	}
	return m
}

// Device is the number of a block or character device.
type Device struct {
	Major, Minor uint32
}

// Xattr is one extended attribute, with its full name ("user.note").
type Xattr struct {
	Name  string
	Value []byte
}

// Content gives the bytes of a regular file.
type Content interface {
	// Size returns the length in bytes, holes included.
	Size() int64

	// Extents returns the ranges that hold data, ascending and disjoint;
	// all else reads as zeros. A file without holes returns one span.
	Extents() []span.Span

	// Open returns a reader of the whole content. Readers are independent
	// of each other and may be open at the same time.
	Open() (Reader, error)
}

// Reader reads a file's content at any offset.
type Reader interface {
	io.ReaderAt
	io.Closer
}

// Inode is one file of any type. Which fields mean something depends on the
// type in Mode: Content for regular files, Target for symbolic links, Device
// for devices, and the entries for directories.
type Inode struct {
	Mode     Mode
	UID, GID uint32
	ModTime  time.Time
	Xattrs   []Xattr // sorted by name, no name twice
	Content  Content
	Target   string
	Device   Device

	// Origin says in words where the inode comes from ("/src/tool.c", "layer.tar:
	// usr/bin/tool"), for messages.
	Origin string

	entries map[string]*Inode

	// sorted has the entries in byte order as long as they were put in that
	// order, else it is nil. Sorting them for each pass over a tree takes
	// longer than the pass itself.
	sorted []Entry
}

// Size returns the length in bytes of a regular file's content or of a
// symbolic link's target, and 0 for all others.
func (i *Inode) Size() int64 {
	switch {
	case i.Mode.IsRegular() && i.Content != nil:
		return i.Content.Size()
	case i.Mode.Type() == TypeSymlink:
		return int64(len(i.Target))
	}
	return 0
}

// Xattr returns the value of the extended attribute called name.
func (i *Inode) Xattr(name string) (value []byte, ok bool) {
	n, ok := slices.BinarySearchFunc(i.Xattrs, name, compareXattr)
	if !ok {
		return nil, false
	}
	return i.Xattrs[n].Value, true
}

// PutXattr adds or replaces the extended attribute called name.
func (i *Inode) PutXattr(name string, value []byte) {
	n, ok := slices.BinarySearchFunc(i.Xattrs, name, compareXattr)
	if ok {
		i.Xattrs[n].Value = value
		return
	}
	i.Xattrs = slices.Insert(i.Xattrs, n, Xattr{name, value})
}

func compareXattr(x Xattr, name string) int { return strings.Compare(x.Name, name) }

// Entry is one name in a directory.
type Entry struct {
	Name  string
	Inode *Inode
}

// Len returns the number of entries of a directory.
func (i *Inode) Len() int { return len(i.entries) }

// Child returns the directory's entry called name, or nil.
func (i *Inode) Child(name string) *Inode { return i.entries[name] }

// Entries returns the directory's entries in byte order of their names.
func (i *Inode) Entries() []Entry {
	if len(i.sorted) == len(i.entries) {
		return slices.Clone(i.sorted)
	}
	list := make([]Entry, 0, len(i.entries))
	for _, name := range slices.Sorted(maps.Keys(i.entries)) {
		list = append(list, Entry{name, i.entries[name]})
	}
	return list
}

// Put sets the directory's entry called name, replacing what was there.
// CheckName must accept the name.
func (i *Inode) Put(name string, child *Inode) error {
	if !i.Mode.IsDir() {
		return fmt.Errorf("%q cannot be inside a %s", name, i.Mode.Kind())
	}
	if err := CheckName(name); err != nil {
		return err
	}
	if i.entries == nil {
		i.entries = make(map[string]*Inode)
	}
	i.putSorted(Entry{name, child})
	i.entries[name] = child
	return nil
}

// putSorted keeps sorted as it is described. It looks at the entries before
// e is one of them.
func (i *Inode) putSorted(e Entry) {
	last := len(i.sorted) - 1
	_, replaced := i.entries[e.Name]
	if len(i.sorted) == len(i.entries) && !replaced && (last < 0 || i.sorted[last].Name < e.Name) {
		i.sorted = append(i.sorted, e)
		return
	}
	i.sorted = nil
}

// Remove deletes the directory's entry called name; a missing one is no error.
func (i *Inode) Remove(name string) {
	delete(i.entries, name)
	i.sorted = nil
}

// CheckName returns an error unless name can be the name of a directory
// entry: not empty, at most NameMax bytes, no slash, no NUL, not "." or "..".
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("empty file name")
	case name == "." || name == "..":
		return fmt.Errorf("file name %q is reserved", name)
	case strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("file name %q contains a slash or a NUL", name)
	case len(name) > NameMax:
		return fmt.Errorf("file name %.20q… has %d bytes, Linux allows %d", name, len(name), NameMax)
	}
	return nil
}

// NewDir returns an empty directory with the given permission bits, owned by
// root.
func NewDir(perm Mode) *Inode {
	return &Inode{Mode: TypeDir | perm.Perm()}
}

// CopyDir returns a directory with the owner, mode, time and extended
// attributes of i, and no entries.
func (i *Inode) CopyDir() *Inode {
	c := *i
	c.entries, c.sorted = nil, nil
	return &c
}

// Tree is a file tree.
type Tree struct {
	Root *Inode
}

// New returns a tree that is an empty root directory of mode 0755.
func New() *Tree { return &Tree{Root: NewDir(0o755)} }

// Split cuts a path into its names. Slashes at the ends and repeated ones do
// not count, nor does "."; "/" gives none. A ".." stays, for lookups to refuse.
func Split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(name string) bool {
		return name == "" || name == "."
	})
}

// Lookup returns the inode at path, or nil. Symbolic links are not followed:
// a path through one does not exist here.
func (t *Tree) Lookup(path string) *Inode {
	node := t.Root
	for _, name := range Split(path) {
		if node = node.Child(name); node == nil {
			return nil
		}
	}
	return node
}

// MakeDirs returns the directory at path, creating it and its missing parents
// with the given permission bits and time.
func (t *Tree) MakeDirs(path string, perm Mode, modTime time.Time) (*Inode, error) {
	node := t.Root
	for _, name := range Split(path) {
		child := node.Child(name)
		if child == nil {
			child = NewDir(perm)
			child.ModTime = modTime
			if err := node.Put(name, child); err != nil {
				return nil, fmt.Errorf("make directory %s: %w", path, err)
			}
		}
		if !child.Mode.IsDir() {
			return nil, fmt.Errorf("make directory %s: %q is a %s", path, name, child.Mode.Kind())
		}
		node = child
	}
	return node, nil
}

// Walk calls visit for every name in the tree, a directory before what is in
// it, entries in byte order. Paths are absolute; the root is "/". A file with
// several hard links is visited under each name. Walk stops at the first
// error other than fs.SkipDir, which makes it pass over what is in a directory.
func (t *Tree) Walk(visit func(path string, node *Inode) error) error {
	return walk("/", t.Root, visit)
}

func walk(path string, node *Inode, visit func(string, *Inode) error) error {
	if err := visit(path, node); err != nil {
		if err == fs.SkipDir && node.Mode.IsDir() {
			return nil
		}
		return err
	}
	for _, e := range node.Entries() {
		if err := walk(strings.TrimSuffix(path, "/")+"/"+e.Name, e.Inode, visit); err != nil {
			return err
		}
	}
	return nil
}
