package ext4_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sextant/internal/testenv"
)

// pattern gives n bytes that differ from file to file.
func pattern(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// maker fills a directory; the first failure ends the test.
type maker struct {
	fail func(error)
	dir  string
}

func newMaker(t testing.TB, dir string) maker {
	return maker{func(err error) { t.Fatal(err) }, dir}
}

func (m maker) path(name string) string { return filepath.Join(m.dir, name) }

func (m maker) must(err error) {
	if err != nil {
		m.fail(err)
	}
}

func (m maker) file(name string, content []byte) {
	m.must(os.MkdirAll(filepath.Dir(m.path(name)), 0o755))
	m.must(os.WriteFile(m.path(name), content, 0o644))
}

func (m maker) xattr(name, attribute string, value []byte) {
	m.must(unix.Lsetxattr(m.path(name), attribute, value, 0))
}

// acl gives a value of system.posix_acl_access with a named user and group.
func acl() []byte {
	b := []byte{2, 0, 0, 0}
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{
		{1, 7, ^uint32(0)}, {2, 5, 1000}, {2, 4, 70000}, {4, 5, ^uint32(0)},
		{8, 6, 4242}, {0x10, 7, ^uint32(0)}, {0x20, 4, ^uint32(0)},
	} {
		b = binary.LittleEndian.AppendUint16(b, e.tag)
		b = binary.LittleEndian.AppendUint16(b, e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	return b
}

// everything makes a directory with all kinds of files. It needs root.
func everything(t testing.TB) string {
	testenv.RequireRoot(t)
	m := newMaker(t, t.TempDir())
	m.everything()
	return m.dir
}

func (m maker) everything() {
	for _, n := range []int{0, 1, 59, 60, 61, 100, 120, 155, 160, 200, 1000, 1024, 1025, 4095, 4096, 4097, 70000, 1 << 20} {
		m.file(fmt.Sprintf("sizes/%d", n), pattern(uint64(n), n))
	}
	m.sparse()
	m.specials()
	m.attributes()
	m.names()
	m.times()
}

func (m maker) sparse() {
	for name, pieces := range map[string][]int64{
		"sparse/begin": {100000}, "sparse/middle": {0, 300000}, "sparse/far": {0, 40 << 20, 200 << 20},
		"sparse/many": {0, 70000, 140000, 210000, 280000, 350000, 420000}, "sparse/none": nil,
	} {
		m.file(name, nil)
		f, err := os.OpenFile(m.path(name), os.O_WRONLY, 0)
		m.must(err)
		m.must(f.Truncate(500000))
		for i, at := range pieces {
			_, err := f.WriteAt(pattern(uint64(i), 5000), at)
			m.must(err)
		}
		m.must(f.Close())
	}
	m.must(os.Truncate(m.path("sparse/none"), 90<<20))
}

func (m maker) specials() {
	m.must(os.MkdirAll(m.path("special/dir/deep/er/still"), 0o755))
	for i, n := range []int{1, 50, 59, 60, 61, 150, 300, 1000, 4000} {
		target := strings.Repeat("x/", n/2) + strings.Repeat("y", n%2)
		if n <= 1000 {
			m.must(os.Symlink(target, m.path(fmt.Sprintf("special/link%d", i))))
		}
	}
	m.file("special/hard1", []byte("hard"))
	m.must(os.Link(m.path("special/hard1"), m.path("special/dir/hard2")))
	m.must(os.Link(m.path("special/hard1"), m.path("special/dir/deep/hard3")))
	for name, dev := range map[string]uint64{
		"null": unix.Mkdev(1, 3), "big": unix.Mkdev(259, 70000), "zero": unix.Mkdev(0, 0), "huge": unix.Mkdev(4095, 1048575),
	} {
		m.must(unix.Mknod(m.path("special/char-"+name), unix.S_IFCHR|0o620, int(dev)))
		m.must(unix.Mknod(m.path("special/block-"+name), unix.S_IFBLK|0o660, int(dev)))
	}
	m.must(unix.Mkfifo(m.path("special/fifo"), 0o600))
	m.must(os.Chmod(m.path("special/hard1"), os.ModeSetuid|os.ModeSetgid|0o751))
	m.must(os.Chmod(m.path("special/dir"), os.ModeSticky|0o777))
	m.must(os.Lchown(m.path("special/hard1"), 65534, 65533))
	m.must(os.Lchown(m.path("special/link1"), 100000, 200000))
	m.must(os.Lchown(m.path("special/dir"), 4000000000, 3000000000))
}

func (m maker) attributes() {
	for i, size := range []int{0, 1, 10, 50, 400, 700} {
		name := fmt.Sprintf("xattr/one%d", size)
		m.file(name, pattern(9, 100))
		m.xattr(name, "user.one", pattern(uint64(i), size))
	}
	m.file("xattr/many", nil)
	for i := range 12 {
		m.xattr("xattr/many", fmt.Sprintf("user.attribute.%d", i), pattern(uint64(i), i*4))
	}
	m.xattr("xattr/many", "security.selinux", []byte("system_u:object_r:usr_t:s0\x00"))
	m.xattr("xattr/many", "trusted.overlay.opaque", []byte("y"))
	m.file("xattr/acl", nil)
	m.xattr("xattr/acl", "system.posix_acl_access", acl())
	m.must(os.Mkdir(m.path("xattr/acldir"), 0o755))
	m.xattr("xattr/acldir", "system.posix_acl_default", acl())
	m.xattr("xattr/acldir", "system.posix_acl_access", acl())
	m.must(os.Symlink("target", m.path("xattr/link")))
	m.xattr("xattr/link", "trusted.link", []byte("on a link"))
	m.xattr("xattr", "user.dir", pattern(3, 300))
}

func (m maker) names() {
	m.file("names/"+strings.Repeat("n", 255), []byte("long"))
	m.file("names/"+strings.Repeat("é", 127), []byte("utf-8"))
	m.file("names/with space\nand newline", nil)
	m.file("names/\xff\xfe not utf-8", []byte("bytes"))
	m.file("names/.hidden", nil)
	m.file("names/...", nil)
	for i := range 40 {
		m.file(fmt.Sprintf("small/%d", i), pattern(uint64(i), i*4))
	}
	for i := range 5 {
		m.must(os.Mkdir(m.path(fmt.Sprintf("small/dir%d", i)), 0o700))
	}
}

func (m maker) times() {
	for i, at := range []time.Time{
		time.Unix(0, 0), time.Unix(1700000000, 123456789), time.Unix(1<<31, 5), time.Unix(1<<32+7, 999999999),
		time.Unix(-1, 0), time.Unix(-(1 << 31), 1), time.Unix(3<<32, 0),
	} {
		name := fmt.Sprintf("times/%d", i)
		m.file(name, nil)
		m.must(os.Chtimes(m.path(name), at, at))
	}
}

// byKernel makes what only the kernel makes: indexes over names, deep extent
// trees, extents that were never written, large attributes.
func (m maker) byKernel() {
	m.manyNames(6000)
	m.fragments("fragments", 30000)
	m.unwritten("unwritten")
	m.file("xattr/large", nil)
	if err := unix.Setxattr(m.path("xattr/large"), "user.large", pattern(5, 60000), 0); err != nil && err != unix.ENOSPC {
		m.must(err)
	}
	m.xattr("xattr/large", "user.small", []byte("small"))
	// Inodes with the same attributes share a block.
	for i := range 5 {
		name := fmt.Sprintf("xattr/share%d", i)
		m.file(name, nil)
		m.xattr(name, "user.same", pattern(6, 600))
	}
	for i := range 300 {
		m.must(os.MkdirAll(m.path(fmt.Sprintf("dirs/%d/inner", i)), 0o755))
	}
	for i := 0; i < 300; i += 3 {
		m.must(os.RemoveAll(m.path(fmt.Sprintf("dirs/%d", i))))
	}
}

// manyNames makes a directory with n files, of which every seventh goes again.
func (m maker) manyNames(n int) {
	m.must(os.Mkdir(m.path("many"), 0o755))
	name := func(i int) string {
		return m.path(fmt.Sprintf("many/entry number %d %s", i, strings.Repeat("é", i%50)))
	}
	for i := range n {
		var content []byte
		if i%100 == 0 {
			content = pattern(uint64(i), 50)
		}
		m.must(os.WriteFile(name(i), content, 0o644))
	}
	for i := 0; i < n; i += 7 {
		m.must(os.Remove(name(i)))
	}
}

// fragments makes a file with a hole behind each of its blocks.
func (m maker) fragments(name string, n int) {
	f, err := os.Create(m.path(name))
	m.must(err)
	var st unix.Statfs_t
	m.must(unix.Fstatfs(int(f.Fd()), &st))
	for i := range n {
		_, err := f.WriteAt([]byte(fmt.Sprintf("block %d", i)), int64(i)*2*st.Bsize)
		m.must(err)
	}
	m.must(f.Close())
}

// unwritten makes files with space that was set aside.
func (m maker) unwritten(name string) {
	m.file(name, pattern(1, 10000))
	f, err := os.OpenFile(m.path(name), os.O_RDWR, 0)
	m.must(err)
	if err := unix.Fallocate(int(f.Fd()), 0, 0, 200000); err == unix.EOPNOTSUPP {
		m.must(f.Close()) // ext2 and ext3
		return
	} else {
		m.must(err)
	}
	_, err = f.WriteAt(pattern(2, 5000), 100000)
	m.must(err)
	m.must(unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 300000, 100000))
	m.must(unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE|unix.FALLOC_FL_PUNCH_HOLE, 4096, 4096))
	m.must(f.Close())
}
