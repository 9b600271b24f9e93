package imagetest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// Scan returns the tree below dir as the kernel shows it: every file type, all
// extended attributes, hard links as one inode, holes.
func Scan(dir string) (*tree.Tree, error) {
	s := scanner{links: make(map[[2]uint64]*tree.Inode)}
	root, err := s.inode(dir)
	if err != nil {
		return nil, err
	}
	return &tree.Tree{Root: root}, nil
}

type scanner struct {
	links map[[2]uint64]*tree.Inode
}

func (s *scanner) inode(path string) (*tree.Inode, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return nil, fmt.Errorf("stat %s: %w", path, err)
	}
	key := [2]uint64{st.Dev, st.Ino}
	if node := s.links[key]; node != nil && !node.Mode.IsDir() {
		return node, nil
	}
	node := &tree.Inode{
		Mode:    tree.Mode(st.Mode),
		UID:     st.Uid,
		GID:     st.Gid,
		ModTime: time.Unix(st.Mtim.Sec, st.Mtim.Nsec),
		Origin:  path,
	}
	s.links[key] = node
	if err := readXattrs(path, node); err != nil {
		return nil, fmt.Errorf("read xattrs of %s: %w", path, err)
	}
	return node, s.fill(node, path, &st)
}

func (s *scanner) fill(node *tree.Inode, path string, st *syscall.Stat_t) (err error) {
	switch {
	case node.Mode.IsDir():
		return s.entries(node, path)
	case node.Mode.IsRegular():
		node.Content, err = newFile(path, st)
	case node.Mode.Type() == tree.TypeSymlink:
		node.Target, err = os.Readlink(path)
	case node.Mode.IsDevice():
		node.Device = tree.Device{
			Major: uint32(st.Rdev >> 8 & 0xfff),
			Minor: uint32(st.Rdev&0xff | st.Rdev>>12&0xfff00),
		}
	}
	return err
}

func (s *scanner) entries(node *tree.Inode, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		child, err := s.inode(filepath.Join(path, name))
		if err != nil {
			return err
		}
		if err := node.Put(name, child); err != nil {
			return err
		}
	}
	return nil
}

// file is the content of a file on disk.
type file struct {
	path    string
	size    int64
	extents []span.Span
}

func newFile(path string, st *syscall.Stat_t) (*file, error) {
	f := &file{path: path, size: st.Size}
	if f.size > 0 {
		f.extents = []span.Span{span.Between(0, f.size)}
	}
	if st.Blocks*512 >= st.Size {
		return f, nil
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f.extents, err = dataExtents(r, st.Size)
	return f, err
}

func dataExtents(r *os.File, size int64) (extents []span.Span, err error) {
	const seekData, seekHole = 3, 4
	for end := int64(0); end < size; {
		start, err := r.Seek(end, seekData)
		if errors.Is(err, syscall.ENXIO) {
			break
		}
		if err != nil {
			return nil, err
		}
		if end, err = r.Seek(start, seekHole); err != nil {
			return nil, err
		}
		extents = append(extents, span.Between(start, end))
	}
	return extents, nil
}

func (f *file) Size() int64          { return f.size }
func (f *file) Extents() []span.Span { return f.extents }

func (f *file) Open() (tree.Reader, error) {
	fd, err := syscall.Open(f.path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NOATIME, 0)
	if err == syscall.EPERM {
		fd, err = syscall.Open(f.path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.path, Err: err}
	}
	return openFile(fd), nil
}

// openFile is a file descriptor. An os.File does more than reading needs.
type openFile int

func (f openFile) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		k, err := syscall.Pread(int(f), p[n:], off+int64(n))
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		if k == 0 {
			return n, io.EOF
		}
		n += k
	}
	return n, nil
}

func (f openFile) Close() error { return syscall.Close(int(f)) }

func readXattrs(path string, node *tree.Inode) error {
	list, err := xattrCall(syscall.SYS_LLISTXATTR, path, "")
	if err == syscall.EOPNOTSUPP || len(list) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		value, err := xattrCall(syscall.SYS_LGETXATTR, path, name)
		if err == syscall.ENODATA {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		node.PutXattr(name, value)
	}
	return nil
}

// xattrCall calls llistxattr or, with a name, lgetxattr. The syscall package
// has only the calls that follow symbolic links.
func xattrCall(trap uintptr, path, name string) ([]byte, error) {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 256)
	for {
		var n uintptr
		var errno syscall.Errno
		at := unsafe.Pointer(unsafe.SliceData(buf))
		if name == "" {
			n, _, errno = syscall.Syscall(trap, uintptr(unsafe.Pointer(p)), uintptr(at), uintptr(len(buf)))
		} else {
			q, err := syscall.BytePtrFromString(name)
			if err != nil {
				return nil, err
			}
			n, _, errno = syscall.Syscall6(trap, uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(q)),
				uintptr(at), uintptr(len(buf)), 0, 0)
		}
		switch {
		case errno == syscall.ERANGE && len(buf) < 1<<20:
			buf = make([]byte, 4*len(buf))
		case errno != 0:
			return nil, errno
		default:
			return buf[:n:n], nil
		}
	}
}
