package erofs

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// DefaultBlockSize is the block size that every kernel with EROFS can mount.
const DefaultBlockSize = 4096

// Options are the properties of an image that its tree does not have.
type Options struct {
	UUID [16]byte

	// BuildTime is stored in the superblock. Files with exactly this time can
	// have 32-byte inodes. The zero Time stands for 1970-01-01.
	BuildTime time.Time

	// BlockSize is a power of two from 512 to 65536; 0 stands for 4096.
	// Kernels before 6.4 can mount 4096 only, later ones up to their page size.
	BlockSize int

	// VolumeName has at most 15 bytes.
	VolumeName string
}

// Layout says where every byte of an image is. It does not change once made,
// so any number of Images can render it at the same time.
type Layout struct {
	opts Options
	bits uint8 // log2 of the block size
	size int64

	nodes       []node
	dirents     []dirent // of all directories, one after the other
	blockStarts []int32  // index of the first dirent of each directory block
	dirs        []directory

	records []int32  // nodes in the order of their offsets
	extents []extent // data in the order of its offsets

	shared   []byte // the shared xattrs
	sharedAt int64
}

// node is one inode of the image.
type node struct {
	src    *tree.Inode
	at     int64  // offset of the inode, a multiple of SlotSize
	data   int64  // offset of the first data block, or 0
	size   int64  // i_size
	body   string // xattrs as on disk
	chunks *chunkMap
	parent int32 // node of the directory with the first name
	dir    int32 // index into Layout.dirs
	nlink  uint32
	layout DataLayout

	extended bool
}

// extent is a run of data blocks, or the end of one, of a node.
type extent struct {
	at     int64 // offset in the image
	length int64 // a multiple of the block size
	from   int64 // offset in the file
	node   int32
}

// Plan decides where every inode, xattr and data block of t goes. It asks
// contents for their size and extents, but opens none.
//
// A zero ModTime is taken as opts.BuildTime. All other times that a time.Time
// can hold fit into the format, also those before 1970.
func Plan(t *tree.Tree, opts Options) (*Layout, error) {
	l, err := newLayout(opts)
	if err != nil {
		return nil, err
	}
	if err := l.number(t.Root); err != nil {
		return nil, err
	}
	if err := l.planXattrs(); err != nil {
		return nil, err
	}
	for i := range l.nodes {
		if err := l.shape(int32(i)); err != nil {
			return nil, fmt.Errorf("%s: %w", l.origin(int32(i)), err)
		}
	}
	if err := l.place(); err != nil {
		return nil, err
	}
	return l, nil
}

func newLayout(opts Options) (*Layout, error) {
	if opts.BlockSize == 0 {
		opts.BlockSize = DefaultBlockSize
	}
	if opts.BuildTime.IsZero() {
		opts.BuildTime = time.Unix(0, 0)
	}
	n := bits.Len(uint(opts.BlockSize)) - 1
	if opts.BlockSize != 1<<n || n < minBlockBits || n > maxBlockBits {
		return nil, fmt.Errorf("block size %d is not a power of two from %d to %d",
			opts.BlockSize, 1<<minBlockBits, 1<<maxBlockBits)
	}
	if len(opts.VolumeName) > maxVolumeName {
		return nil, fmt.Errorf("volume name %q has %d bytes, EROFS allows %d",
			opts.VolumeName, len(opts.VolumeName), maxVolumeName)
	}
	return &Layout{opts: opts, bits: uint8(n)}, nil
}

// Size returns the length of the image in bytes, a multiple of the block size.
func (l *Layout) Size() int64 { return l.size }

// BlockSize returns the block size in bytes.
func (l *Layout) BlockSize() int { return 1 << l.bits }

// Inodes returns the number of inodes.
func (l *Layout) Inodes() int { return len(l.nodes) }

func (l *Layout) blockSize() int64 { return 1 << l.bits }

func (l *Layout) alignUp(n int64) int64 { return span.AlignUp(n, l.blockSize()) }

// number makes a node of every inode, the root first, then the entries of each
// directory next to each other, in the order in which "ls -lR" asks for them.
// The numbers follow from the names alone, so they do not depend on the order
// in which the tree was made.
func (l *Layout) number(root *tree.Inode) error {
	if !root.Mode.IsDir() {
		return fmt.Errorf("the root is a %s, not a directory", root.Mode.Kind())
	}
	n := numbering{Layout: l, seen: make(map[*tree.Inode]int32)}
	n.add(root, 0)
	l.nodes[0].nlink = 1 // for its own ".."
	for stack := []int32{0}; len(stack) > 0; {
		i := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		subdirs, err := n.list(i)
		if err != nil {
			return err
		}
		for k := len(subdirs) - 1; k >= 0; k-- {
			stack = append(stack, subdirs[k])
		}
	}
	return nil
}

type numbering struct {
	*Layout
	seen map[*tree.Inode]int32
}

func (n *numbering) add(src *tree.Inode, parent int32) int32 {
	i := int32(len(n.nodes))
	n.nodes = append(n.nodes, node{src: src, parent: parent, dir: -1})
	n.seen[src] = i
	return i
}

// list numbers the entries of directory i and returns those that are
// directories.
func (n *numbering) list(i int32) (subdirs []int32, err error) {
	d := directory{first: int32(len(n.dirents)), firstBlock: int32(len(n.blockStarts))}
	n.nodes[i].nlink++ // for its own "."
	dots := []dirent{{".", i}, {"..", n.nodes[i].parent}}
	for _, e := range n.nodes[i].src.Entries() {
		for len(dots) > 0 && dots[0].name < e.Name {
			n.dirents = append(n.dirents, dots[0])
			dots = dots[1:]
		}
		k, seen := n.seen[e.Inode]
		isDir := e.Inode.Mode.IsDir()
		switch {
		case seen && isDir:
			return nil, fmt.Errorf("%s: the directory is also at %s", n.join(i, e.Name), n.path(k))
		case !seen:
			k = n.add(e.Inode, i)
		}
		if n.nodes[k].nlink++; isDir {
			n.nodes[i].nlink++ // for its ".."
			subdirs = append(subdirs, k)
		}
		n.dirents = append(n.dirents, dirent{e.Name, k})
	}
	n.dirents = append(n.dirents, dots...)
	if len(n.dirents) > math.MaxInt32 || len(n.nodes) > math.MaxInt32 {
		return nil, errors.New("the tree has more than 2147483647 names")
	}
	d.count = int32(len(n.dirents)) - d.first
	n.splitDir(&d)
	n.nodes[i].dir = int32(len(n.dirs))
	n.dirs = append(n.dirs, d)
	return subdirs, nil
}

// path returns the first path of node i in the image.
func (l *Layout) path(i int32) string {
	if i == 0 {
		return "/"
	}
	parent := l.nodes[i].parent
	if d := l.nodes[parent].dir; d >= 0 {
		for _, e := range l.entries(&l.dirs[d]) {
			if e.node == i {
				return l.join(parent, e.name)
			}
		}
	}
	for _, e := range l.nodes[parent].src.Entries() {
		if e.Inode == l.nodes[i].src {
			return l.join(parent, e.Name)
		}
	}
	panic("internal error: node without a name")
}

func (l *Layout) join(dir int32, name string) string {
	return strings.TrimSuffix(l.path(dir), "/") + "/" + name
}

// origin says where node i comes from, for messages.
func (l *Layout) origin(i int32) string {
	if origin := l.nodes[i].src.Origin; origin != "" {
		return origin
	}
	return l.path(i)
}

// shape decides the form and the size of node i, but not its place.
func (l *Layout) shape(i int32) error {
	n := &l.nodes[i]
	n.size = n.src.Size()
	switch n.src.Mode.Type() {
	case tree.TypeDir:
		n.size = l.dirs[n.dir].size
	case tree.TypeSymlink:
		if n.size == 0 || n.size > maxSymlink {
			return fmt.Errorf("the link's target has %d bytes, Linux allows 1 to %d", n.size, maxSymlink)
		}
	case tree.TypeBlock, tree.TypeChar:
		if d := n.src.Device; d.Major > maxMajor || d.Minor > maxMinor {
			return fmt.Errorf("device %d:%d is beyond %d:%d", d.Major, d.Minor, maxMajor, maxMinor)
		}
	case tree.TypeRegular:
		if n.size < 0 || n.size > maxFileSize {
			return fmt.Errorf("the file has %d bytes, the limit is %d", n.size, int64(maxFileSize))
		}
		if err := l.planChunks(n); err != nil {
			return err
		}
	case tree.TypeFIFO, tree.TypeSocket:
	default:
		return fmt.Errorf("file type %#o is none that Linux has", uint16(n.src.Mode.Type()))
	}
	n.extended = l.needsExtended(n)
	n.layout = l.layoutOf(i)
	return nil
}

// needsExtended reports whether a compact inode cannot hold what n has. A
// compact inode has no time: old kernels and new ones agree on the build time
// only.
func (l *Layout) needsExtended(n *node) bool {
	return n.src.UID > math.MaxUint16 || n.src.GID > math.MaxUint16 || n.nlink > math.MaxUint16 ||
		n.size > math.MaxUint32 || !l.modTime(n).Equal(l.opts.BuildTime)
}

func (l *Layout) modTime(n *node) time.Time {
	if n.src.ModTime.IsZero() {
		return l.opts.BuildTime
	}
	return n.src.ModTime
}

// layoutOf puts the last part of a block behind the inode wherever inode,
// xattrs and tail fit into one block. Older kernels refuse a symbolic
// link's inline target that is in another block than its inode.
func (l *Layout) layoutOf(i int32) DataLayout {
	n := &l.nodes[i]
	if n.chunks != nil {
		return ChunkBased
	}
	room := l.blockSize()
	if i == 0 {
		room -= rootAt % room // the root has a fixed place
	}
	if tail := n.size % l.blockSize(); tail > 0 && n.headSize()+tail <= room {
		return FlatInline
	}
	return FlatPlain
}

func (n *node) inodeSize() int64 {
	if n.extended {
		return extendedSize
	}
	return compactSize
}

// headSize returns the length of inode and xattrs.
func (n *node) headSize() int64 { return n.inodeSize() + int64(len(n.body)) }

// tail returns the number of data bytes behind the inode.
func (l *Layout) tail(n *node) int64 {
	if n.layout == FlatInline {
		return n.size % l.blockSize()
	}
	return 0
}

// recordSize returns the length of all that stands behind the inode, itself
// included.
func (l *Layout) recordSize(n *node) int64 {
	if n.layout == ChunkBased {
		return n.headSize() + n.chunks.count*chunkEntrySize
	}
	return n.headSize() + l.tail(n)
}

// dataSize returns the number of bytes in data blocks of a flat node, a
// multiple of the block size.
func (l *Layout) dataSize(n *node) int64 {
	return l.alignUp(n.size - l.tail(n))
}
