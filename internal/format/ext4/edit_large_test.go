package ext4_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/ext4"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// TestSizes edits file systems from the smallest to large ones, with directories
// of one to very many entries.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		size, args string
		entries    int
	}{
		{"1M", "-t ext2 -b 1024", 1},
		{"1M", "-t ext4 -b 1024", 1},
		{"1M", "-t ext4 -b 4096", 100},
		{"8M", "-t ext3", 100},
		{"100M", "-t ext4 -N 120000", 100_000},
		{"1G", "-t ext4", 100},
		{"64G", "-t ext4", 1000},
		{"64G", "-t ext4 -b 1024 -N 70000 -O ^flex_bg,^resize_inode", 1},
		{"64G", "-t ext2 -N 5000", 1},
	} {
		t.Run(c.size+c.args, func(t *testing.T) {
			image := makeImage(t, c.size, c.args, "")
			e := editImage(t, image)
			must(t, e.Put("dir", tree.NewDir(0o755)))
			for i := range c.entries {
				must(t, e.Put(fmt.Sprintf("dir/entry %d", i), &tree.Inode{Mode: tree.TypeFIFO | 0o600}))
			}
			must(t, e.Put("dir/large", noise(100_000)))
			must(t, e.Commit())
			run(t, "e2fsck", "-fn", image)
			out := inMount(t, image, "ro,noload", "ls -f dir | wc -l; sha256sum < dir/large | cut -c-16")
			sum, err := hashContent(noise(100_000).Content)
			must(t, err)
			if want := fmt.Sprintf("%d\n%s\n", c.entries+3, sum); string(out) != want {
				t.Errorf("kernel shows %q, want %q", out, want)
			}
			for i := range c.entries {
				must(t, e.Remove(fmt.Sprintf("dir/entry %d", i)))
			}
			must(t, e.Remove("dir/large"))
			must(t, e.Remove("dir"))
			must(t, e.Commit())
			wantSound(t, image, openImage(t, image))
		})
	}
}

// longNames puts files with the longest names, so that an index grows fast.
func longNames(t *testing.T, e *ext4.Editor, dir string, first, n int) {
	t.Helper()
	must(t, e.Put(dir, tree.NewDir(0o755)))
	for i := range n {
		must(t, e.Put(fmt.Sprintf("%s/%0250d", dir, first+i), &tree.Inode{Mode: tree.TypeFIFO | 0o600}))
	}
}

// indexLevels returns the levels of a directory's index below its root.
func indexLevels(t *testing.T, image, dir string) int {
	t.Helper()
	out := run(t, "debugfs", "-R", "htree_dump "+dir, image)
	_, rest, _ := strings.Cut(out, "Indirect levels: ")
	n, err := strconv.Atoi(strings.TrimSpace(strings.SplitN(rest, "\n", 2)[0]))
	if err != nil {
		t.Fatalf("htree_dump %s: %.300s", dir, out)
	}
	return n
}

// TestIndexGrows makes directories whose index has all the levels that there can
// be, until it is full.
func TestIndexGrows(t *testing.T) {
	for _, c := range []struct {
		args   string
		names  int
		levels int
	}{
		{"-t ext4 -b 1024 -N 60000", 1000, 1},
		{"-t ext4 -b 1024 -N 60000 -O ^metadata_csum", 5000, 1},
		{"-t ext4 -b 1024 -N 60000 -O large_dir", 32000, 2},
	} {
		image := makeImage(t, "100M", c.args, "")
		e := editImage(t, image)
		longNames(t, e, "dir", 0, c.names)
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
		if got := indexLevels(t, image, "/dir"); got != c.levels {
			t.Errorf("%s: %d levels, want %d", c.args, got, c.levels)
		}
		out := inMount(t, image, "rw", fmt.Sprintf(`
			ls dir | wc -l
			for i in 0 17 %d; do n=dir/$(printf %%0250d $i); test -p "$n"; rm "$n"; mkfifo "$n.new"; done
			ls dir | wc -l`, c.names-1))
		if want := fmt.Sprintf("%d\n%[1]d\n", c.names); string(out) != want {
			t.Errorf("%s: the kernel shows %q, want %q", c.args, out, want)
		}
		run(t, "e2fsck", "-fn", image)
	}
}

// TestIndexFull goes on until a directory takes no more.
func TestIndexFull(t *testing.T) {
	image := makeImage(t, "100M", "-t ext4 -b 1024 -N 90000", "")
	before, err := os.ReadFile(image)
	must(t, err)
	e := editImage(t, image)
	must(t, e.Put("dir", tree.NewDir(0o755)))
	for i := range 80000 {
		if err = e.Put(fmt.Sprintf("dir/%0250d", i), &tree.Inode{Mode: tree.TypeFIFO | 0o600}); err != nil {
			break
		}
	}
	if !errors.Is(err, ext4.ErrLimit) || !strings.Contains(err.Error(), "levels") {
		t.Fatalf("Put = %v, want ErrLimit for the index", err)
	}
	if err := e.Commit(); !errors.Is(err, ext4.ErrLimit) {
		t.Errorf("Commit = %v, want ErrLimit", err)
	}
	after, err := os.ReadFile(image)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Error("bytes changed")
	}
}

// stripes returns a file with a hole behind each of n blocks.
func stripes(block int64, n int) *tree.Inode {
	var data []span.Span
	for i := range int64(n) {
		data = append(data, span.Span{Offset: 2 * i * block, Length: block})
	}
	return &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: editTime, Content: imagetest.Sparse(3, 2*int64(n)*block, data...)}
}

// extentDepth returns the depth of a file's extent tree.
func extentDepth(t *testing.T, image, file string) string {
	t.Helper()
	out := run(t, "debugfs", "-R", "ex "+file, image)
	fields := strings.Fields(strings.Split(out, "\n")[1+strings.Count(strings.SplitN(out, "Level", 2)[0], "\n")])
	return strings.TrimSuffix(fields[1], "/")
}

// TestDeepMaps makes files whose maps have all the levels that there can be.
func TestDeepMaps(t *testing.T) {
	for _, c := range []struct {
		args   string
		blocks int
	}{
		{"-t ext4 -b 1024", testenv.Amount(3_000, 40_000)},
		{"-t ext4 -b 1024 -O ^metadata_csum", 3_000},
		{"-t ext2 -b 1024", testenv.Amount(3_000, 70_000)},
		{"-t ext4 -b 2048 -O ^extents,^64bit", 2_000},
	} {
		image := makeImage(t, "200M", c.args, "")
		e := editImage(t, image)
		files := map[string]*tree.Inode{"stripes": stripes(e.FS().Geometry().BlockSize, c.blocks), "tail": noise(5000)}
		far := imagetest.Sparse(1, 3<<30, span.Between(0, 10), span.Between(2<<30, 2<<30+5), span.Between(3<<30-1, 3<<30))
		files["far"] = &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: far}
		for _, name := range []string{"stripes", "tail", "far"} {
			must(t, e.Put(name, files[name]))
		}
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
		if depth := map[int]string{3_000: "2", 40_000: "3"}[c.blocks]; strings.HasSuffix(c.args, "1024") && c.args[:7] == "-t ext4" {
			if got := extentDepth(t, image, "stripes"); got != depth {
				t.Errorf("%s: extent tree of depth %s, want %s", c.args, got, depth)
			}
		}
		want, err := hashContent(files["stripes"].Content)
		must(t, err)
		out := inMount(t, image, "ro,noload", `
			sha256sum < stripes | cut -c-16
			stat -c %s far
			od -An -tx1 -j 3221225471 -N1 far`)
		last := make([]byte, 1)
		far.ReadAt(last, 3<<30-1)
		if diff := cmp.Diff(fmt.Sprintf("%s\n%d\n %02x\n", want, int64(3<<30), last[0]), string(out)); diff != "" {
			t.Errorf("%s: want (-), kernel (+):\n%s", c.args, diff)
		}
		for name := range files {
			must(t, e.Remove(name))
		}
		must(t, e.Commit())
		wantSound(t, image, openImage(t, image))
	}
}

// TestHashFunctions makes indexes with each hash function, over bytes with and
// without a sign, which the kernel must find its way in.
func TestHashFunctions(t *testing.T) {
	for _, alg := range []string{"legacy", "half_md4", "tea"} {
		for flags := 1; flags <= 2; flags++ {
			image := makeImage(t, "9M", "-t ext4 -b 1024 -N 2000", "")
			run(t, "tune2fs", "-E", "hash_alg="+alg, image)
			run(t, "debugfs", "-w", "-R", fmt.Sprintf("ssv flags %d", flags), image)
			e := editImage(t, image)
			must(t, e.Put("dir", tree.NewDir(0o755)))
			for i := range 300 {
				must(t, e.Put(fmt.Sprintf("dir/%s%d", strings.Repeat("é", 90), i), &tree.Inode{Mode: tree.TypeFIFO | 0o600}))
			}
			must(t, e.Commit())
			wantSound(t, image, openImage(t, image))
			out := inMount(t, image, "ro,noload", fmt.Sprintf(`for i in $(seq 0 299); do test -p "dir/%s$i"; done; ls dir | wc -l`, strings.Repeat("é", 90)))
			if string(out) != "300\n" {
				t.Errorf("%s, flags %d: kernel lists %s", alg, flags, out)
			}
		}
	}
}
