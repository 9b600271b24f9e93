package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/format/tar"
	"sextant/internal/tree"
)

// archive is where a tar lies, decompressed.
type archive interface {
	Open() (tree.Reader, error)
	Size() int64
}

// IsTar reports whether the file at path is a tar archive, compressed or not.
// What the file begins with counts; only where that is no tar its name does,
// so that a broken archive is not taken for a file.
func IsTar(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if namedTar(path) {
		return true, nil
	}
	plain, _, err := decompress(f)
	if err != nil {
		return false, nil
	}
	defer plain.Close()
	start, err := bufio.NewReaderSize(plain, tar.BlockSize).Peek(tar.BlockSize)
	return err == nil && tar.IsHeader(start), nil
}

// namedTar reports whether one of the last two suffixes is .tar, as mkosi
// does.
func namedTar(path string) bool {
	base := filepath.Base(path)
	last := filepath.Ext(base)
	return last == ".tar" || filepath.Ext(strings.TrimSuffix(base, last)) == ".tar"
}

// Tar returns the tree in the tar archive at path. It may be compressed with
// gzip, xz, zstd or bzip2, which its first bytes tell; then it is unpacked
// into the spool. Contents of any other stay in the file.
//
// Names are taken as tar(1) takes them: without slashes at their start. An
// entry of the same name replaces the one before, but not a directory a file
// or the other way round. Missing parents have mode 0755 and no time. An
// entry behind a symbolic link goes where that leads, if it leads to a
// directory in the archive. Names that climb out with "..", and links that
// lead out, are errors; so are hard links to what has not come yet. Errors
// name the archive and the entry.
func Tar(ctx context.Context, path string, opts Options) (*tree.Tree, error) {
	f, err := File(path, Options{Xattrs: XattrsNone})
	if err != nil {
		return nil, err
	}
	if !f.Mode.IsRegular() {
		return nil, fmt.Errorf("%s is a %s, not an archive", path, f.Mode.Kind())
	}
	t, err := readTar(ctx, path, f.Content, opts)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", path, err)
	}
	return t, nil
}

func readTar(ctx context.Context, path string, file archive, opts Options) (*tree.Tree, error) {
	from, err := unpacked(ctx, file, opts.Spool)
	if err != nil {
		return nil, err
	}
	r, err := from.Open()
	if err != nil {
		return nil, err
	}
	x := extraction{tree: tree.New(), archive: from, label: path, xattrs: opts.Xattrs}
	err = x.all(ctx, tar.NewReader(r, from.Size()))
	if closeErr := r.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	return x.tree, nil
}

// unpacked returns file, or if it is compressed what is in it.
func unpacked(ctx context.Context, file archive, spool *Spool) (archive, error) {
	r, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	plain, compression, err := decompress(io.NewSectionReader(r, 0, file.Size()))
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	if compression == "" {
		return file, nil
	}
	if spool == nil {
		return nil, errors.New("no place to unpack it")
	}
	return spool.put(ctx, plain)
}

const (
	// memoryMax is how much memory, roughly, the tree of an archive may take.
	memoryMax = 512 << 20

	// pathMax is Linux's PATH_MAX, with the NUL at the end.
	pathMax = 4096
)

// extraction turns entries into a tree.
type extraction struct {
	tree    *tree.Tree
	archive archive
	label   string
	xattrs  Xattrs
	memory  int
}

func (x *extraction) all(ctx context.Context, r *tar.Reader) error {
	for {
		e, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := x.add(e); err != nil {
			return fmt.Errorf("%.300q: %w", e.Name, err)
		}
	}
}

// add puts the entry into the tree.
func (x *extraction) add(e *tar.Entry) error {
	if err := x.account(e); err != nil {
		return err
	}
	names, err := entryNames(e.Name)
	if err != nil {
		return err
	}
	// All names are pieces of the origin. Those of the entry would keep its
	// records in memory.
	origin := x.label + ": " + strings.Join(names, "/")
	node, err := x.inode(e, origin)
	if err != nil {
		return err
	}
	path := origin[len(x.label)+2:]
	if path == "" {
		return x.putRoot(node)
	}
	parents, name := "", path
	if slash := strings.LastIndexByte(path, '/'); slash >= 0 {
		parents, name = path[:slash], path[slash+1:]
	}
	dir, err := x.tree.ResolveDir(parents, true)
	if err != nil {
		return err
	}
	return x.put(dir, path, name, node)
}

// account returns an error once the entries need too much memory: a small
// compressed file can hold very many.
func (x *extraction) account(e *tar.Entry) error {
	x.memory += 384 + len(x.label) + 2*len(e.Name) + len(e.Linkname) + 64*len(e.Data)
	for _, value := range e.Records {
		x.memory += len(value)
	}
	if x.memory > memoryMax {
		return fmt.Errorf("entries need more than %d bytes of memory: %w", memoryMax, fault.ErrUnsupported)
	}
	return nil
}

// entryNames returns the names that make up an entry's path.
func entryNames(path string) ([]string, error) {
	names := tree.Split(path)
	switch {
	case len(path) >= pathMax:
		return nil, fmt.Errorf("path of %d bytes, Linux allows %d: %w", len(path), pathMax-1, fault.ErrUnsupported)
	case slices.Contains(names, ".."):
		return nil, fmt.Errorf("path %w", tree.ErrOutside)
	}
	return names, nil
}

// inode returns the file that the entry describes. A hard link's is the one
// it links to.
func (x *extraction) inode(e *tar.Entry, origin string) (*tree.Inode, error) {
	if e.Type == tar.TypeLink {
		return x.linked(e)
	}
	node := &tree.Inode{
		Mode:    tree.Mode(e.Mode),
		UID:     e.UID,
		GID:     e.GID,
		ModTime: e.ModTime,
		Origin:  origin,
	}
	switch e.Type {
	case tar.TypeRegular:
		node.Mode |= tree.TypeRegular
		node.Content = memberContent(x.archive, e)
	case tar.TypeDir:
		node.Mode |= tree.TypeDir
	case tar.TypeSymlink:
		if len(e.Linkname) == 0 || len(e.Linkname) >= pathMax {
			return nil, fmt.Errorf("symbolic link to a path of %d bytes: %w", len(e.Linkname), fault.ErrCorrupt)
		}
		node.Mode |= tree.TypeSymlink
		node.Target = strings.Clone(e.Linkname)
	case tar.TypeChar, tar.TypeBlock:
		node.Mode |= tree.TypeChar
		if e.Type == tar.TypeBlock {
			node.Mode = node.Mode.Perm() | tree.TypeBlock
		}
		node.Device = tree.Device{Major: e.Major, Minor: e.Minor}
	case tar.TypeFIFO:
		node.Mode |= tree.TypeFIFO
	default:
		panic("internal error: entry of " + e.Type.String())
	}
	var err error
	if node.Xattrs, err = entryXattrs(e, x.xattrs); err != nil {
		return nil, err
	}
	if err := settleACLs(node); err != nil {
		return nil, err
	}
	return node, nil
}

func (x *extraction) linked(e *tar.Entry) (*tree.Inode, error) {
	names, err := entryNames(e.Linkname)
	if err != nil {
		return nil, fmt.Errorf("hard link to %.300q: %w", e.Linkname, err)
	}
	if len(names) == 0 {
		return nil, errors.New("hard link to the root")
	}
	last := len(names) - 1
	dir, err := x.tree.ResolveDir(strings.Join(names[:last], "/"), false)
	if err != nil {
		return nil, fmt.Errorf("hard link to %.300q: %w", e.Linkname, err)
	}
	node := dir.Child(names[last])
	switch {
	case node == nil:
		return nil, fmt.Errorf("hard link to %.300q, which is not in the archive before it", e.Linkname)
	case node.Mode.IsDir():
		return nil, fmt.Errorf("hard link to %.300q, a directory", e.Linkname)
	}
	return node, nil
}

// putRoot gives the root the attributes of the entry.
func (x *extraction) putRoot(node *tree.Inode) error {
	if !node.Mode.IsDir() {
		return fmt.Errorf("the root is a %s: %w", node.Mode.Kind(), tree.ErrConflict)
	}
	describeDir(x.tree.Root, node)
	return nil
}

// describeDir gives dir the attributes of another, and leaves its entries.
func describeDir(dir, as *tree.Inode) {
	dir.Mode, dir.UID, dir.GID, dir.ModTime = as.Mode, as.UID, as.GID, as.ModTime
	dir.Xattrs, dir.Origin = as.Xattrs, as.Origin
}

// put makes node the entry called name of dir; path is for messages and for
// following the symbolic link that may be there.
func (x *extraction) put(dir *tree.Inode, path, name string, node *tree.Inode) error {
	old := dir.Child(name)
	switch {
	case old == nil:
		return dir.Put(name, node)
	case node.Mode.IsDir() && old.Mode.IsDir():
		describeDir(old, node)
		return nil
	case node.Mode.IsDir() && old.Mode.Type() == tree.TypeSymlink:
		// As "tar --keep-directory-symlink", with which mkosi unpacks.
		if _, err := x.tree.ResolveDir(path, false); err != nil {
			return fmt.Errorf("a dir, and before that a symlink (%s): %w: %w", old.Origin, tree.ErrConflict, err)
		}
		return nil
	case node.Mode.IsDir() != old.Mode.IsDir():
		return fmt.Errorf("a %s (%s), and before that a %s (%s): %w",
			node.Mode.Kind(), node.Origin, old.Mode.Kind(), old.Origin, tree.ErrConflict)
	}
	return dir.Put(name, node)
}
