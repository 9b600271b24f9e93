package ext4_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/ext4"
	"sextant/internal/imagetest"
	"sextant/internal/tree"
)

// editTime is the time of all edits of tests.
var editTime = time.Unix(1_700_000_000, 0).UTC()

// editImage opens an image to be changed.
func editImage(t testing.TB, path string) *ext4.Editor {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	fi, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	e, err := ext4.Edit(file, fi.Size(), ext4.EditOptions{Time: editTime})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func regular(content string) *tree.Inode {
	return &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: editTime, Content: tree.Bytes(content)}
}

// noise returns a file of so many bytes.
func noise(size int64) *tree.Inode {
	return &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: editTime, Content: imagetest.Noise{Seed: 1, Length: size}}
}

func TestPutOneFile(t *testing.T) {
	image := makeImage(t, "40M", "-t ext4", "")
	e := editImage(t, image)
	must(t, e.Put("hello", regular("hello, world\n")))
	must(t, e.Commit())
	f := openImage(t, image)
	wantSound(t, image, f)
	got := listImage(t, f)
	addStat(t, f, got)
	if diff := cmp.Diff(kernelList(t, image), got); diff != "" {
		t.Errorf("kernel (-), ours (+):\n%s", diff)
	}
	if a := got[key("/hello")]; a.Size != 13 || a.Mode != "100644" {
		t.Errorf("hello is %+v", a)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// memory is a Storage.
type memory []byte

func (m memory) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(m).ReadAt(p, at) }

func (m memory) WriteAt(p []byte, at int64) (int, error) {
	if at < 0 || at+int64(len(p)) > int64(len(m)) {
		return 0, io.ErrShortWrite
	}
	return copy(m[at:], p), nil
}

// BenchmarkPutLarge puts an extension of 40 MB into a file system.
func BenchmarkPutLarge(b *testing.B) {
	image := makeImage(b, "1G", "-t ext4", "")
	b.SetBytes(40 << 20)
	b.ReportAllocs()
	for b.Loop() {
		e := editImage(b, image)
		must(b, e.Put("file", noise(40<<20)))
		must(b, e.Commit())
	}
}

// BenchmarkPutMany puts ten thousand small files into one directory, and
// removes them.
func BenchmarkPutMany(b *testing.B) {
	image := makeImage(b, "1G", "-t ext4", "")
	b.ReportAllocs()
	for b.Loop() {
		e := editImage(b, image)
		must(b, e.Put("dir", tree.NewDir(0o755)))
		for i := range 10_000 {
			must(b, e.Put(fmt.Sprintf("dir/%d", i), regular("content")))
		}
		must(b, e.Commit())
		must(b, e.RemoveAll("dir"))
		must(b, e.Commit())
	}
}
