package squashfs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sextant/internal/format/squashfs"
	"sextant/internal/testenv"
)

// mksquashfs makes an image of a directory.
func mksquashfs(t testing.TB, dir string, options ...string) string {
	t.Helper()
	testenv.Require(t, "mksquashfs")
	image := filepath.Join(t.TempDir(), "image.squashfs")
	args := append([]string{dir, image, "-noappend", "-quiet", "-no-progress", "-processors", "1", "-mkfs-time", "1700000000"}, options...)
	if out, err := exec.Command("mksquashfs", args...).CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs %s: %v\n%s", strings.Join(options, " "), err, out)
	}
	return image
}

// open opens an image for as long as the test runs.
func open(t testing.TB, image string) *squashfs.FS {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fsys, err := squashfs.Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return fsys
}

// maker makes files, and fails the test where it cannot.
type maker struct {
	t      testing.TB
	dir    string
	random *rand.ChaCha8
}

func newMaker(t testing.TB) maker {
	return maker{t, t.TempDir(), rand.NewChaCha8([32]byte{1})}
}

func (m maker) path(name string) string { return filepath.Join(m.dir, name) }

func (m maker) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m maker) mkdir(name string) {
	m.t.Helper()
	m.must(os.MkdirAll(m.path(name), 0o755))
}

func (m maker) file(name string, content []byte) {
	m.t.Helper()
	m.must(os.WriteFile(m.path(name), content, 0o644))
}

// noise returns bytes that do not compress.
func (m maker) noise(n int) []byte {
	b := make([]byte, n)
	m.random.Read(b)
	return b
}

// text returns bytes that compress, but are not all the same.
func text(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "line %d of some text\n", i*i)
	}
	return b.Bytes()[:n]
}

func (m maker) xattr(name, key string, value []byte) {
	m.t.Helper()
	m.must(syscall.Setxattr(m.path(name), key, value, 0))
}

// everything makes a tree with all that SquashFS can hold. It needs root.
func (m maker) everything() string {
	m.t.Helper()
	testenv.RequireRoot(m.t)
	m.sizes()
	m.types()
	m.attributes()
	m.names()
	m.must(os.Chtimes(m.dir, time.Unix(1600000000, 0), time.Unix(1600000000, 0)))
	return m.dir
}

func (m maker) sizes() {
	m.mkdir("sizes")
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8192, 131071, 131072, 131073, 300000, 1 << 20, 1<<20 + 5} {
		m.file(fmt.Sprintf("sizes/text-%d", n), text(n))
		m.file(fmt.Sprintf("sizes/noise-%d", n), m.noise(n))
	}
	m.file("sizes/same", text(131073))
	m.file("sizes/zeros", make([]byte, 400000))
	code, err := os.ReadFile("/proc/self/exe")
	m.must(err)
	m.file("sizes/code", code[:min(len(code), 1<<20)])
	m.sparse("sizes/sparse", 3<<20, 1<<20+77)
	m.file("sizes/hole", nil)
	m.must(os.Truncate(m.path("sizes/hole"), 2<<20))
	m.sparse("sizes/sparse-tail", 3<<20+11, 3<<20)
}

// sparse makes a file with a few bytes at an offset and holes around.
func (m maker) sparse(name string, size, at int64) {
	f, err := os.Create(m.path(name))
	m.must(err)
	_, err = f.WriteAt([]byte("some bytes"), at)
	m.must(err)
	m.must(f.Truncate(size))
	m.must(f.Close())
}

func (m maker) types() {
	m.mkdir("types/empty")
	m.must(os.Symlink("empty", m.path("types/link")))
	m.must(os.Symlink("/nowhere/"+strings.Repeat("long/", 200), m.path("types/long-link")))
	m.must(syscall.Mknod(m.path("types/char"), syscall.S_IFCHR|0o620, 5<<8|1))
	m.must(syscall.Mknod(m.path("types/block"), syscall.S_IFBLK|0o660, 259<<8|0xff|0x123<<20))
	m.must(syscall.Mknod(m.path("types/fifo"), syscall.S_IFIFO|0o600, 0))
	m.must(syscall.Mknod(m.path("types/socket"), syscall.S_IFSOCK|0o755, 0))
	m.file("types/first", []byte("linked"))
	m.must(os.Link(m.path("types/first"), m.path("types/second")))
	m.must(os.Link(m.path("types/first"), m.path("types/empty/third")))
	m.must(os.Link(m.path("types/fifo"), m.path("types/fifo-again")))
	m.must(os.Link(m.path("types/link"), m.path("types/link-again")))
}

func (m maker) attributes() {
	m.mkdir("attributes/dir")
	for i, mode := range []uint32{0, 0o4755, 0o2711, 0o1777, 0o7777} {
		name := fmt.Sprintf("attributes/%04o", mode)
		m.file(name, []byte("x"))
		m.must(os.Chown(m.path(name), i*70000, 1000+i))
		m.must(syscall.Chmod(m.path(name), mode))
		stamp := time.Unix([]int64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}[i], 999)
		m.must(os.Chtimes(m.path(name), stamp, stamp))
	}
	large := m.noise(3000)
	for _, name := range []string{"attributes/a", "attributes/b", "attributes/dir/c"} {
		m.file(name, []byte(name))
		m.xattr(name, "user.shared", large)
		m.xattr(name, "user.name", []byte(name))
	}
	m.xattr("attributes/a", "trusted.empty", nil)
	m.xattr("attributes/a", "security.sextant", []byte{0, 1, 2})
	m.xattr("attributes/dir", "trusted.overlay.opaque", []byte("y"))
	m.xattr(".", "user.root", []byte("root"))
	m.must(syscall.Mknod(m.path("attributes/fifo"), syscall.S_IFIFO|0o600, 0))
	m.must(syscall.Mknod(m.path("attributes/dev"), syscall.S_IFCHR|0o600, 1<<8|3))
	m.must(os.Symlink("a", m.path("attributes/link")))
	for _, name := range []string{"attributes/fifo", "attributes/dev", "attributes/link"} {
		m.must(lsetxattr(m.path(name), "trusted.note", name))
	}
}

// lsetxattr asks a program, as package syscall follows links.
func lsetxattr(path, key, value string) error {
	out, err := exec.Command("setfattr", "-h", "-n", key, "-v", value, path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("setfattr %s: %w: %s", path, err, out)
	}
	return nil
}

func (m maker) names() {
	m.mkdir("many")
	for i := range 3000 {
		m.file(fmt.Sprintf("many/%04d-%s", i, strings.Repeat("n", i%40)), nil)
	}
	m.mkdir("names")
	for _, name := range []string{"-", "+", "ü", "\xff\xfe", "a\nb", "back\\slash", "~", "A", "a", strings.Repeat("x", 255)} {
		m.file("names/"+name, []byte(name))
	}
	m.mkdir(strings.Repeat("deep/", 60))
}
