package squashfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/format/squashfs"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// small makes an image with one of each, in blocks of 4 KiB.
func small(t testing.TB, options ...string) []byte {
	m := newMaker(t)
	m.mkdir("dir/sub")
	m.file("dir/text", text(9000))
	m.file("dir/noise", m.noise(4096))
	m.file("dir/sub/short", []byte("short"))
	m.sparse("dir/sparse", 50000, 20000)
	m.must(os.Symlink("text", m.path("dir/link")))
	m.must(os.Link(m.path("dir/text"), m.path("hard")))
	if os.Geteuid() == 0 {
		m.xattr("dir/text", "user.note", []byte("value"))
	}
	b, err := os.ReadFile(mksquashfs(t, m.dir, append(options, "-b", "4096", "-all-time", "1600000000", "-nopad")...))
	m.must(err)
	return b
}

// readAllOf reads an image in every way there is. It returns what Dump prints,
// and an error for the first thing wrong.
func readAllOf(ctx context.Context, image []byte) (map[string]string, error) {
	fsys, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, errors.Join(err, nilWith(fsys == nil, err))
	}
	problems, err := fsys.Check(ctx)
	for _, p := range problems {
		if !errors.Is(p, fault.ErrCorrupt) && !errors.Is(p, fault.ErrUnsupported) {
			return nil, fmt.Errorf("internal error: problem of neither kind: %w", p)
		}
		err = errors.Join(err, p)
	}
	tr, treeErr := fsys.Tree()
	if treeErr != nil {
		return nil, errors.Join(err, treeErr, nilWith(tr == nil, treeErr))
	}
	dump, dumpErr := imagetest.Dump(tr)
	return dump, errors.Join(err, dumpErr)
}

func nilWith(isNil bool, err error) error {
	if !isNil {
		return fmt.Errorf("internal error: a value with the error %w", err)
	}
	return nil
}

// TestFlips flips one bit of each byte, of the data of some bytes only unless
// SEXTANT_TEST_LONG is set. Where every block is compressed with a
// checksum, no flip may change what is read without being noticed; with the
// other compressors none may do harm.
func TestFlips(t *testing.T) {
	for _, c := range []struct {
		comp     string
		checksum bool
	}{{"gzip", true}, {"xz", true}, {"lz4", false}, {"zstd", false}} {
		t.Run(c.comp, func(t *testing.T) {
			m := newMaker(t)
			for i := range 80 {
				size := 100 * i
				if i > 40 {
					size = 4096 * (i % 4) // no short blocks, which do not compress
				}
				m.file(fmt.Sprintf("file-%02d", i), text(size))
			}
			image, err := os.ReadFile(mksquashfs(t, m.dir, "-comp", c.comp, "-b", "4096", "-all-root", "-no-xattrs", "-no-exports", "-nopad"))
			m.must(err)
			want, err := readAllOf(t.Context(), image)
			if err != nil {
				t.Fatal(err)
			}
			fsys, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
			m.must(err)
			end := int(fsys.Superblock().IDTable) - 6 // the table of one id is not compressed
			inodes := int(fsys.Superblock().InodeTable)
			for at := 0; at < len(image); at++ {
				if at > 200 && at < inodes && !testenv.Long() {
					at = min(at+30, inodes)
				}
				bit := byte(1) << (at % 8)
				image[at] ^= bit
				got, err := readAllOf(t.Context(), image)
				image[at] ^= bit
				if err != nil && strings.Contains(err.Error(), "internal error") {
					t.Fatalf("byte %d ^ %#x: %v", at, bit, err)
				}
				if err == nil && c.checksum && at < end && !cmp.Equal(want, got) {
					t.Errorf("byte %d ^ %#x is not noticed:\n%s", at, bit, cmp.Diff(want, got))
				}
			}
		})
	}
}

func TestTruncated(t *testing.T) {
	image := small(t)
	for n := range len(image) {
		if _, err := readAllOf(t.Context(), image[:n]); !errors.Is(err, fault.ErrCorrupt) {
			t.Fatalf("first %d of %d bytes: %v, want ErrCorrupt", n, len(image), err)
		}
	}
}

// shrinking is an image whose end goes away while it is read.
type shrinking struct {
	*bytes.Reader
	left int
}

func (s *shrinking) ReadAt(p []byte, at int64) (int, error) {
	if s.left--; s.left < 0 {
		return 0, io.EOF
	}
	return s.Reader.ReadAt(p, at)
}

func TestShrinks(t *testing.T) {
	image := small(t)
	for left := range 30 {
		fsys, err := squashfs.Open(&shrinking{bytes.NewReader(image), left}, int64(len(image)))
		if err == nil {
			_, err = fsys.Check(t.Context())
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, fault.ErrCorrupt) {
			if left < 10 || err != nil {
				t.Errorf("after %d reads: %v, want ErrUnexpectedEOF", left, err)
			}
		}
	}
}

func TestCanceled(t *testing.T) {
	image := small(t)
	fsys, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if problems, err := fsys.Check(ctx); problems != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("Check = %v, %v, want Canceled", problems, err)
	}
}

// TestLies writes large numbers into every field of the superblock and every
// pointer, and measures the memory that reading takes.
func TestLies(t *testing.T) {
	image := small(t, "-noI", "-noId", "-noX")
	for at := 0; at+8 <= len(image); at++ {
		saved := bytes.Clone(image[at : at+8])
		copy(image[at:], bytes.Repeat([]byte{0xff}, 4))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fsys, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
		if err == nil {
			_, err = fsys.Check(t.Context())
			if _, treeErr := fsys.Tree(); err == nil {
				err = treeErr
			}
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
			t.Errorf("bytes %d-%d set: reading allocates %d MiB (%v)", at, at+4, used>>20, err)
		}
		copy(image[at:], saved)
	}
}

// FuzzOpen walks everything, within the limits that the package names.
func FuzzOpen(f *testing.F) {
	for _, comp := range []string{"gzip", "xz", "lz4", "zstd", "stored"} {
		image, err := os.ReadFile("testdata/" + comp + ".squashfs")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		squashfs.Describe(io.Discard, bytes.NewReader(image), int64(len(image)))
		fsys, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			if fsys != nil {
				t.Errorf("Open gives a file system with the error %v", err)
			}
			return
		}
		fsys.Check(t.Context())
		namesErr := fsys.Names(func(string, string, tree.Mode) error { return nil })
		if namesErr != nil && !errors.Is(namesErr, fault.ErrCorrupt) && !errors.Is(namesErr, fault.ErrUnsupported) {
			t.Errorf("Names: %v is not a fault", namesErr)
		}
		tr, err := fsys.Tree()
		if err != nil {
			return
		}
		walkFuzzed(fsys, tr)
	})
}
