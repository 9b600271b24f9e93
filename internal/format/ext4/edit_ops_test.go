package ext4_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sextant/internal/format/ext4"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// op is one change, which both the Editor and the kernel can make.
type op struct {
	Do       string // put, set, link, remove, removeall
	Path     string
	From     string // link: the other name
	Mode     tree.Mode
	UID, GID uint32
	Sec      int64
	Nsec     int64
	Xattrs   map[string][]byte
	Target   string
	Device   tree.Device
	Content  imagetest.Noise
}

// node returns what the Editor takes.
func (o op) node() *tree.Inode {
	n := &tree.Inode{
		Mode: o.Mode, UID: o.UID, GID: o.GID, ModTime: time.Unix(o.Sec, o.Nsec),
		Target: o.Target, Device: o.Device,
	}
	if o.Mode.IsRegular() {
		n.Content = o.Content
	}
	for name, value := range o.Xattrs {
		n.PutXattr(name, value)
	}
	return n
}

// edit makes the changes with an Editor. nodes remembers what was put where.
func edit(e *ext4.Editor, nodes map[string]*tree.Inode, ops []op) error {
	for i, o := range ops {
		var err error
		switch o.Do {
		case "put":
			nodes[o.Path] = o.node()
			err = e.Put(o.Path, nodes[o.Path])
		case "link":
			err = e.Put(o.Path, nodes[o.From])
			nodes[o.Path] = nodes[o.From]
		case "set":
			err = e.Set(o.Path, o.node())
		case "remove":
			err = e.Remove(o.Path)
		case "removeall":
			err = e.RemoveAll(o.Path)
		}
		if err != nil {
			return fmt.Errorf("change %d: %w", i, err)
		}
	}
	return nil
}

// applyFile makes the changes of a file in a directory, by the kernel.
func applyFile(file, dir string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var ops []op
	if err := json.Unmarshal(b, &ops); err != nil {
		return err
	}
	return apply(dir, ops)
}

func apply(dir string, ops []op) error {
	for i, o := range ops {
		if err := o.apply(dir); err != nil {
			return fmt.Errorf("change %d: %s %s: %w", i, o.Do, o.Path, err)
		}
	}
	return nil
}

func (o op) apply(dir string) error {
	path := filepath.Join(dir, o.Path)
	temporary := filepath.Join(filepath.Dir(path), ".new")
	switch o.Do {
	case "remove":
		return os.Remove(path)
	case "removeall":
		return os.RemoveAll(path)
	case "set":
		return o.attributes(path)
	case "link":
		if err := os.Link(filepath.Join(dir, o.From), temporary); err != nil {
			return err
		}
		if err := os.Rename(temporary, path); err != nil {
			return err
		}
		// A rename to another name of the same file does nothing.
		_ = os.Remove(temporary)
		return nil
	}
	if o.Mode.IsDir() {
		if err := os.Mkdir(path, 0o700); err != nil && !os.IsExist(err) {
			return err
		}
		return o.attributes(path)
	}
	if err := o.create(temporary); err != nil {
		return err
	}
	if err := o.attributes(temporary); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

func (o op) create(path string) error {
	switch o.Mode.Type() {
	case tree.TypeSymlink:
		return os.Symlink(o.Target, path)
	case tree.TypeRegular:
		return o.writeContent(path)
	}
	return unix.Mknod(path, uint32(o.Mode), int(unix.Mkdev(o.Device.Major, o.Device.Minor)))
}

func (o op) writeContent(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(o.Content.Size()); err != nil {
		return err
	}
	for _, x := range o.Content.Extents() {
		w := io.NewOffsetWriter(f, x.Offset)
		if _, err := io.Copy(w, io.NewSectionReader(o.Content, x.Offset, x.Length)); err != nil {
			return err
		}
	}
	return f.Close()
}

func (o op) attributes(path string) error {
	if err := os.Lchown(path, int(o.UID), int(o.GID)); err != nil {
		return err
	}
	if o.Mode.Type() != tree.TypeSymlink {
		if err := unix.Chmod(path, uint32(o.Mode.Perm())); err != nil {
			return err
		}
	}
	b := make([]byte, 1<<16)
	n, err := unix.Llistxattr(path, b)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(string(b[:n]), "\x00") {
		if _, keep := o.Xattrs[name]; name == "" || keep {
			continue
		}
		if err := unix.Lremovexattr(path, name); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	for name, value := range o.Xattrs {
		if err := unix.Lsetxattr(path, name, value, 0); err != nil {
			return fmt.Errorf("set %s of %d bytes: %w", name, len(value), err)
		}
	}
	at := unix.NsecToTimespec(0)
	at.Sec, at.Nsec = o.Sec, o.Nsec
	return unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW)
}

// opMaker thinks of changes, and knows what is there after them.
type opMaker struct {
	r         *rand.Rand
	blockSize int64
	largest   int64 // of contents
	xattrs    int   // bytes of the largest value
	dirs      []string
	files     map[string]op // by path, with the put that made them
	ops       []op
}

func newOpMaker(seed uint64, blockSize, largest int64) *opMaker {
	return &opMaker{
		r: rand.New(rand.NewPCG(seed, 7)), blockSize: blockSize, largest: largest, xattrs: int(min(blockSize, 4096)) / 2,
		dirs: []string{""}, files: make(map[string]op),
	}
}

func (m *opMaker) make(n int) []op {
	m.ops = nil
	for range n {
		m.one()
	}
	return m.ops
}

func (m *opMaker) one() {
	switch k := m.r.IntN(20); {
	case k < 3 && len(m.dirs) < 30:
		m.newDir()
	case k < 13 || len(m.files) == 0:
		m.put(m.path())
	case k < 14:
		m.put(m.anyFile())
	case k < 15:
		m.link()
	case k < 17:
		m.set()
	case k < 19:
		path := m.anyFile()
		m.add(op{Do: "remove", Path: path})
		delete(m.files, path)
	default:
		m.removeAll()
	}
}

// forget makes the files that are there ones that nobody can link to, as the
// Editor does not know them.
func (m *opMaker) forget() {
	for path, o := range m.files {
		o.Do = "before"
		m.files[path] = o
	}
}

func (m *opMaker) add(o op) { m.ops = append(m.ops, o) }

func (m *opMaker) anyDir() string { return m.dirs[m.r.IntN(len(m.dirs))] }

func (m *opMaker) anyFile() string {
	var paths []string
	for path := range m.files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return paths[m.r.IntN(len(paths))]
}

// path returns a name that is not taken by a directory.
func (m *opMaker) path() string {
	for {
		name := fmt.Sprintf("n%d", m.r.IntN(5000))
		switch m.r.IntN(4) {
		case 0:
			name += strings.Repeat("é", m.r.IntN(120))
		case 1:
			name += strings.Repeat("x", m.r.IntN(250))
		}
		path := strings.TrimPrefix(m.anyDir()+"/"+name, "/")
		if !slices.Contains(m.dirs, path) {
			return path
		}
	}
}

func (m *opMaker) newDir() {
	path := strings.TrimPrefix(m.anyDir()+fmt.Sprintf("/dir%d", len(m.ops)), "/")
	m.add(m.attributes(op{Do: "put", Path: path, Mode: tree.TypeDir}))
	m.dirs = append(m.dirs, path)
}

func (m *opMaker) put(path string) {
	o := op{Do: "put", Path: path}
	switch m.r.IntN(10) {
	case 0:
		o.Mode, o.Target = tree.TypeSymlink, strings.Repeat("t/", 1+m.r.IntN(28))
	case 1:
		o.Mode, o.Target = tree.TypeSymlink, strings.Repeat("long/", 12+m.r.IntN(150))
	case 2:
		o.Mode, o.Device = tree.TypeChar, tree.Device{Major: m.r.Uint32N(4096), Minor: m.r.Uint32N(1 << 20)}
	case 3:
		o.Mode, o.Device = tree.TypeBlock, tree.Device{Major: m.r.Uint32N(256), Minor: m.r.Uint32N(256)}
	case 4:
		o.Mode = tree.TypeFIFO
	default:
		o.Mode, o.Content = tree.TypeRegular, m.content()
	}
	o = m.attributes(o)
	m.add(o)
	m.files[path] = o
}

// content thinks of a content: small, whole blocks, large, or full of holes.
func (m *opMaker) content() imagetest.Noise {
	seed := m.r.Uint64()
	switch m.r.IntN(5) {
	case 0:
		return imagetest.Noise{Seed: seed, Length: m.r.Int64N(200)}
	case 1:
		return imagetest.Noise{Seed: seed, Length: m.blockSize * m.r.Int64N(20)}
	case 2:
		return imagetest.Noise{Seed: seed, Length: m.r.Int64N(m.largest)}
	case 3:
		return imagetest.Noise{Seed: seed, Length: m.r.Int64N(60000)}
	}
	var data []span.Span
	at := int64(0)
	for range 1 + m.r.IntN(40) {
		at += m.r.Int64N(9 * m.blockSize)
		length := 1 + m.r.Int64N(2*m.blockSize)
		data = append(data, span.Span{Offset: at, Length: length})
		at += length + 1
	}
	return imagetest.Sparse(seed, at+m.r.Int64N(1<<20), data...)
}

func (m *opMaker) attributes(o op) op {
	o.Mode |= tree.Mode(m.r.IntN(0o10000))
	if o.Mode.Type() == tree.TypeSymlink {
		o.Mode = tree.TypeSymlink | 0o777
	}
	o.UID, o.GID = m.id(), m.id()
	o.Sec, o.Nsec = m.r.Int64N(3<<32)-1<<31, m.r.Int64N(1_000_000_000)
	if m.r.IntN(3) > 0 {
		return o
	}
	o.Xattrs = make(map[string][]byte)
	for range 1 + m.r.IntN(4) {
		// The same few values, so that blocks can be shared.
		size := []int{0, 1, 20, 60, m.xattrs / 4}[m.r.IntN(5)]
		o.Xattrs[fmt.Sprintf("trusted.n%d", m.r.IntN(6))] = pattern(uint64(m.r.IntN(2)), size)
	}
	switch m.r.IntN(6) {
	case 0:
		o.Xattrs["security.selinux"] = []byte("system_u:object_r:usr_t:s0\x00")
	case 1:
		if o.Mode.IsRegular() || o.Mode.IsDir() {
			o.Xattrs["user.note"] = pattern(1, m.xattrs/8)
		}
	}
	return o
}

func (m *opMaker) id() uint32 {
	return []uint32{0, 0, 0, 1000, 65534, 65536, 4_000_000_000}[m.r.IntN(7)]
}

func (m *opMaker) link() {
	from := m.anyFile()
	path := m.path()
	if path == from || m.files[from].Do != "put" {
		return
	}
	m.add(op{Do: "link", Path: path, From: from})
	m.files[path] = m.files[from]
}

func (m *opMaker) set() {
	if m.r.IntN(3) == 0 {
		m.add(m.attributes(op{Do: "set", Path: m.anyDir(), Mode: tree.TypeDir}))
		return
	}
	path := m.anyFile()
	m.add(m.attributes(op{Do: "set", Path: path, Mode: m.files[path].Mode.Type()}))
}

func (m *opMaker) removeAll() {
	gone := m.anyDir()
	if gone == "" || len(m.dirs) < 10 {
		return
	}
	m.add(op{Do: "removeall", Path: gone})
	below := func(path string) bool { return path == gone || strings.HasPrefix(path, gone+"/") }
	m.dirs = slices.DeleteFunc(m.dirs, below)
	for path := range m.files {
		if below(path) {
			delete(m.files, path)
		}
	}
}
