package build_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/build"
	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/ids"
	"sextant/internal/plan"
	"sextant/internal/repart"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// newPlan plans an image of a few MiB with a hash tree and no signature.
func newPlan(t *testing.T, more ...*tree.Inode) *plan.Plan {
	t.Helper()
	tr := tree.New()
	put := func(path string, content tree.Content) {
		file := &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: content, ModTime: time.Unix(1, 0), Origin: path}
		if err := tr.Merge(path, file); err != nil {
			t.Fatal(err)
		}
	}
	put("/usr/lib/extension-release.d/extension-release.x", tree.Bytes("ID=_any\n"))
	for i := range 40 {
		put("/usr/share/"+strings.Repeat("x", i+1), tree.Bytes(bytes.Repeat([]byte{byte(i)}, i*7777)))
	}
	for _, node := range more {
		if err := tr.Merge("/usr/share/more", node); err != nil {
			t.Fatal(err)
		}
	}
	definitions, err := repart.Load([]repart.Directory{repart.Builtin("sysext", true)}, dps.X86_64)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.New(tr, definitions, plan.Options{
		Extension: extension.Identity{Class: extension.Sysext, ID: "x", Architecture: "x86-64"},
		Seed:      ids.DefaultSeed("sysext", "x"), Time: time.Unix(315532800, 0), SectorSize: 512, Verity: plan.Unsigned,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// written returns the bytes of the planned image.
func written(t *testing.T, p *plan.Plan, workers int) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := build.Write(context.Background(), f, p, build.Options{Workers: workers}); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestWorkersDoNotMatter(t *testing.T) {
	p := newPlan(t)
	want := written(t, p, 1)
	if int64(len(want)) != p.Size {
		t.Errorf("image has %d bytes, the plan %d", len(want), p.Size)
	}
	for _, workers := range []int{2, 3, 16} {
		if !bytes.Equal(written(t, p, workers), want) {
			t.Errorf("%d workers make another image than one", workers)
		}
	}
}

func TestProgressEndsWithAll(t *testing.T) {
	p := newPlan(t)
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var last, total int64
	_, err = build.Write(context.Background(), f, p, build.Options{Workers: 1, Progress: func(done, all int64) { last, total = done, all }})
	if err != nil || last != total || total == 0 {
		t.Errorf("progress ended with %d of %d, %v", last, total, err)
	}
}

// failing is a content that cannot be opened.
type failing struct{ tree.Bytes }

var errGone = errors.New("file is gone")

func (failing) Open() (tree.Reader, error) { return nil, errGone }

// Extents and Size are those of the bytes, so that a reader is asked for.
func (f failing) Extents() []span.Span { return f.Bytes.Extents() }

func TestUnreadableContent(t *testing.T) {
	p := newPlan(t, &tree.Inode{Mode: tree.TypeRegular, Content: failing{make(tree.Bytes, 9000)}, Origin: "/src/more"})
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = build.Write(context.Background(), f, p, build.Options{})
	if !errors.Is(err, errGone) || !strings.Contains(err.Error(), "/src/more") {
		t.Errorf("Write = %v, want the file and that it is gone", err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := build.Write(ctx, f, newPlan(t), build.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v, want context.Canceled", err)
	}
}

// names lists a directory, links with their targets.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			list = append(list, e.Name()+" -> "+target)
			continue
		}
		list = append(list, e.Name())
	}
	return list
}

func TestFiles(t *testing.T) {
	p := newPlan(t)
	for _, c := range []struct {
		name   string
		output build.Output
		before string // a file that is there
		want   []string
	}{
		{"image", build.Output{Name: "x_1", Extension: "raw", Alias: "x.raw"}, "",
			[]string{"x.raw -> x_1.raw", "x_1 -> x_1.raw", "x_1.raw"}},
		{"without version", build.Output{Name: "x", Extension: "raw", Alias: "x.raw"}, "",
			[]string{"x -> x.raw", "x.raw"}},
		{"without extension", build.Output{Name: "x"}, "", []string{"x"}},
		{"a file in the way of a link stays", build.Output{Name: "x_1", Extension: "raw", Alias: "x.raw"}, "x.raw",
			[]string{"x.raw", "x_1 -> x_1.raw", "x_1.raw"}},
		{"all there is", build.Output{Name: "x", Extension: "raw", RootHash: true, Partitions: true, Manifest: []byte("{}"), Checksums: true}, "",
			[]string{"x -> x.raw", "x.SHA256SUMS", "x.manifest", "x.raw", "x.root-x86-64-verity.raw", "x.root-x86-64.raw", "x.roothash"}},
		{"zstd", build.Output{Name: "x", Extension: "raw", Compression: "zstd", Level: 3}, "", []string{"x -> x.raw.zst", "x.raw.zst"}},
		{"xz", build.Output{Name: "x", Extension: "raw", Compression: "xz"}, "", []string{"x -> x.raw.xz", "x.raw.xz"}},
		{"gz", build.Output{Name: "x", Extension: "raw", Compression: "gz", Level: 9}, "", []string{"x -> x.raw.gz", "x.raw.gz"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.output.Directory = filepath.Join(t.TempDir(), "made")
			if c.before != "" {
				if err := os.Mkdir(c.output.Directory, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(c.output.Directory, c.before), []byte("mine"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			commit(t, c.output, p)
			if diff := cmp.Diff(c.want, names(t, c.output.Directory)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func commit(t *testing.T, output build.Output, p *plan.Plan) {
	t.Helper()
	files, err := output.Create()
	if err != nil {
		t.Fatal(err)
	}
	defer files.Discard()
	w, err := build.Write(context.Background(), files.Image(), p, build.Options{})
	if err != nil {
		t.Fatal(err)
	}
	paths, err := files.Commit(p, w)
	if err != nil {
		t.Fatal(err)
	}
	if paths[0] != output.ImagePath() || slices.Contains(paths[1:], paths[0]) {
		t.Errorf("Commit = %v, want the image first and once", paths)
	}
	if path, ok, err := output.Existing(); path != paths[0] || !ok || err != nil {
		t.Errorf("Existing = %s, %t, %v", path, ok, err)
	}
}
