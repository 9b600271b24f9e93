package tar_test

import (
	stdtar "archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/format/tar"
	"sextant/internal/imagetest"
	"sextant/internal/source"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// corner is the corner tree without what no tar holds.
func corner() *tree.Tree {
	t := imagetest.Corner()
	t.Lookup("usr/dev").Remove("socket")
	t.Each(func(_ string, node *tree.Inode) {
		if node.ModTime.IsZero() {
			node.ModTime = time.Unix(1_700_000_000, 120_000_000)
		}
	})
	return t
}

func archive(t *testing.T, from *tree.Tree) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.tar")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if leftOut, err := tar.Write(context.Background(), f, from); err != nil || len(leftOut) > 0 {
		t.Fatalf("Write left out %v, %v", leftOut, err)
	}
	return path
}

// TestWriteRead reads what Write wrote.
func TestWriteRead(t *testing.T) {
	want := corner()
	got, err := source.Tar(context.Background(), archive(t, want), source.Options{Xattrs: source.XattrsAll})
	if err != nil {
		t.Fatal(err)
	}
	compareDumps(t, got, want)
	for _, path := range []string{"usr/holes/all", "usr/holes/stripes"} {
		if got, want := got.Lookup(path).Content.Extents(), want.Lookup(path).Content.Extents(); len(got) != len(want) {
			t.Errorf("%s has %d ranges of data, want %d", path, len(got), len(want))
		}
	}
}

func compareDumps(t *testing.T, got, want *tree.Tree) {
	t.Helper()
	a, err := imagetest.Dump(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := imagetest.Dump(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range imagetest.Diff(a, b) {
		t.Error(line)
	}
}

// TestWriteGNUTar unpacks with GNU tar and looks at what the kernel then has.
func TestWriteGNUTar(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "tar")
	want := corner()
	want.Lookup("usr/times").Remove("1901") // before what ext4 can hold
	dir := t.TempDir()
	cmd := exec.Command("tar", "-x", "--warning=no-timestamp", "--xattrs", "--xattrs-include=*", "--same-owner", "-p", "-C", dir, "-f", archive(t, want))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	got, err := imagetest.Scan(dir)
	if err != nil {
		t.Fatal(err)
	}
	compareDumps(t, got, want)
}

// TestWriteStandardLibrary reads with archive/tar, another reader that knows
// sparse files.
func TestWriteStandardLibrary(t *testing.T) {
	want := corner()
	f, err := os.Open(archive(t, want))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := 0
	for r := stdtar.NewReader(f); ; seen++ {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		node := want.Lookup(h.Name)
		if node == nil {
			t.Errorf("entry %q is not in the tree", h.Name)
			continue
		}
		if h.Typeflag == stdtar.TypeReg && h.Size != node.Size() {
			t.Errorf("%s has %d bytes, want %d", h.Name, h.Size, node.Size())
		}
		if !h.ModTime.Equal(node.ModTime) {
			t.Errorf("%s has time %v, want %v", h.Name, h.ModTime, node.ModTime)
		}
	}
	names := 0
	want.Each(func(string, *tree.Inode) { names++ })
	if seen != names {
		t.Errorf("%d entries, want %d", seen, names)
	}
}

// TestWriteSame wants the same bytes twice, and whole records.
func TestWriteSame(t *testing.T) {
	b := imagetest.NewBuilder()
	b.File("b", 0o644, "b").PutXattr("user.a=b%c", []byte("x\x00\n=y"))
	b.File(strings.Repeat("long/", 30)+"name", 0o644, "a")
	b.Content("c", 0o600, imagetest.Sparse(1, 9<<30))
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if _, err := tar.Write(context.Background(), out, b.Tree); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of one tree differ")
	}
	if n := first.Len(); n%10240 != 0 || n > 100<<10 {
		t.Errorf("archive has %d bytes, want a small multiple of 10240", n)
	}
}

func TestWriteErrors(t *testing.T) {
	b := imagetest.NewBuilder()
	b.Special("socket", tree.TypeSocket|0o600, tree.Device{})
	leftOut, err := tar.Write(context.Background(), io.Discard, b.Tree)
	if err != nil || len(leftOut) != 1 || leftOut[0] != "/socket" {
		t.Errorf("Write left out %v, %v, want the socket", leftOut, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tar.Write(ctx, io.Discard, b.Tree); !errors.Is(err, context.Canceled) {
		t.Errorf("Write gave %v, want Canceled", err)
	}
	full := errors.New("full")
	if _, err := tar.Write(context.Background(), failing{full}, b.Tree); !errors.Is(err, full) {
		t.Errorf("Write gave %v, want what the writer says", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
