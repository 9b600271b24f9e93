package erofs_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// compressible is a tree of what compressors find easy and hard, and of sizes
// at which the layout changes.
func compressible() *tree.Tree {
	b := imagetest.NewBuilder()
	b.Content("usr/text", 0o644, text(1, 500_000))
	b.Content("usr/zeros", 0o644, tree.Bytes(make([]byte, 1<<20+5)))
	b.Content("usr/noise", 0o644, noise(1, 50_001))
	var mixed tree.Bytes
	for n := range 6 {
		mixed = append(mixed, text(uint64(n), 30_000+n*1111)...)
		mixed = append(mixed, noise(uint64(n), 9000+n*777)...)
	}
	b.Content("usr/mixed", 0o644, mixed)
	b.Content("usr/again", 0o644, append(text(99, 5000), mixed[7000:]...)) // for deduplication
	b.Content("usr/same", 0o644, mixed)
	b.Content("usr/sparse", 0o644, imagetest.Sparse(3, 1<<20, span.Between(64<<10, 80<<10), span.Between(1<<19, 1<<20)))
	for n, size := range []int{0, 1, 100, 511, 512, 513, 4000, 4095, 4096, 4097, 8191, 8192, 8193, 12289, 16383, 16385,
		65535, 65536, 65537, 131071, 131072, 131073, 262145} {
		b.Content(fmt.Sprintf("usr/sizes/text-%d", size), 0o644, text(uint64(n), size))
		b.Content(fmt.Sprintf("usr/sizes/noise-%d", size), 0o644, noise(uint64(n), size))
		b.Content(fmt.Sprintf("usr/sizes/end-%d", size), 0o644, append(text(uint64(n), 20_000), noise(9, size/16)...))
	}
	for n := range 400 {
		f := b.Content(fmt.Sprintf("usr/small/%03d-%s", n, strings.Repeat("n", n/4)), 0o644, text(uint64(n%30), n*7))
		if n%3 == 0 {
			f.PutXattr("user.n", fmt.Appendf(nil, "value %d", n%5))
			f.PutXattr("trusted.overlay.x", []byte("y"))
		}
	}
	b.Symlink("usr/link", strings.Repeat("long/", 700))
	return b.Tree
}

// variant is a way to compress an image.
type variant struct {
	tool int // index into imagetest.Tools
	args string
}

func variants() []variant {
	list := []variant{
		{0, "-zlz4"},
		{0, "-zlz4hc,12 -C65536"},
		{0, "-zlz4 -Elegacy-compress"},
		{0, "-zlz4hc -C16384 -Eztailpacking"},
		{0, "-zlz4 -Efragments"},
		{0, "-zlz4hc -C32768 -Eztailpacking,fragments,dedupe"},
		{0, "-zlz4 -C1048576 --max-extent-bytes=131072"},
		{1, "-zlz4hc -C65536 -Eall-fragments,dedupe"},
		{1, "-zlz4hc -b512 -C4096"},
		{1, "-zlz4 -Elegacy-compress"},
		{1, "-zlzma"},
		{1, "-zlzma,level=1 -C131072 -Efragments,dedupe"},
		{1, "-zlzma -C1048576 -Eztailpacking"},
		{1, "-zdeflate"},
		{1, "-zdeflate,level=1 -C65536 -Eztailpacking,dedupe"},
		{1, "-zdeflate -C65536 -Eall-fragments"},
		{1, "-zzstd"},
		{1, "-zzstd,level=1 -C65536 -Efragments,dedupe,ztailpacking"},
		{1, "-zzstd -C1048576 -Eztailpacking"},
		{1, "-zzstd -b1024 -C16384 --max-extent-bytes=40000"},
		{1, "-zlz4:lzma:deflate:zstd -C16384 --xattr-prefix=user.n -Efragments"},
	}
	return append(list, newVariants()...)
}

// newVariants are of erofs-utils 1.9, where --zD=1 does not do what it says.
func newVariants() []variant {
	return []variant{
		{2, "-zlz4hc -C65536 -Efragments,dedupe,ztailpacking"},
		{2, "-zlzma -C65536 -Eall-fragments"},
		{2, "-zdeflate -C65536 -Eztailpacking"},
		{2, "-zzstd -C65536 -Efragments --zD"},
		{2, "-zlz4 -E48bit"},
		{2, "-zzstd -C65536 -E48bit"},
		{2, "-zzstd -C65536 -E48bit --max-extent-bytes=32768"},
		{2, "-zzstd -C65536 -E48bit --max-extent-bytes=-32768"},
		{2, "-zlz4hc -C65536 -E48bit,fragments,dedupe"},
		{2, "-zlzma -C131072 -E48bit,ztailpacking"},
		{2, "-zdeflate -C16384 -E48bit,all-fragments --zD"},
		{2, "-m4096:zstd -zlz4"},
		{2, "-m4096 -zzstd -C65536 -Efragments -E48bit --xattr-prefix=user.n"},
		{2, "-m65536 -zlzma -C65536"},
		{2, "-zlz4 --MZ=id"},
		{2, "-zzstd --MZ=i -E48bit"},
		{2, "-zlz4 -x0 -m4096"},
	}
}

// TestCompressed compares what we read in compressed images with the kernel.
func TestCompressed(t *testing.T) {
	testenv.RequireRoot(t)
	dir := t.TempDir()
	if err := imagetest.Materialize(compressible(), filepath.Join(dir, "tree")); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, v := range variants() {
		mkfs := imagetest.Tools("mkfs.erofs")[v.tool]
		t.Run(mkfs.Name+" "+v.args, func(t *testing.T) {
			image := filepath.Join(dir, "image")
			os.Remove(image)
			args := append(strings.Fields(v.args), "--quiet", image, filepath.Join(dir, "tree"))
			if err := mkfs.Run(t, []string{dir}, args...); err != nil {
				t.Fatal(err)
			}
			want := mounted(t, image)
			checkOursFile(t, image, want)
			checkRandomReads(t, image)
			note(t, openFS(t, image), seen)
		})
	}
	for _, words := range structures() {
		if !seen[words] && !t.Failed() {
			t.Errorf("no image has %q", words)
		}
	}
}

// structures are words of Describe that the images must have between them.
func structures() []string {
	return []string{
		"compressed-full", "compressed-compact", "flat-inline", "settings of lz4", "settings of lzma", "settings of deflate",
		"settings of zstd", "superblock extension", "packed inode", "metabox", " of the metabox, ", "big_pcluster_1",
		"interlaced_pcluster", "inline pcluster of", "fragment_pcluster", "place in the packed inode of /usr/s",
		"place in the packed inode of /usr at", "plain 0 block", "head1 0 block", " partial", "Index 16: ", " 16 blocks",
		"Extent 1:", "Start\n", "form 0,", "form 1,", "form 2,", "form 3,", "form 4,",
	}
}

// note adds to seen which of structures the image has.
func note(t *testing.T, f *erofs.FS, seen map[string]bool) {
	var b strings.Builder
	if err := f.Describe(&b); err != nil {
		t.Errorf("Describe() = %v", err)
	}
	for _, words := range structures() {
		if strings.Contains(b.String(), words) {
			seen[words] = true
		}
	}
	if findings := checked(t, f); len(findings) > 0 {
		t.Errorf("Check() = %v", findings[0])
	}
}

// openFS opens the image file.
func openFS(t testing.TB, image string) *erofs.FS {
	t.Helper()
	file, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	st, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := erofs.Open(file, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// checkRandomReads: reading anywhere gives what reading all does.
func checkRandomReads(t *testing.T, image string) {
	t.Helper()
	f := openFS(t, image)
	r := rand.New(rand.NewPCG(1, 2))
	err := fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(path, "usr/small/") {
			return err
		}
		whole, err := f.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := f.Open(path)
		if err != nil {
			return err
		}
		for range 8 {
			off := r.IntN(len(whole) + 1)
			p := make([]byte, r.IntN(min(len(whole)-off, 1<<r.IntN(20))+1))
			if n, err := file.(io.ReaderAt).ReadAt(p, int64(off)); n < len(p) {
				t.Errorf("%s: ReadAt(%d bytes, %d) = %d, %v", path, len(p), off, n, err)
			} else if !bytes.Equal(p, whole[off:off+len(p)]) {
				t.Errorf("%s: ReadAt(%d bytes, %d) gives other bytes than ReadFile", path, len(p), off)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCompressedLarge reads a file of 100 MB, whose indexes are in several
// blocks, in pieces that are not as long as pclusters.
func TestCompressedLarge(t *testing.T) {
	testenv.RequireRoot(t)
	part := text(1, 1<<20)
	var large tree.Bytes
	for n := range 100 {
		large = append(large, part[n*1000:]...)
		large = append(large, noise(uint64(n), n*1000)...)
	}
	b := imagetest.NewBuilder()
	b.Content("usr/large", 0o644, large)
	for _, v := range []variant{{0, "-zlz4"}, {1, "-zzstd,level=1 -C1048576"}, {2, "-zzstd,level=1 -C65536 -E48bit"}} {
		mkfs := imagetest.Tools("mkfs.erofs")[v.tool]
		t.Run(mkfs.Name+" "+v.args, func(t *testing.T) {
			image, _ := makeWith(t, mkfs, b.Tree, append(strings.Fields(v.args), "--quiet")...)
			file, err := openFS(t, image).Open("usr/large")
			if err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 100_000)
			var stats runtime.MemStats
			peak := uint64(0)
			runtime.GC()
			runtime.ReadMemStats(&stats)
			before := stats.HeapAlloc
			for off := 0; off < len(large); off += len(buf) {
				p := buf[:min(len(buf), len(large)-off)]
				if n, err := file.(io.ReaderAt).ReadAt(p, int64(off)); n < len(p) {
					t.Fatalf("ReadAt(%d bytes, %d) = %d, %v", len(p), off, n, err)
				}
				if !bytes.Equal(p, large[off:off+len(p)]) {
					t.Fatalf("ReadAt(%d bytes, %d) gives other bytes than the file has", len(p), off)
				}
				if off/len(buf)%50 == 0 {
					runtime.GC()
					runtime.ReadMemStats(&stats)
					peak = max(peak, stats.HeapAlloc)
				}
			}
			if got := int64(peak - before); got > 40<<20 {
				t.Errorf("reading takes %d bytes of memory", got)
			}
		})
	}
}

// randomFiles returns a tree with a few files of parts that can be compressed
// and parts that cannot, many of which other files have too.
func randomFiles(seed uint64) *tree.Tree {
	r := rand.New(rand.NewPCG(seed, 3))
	b := imagetest.NewBuilder()
	var parts []tree.Bytes
	for n := range 12 {
		size := 1 + r.IntN(1<<(4+r.IntN(14)))
		parts = append(parts, text(seed+uint64(n), size), noise(seed+uint64(n), size))
	}
	for n := range 1 + r.IntN(20) {
		var content tree.Bytes
		for range 1 + r.IntN(4) {
			content = append(content, parts[r.IntN(len(parts))]...)
		}
		b.Content(fmt.Sprintf("usr/%d", n), 0o644, content)
	}
	return b.Tree
}

// dropNanoseconds changes a dump as mkfs.erofs does with 48-bit addresses.
func dropNanoseconds(lines map[string]string) {
	for path, line := range lines {
		lines[path] = strings.Replace(line, ".123456789", ".000000000", 1)
	}
}

// TestCompressedRandom compares random files in images made with random options
// with what the kernel reads and what was put in. These are not always the
// same; then Check must say so.
func TestCompressedRandom(t *testing.T) {
	testenv.RequireRoot(t)
	for seed := range uint64(testenv.Amount(30, 1000)) {
		r := rand.New(rand.NewPCG(seed, 4))
		tool := r.IntN(3)
		algorithm := []string{"lz4", "lz4hc", "lzma", "deflate", "zstd"}[r.IntN(5)]
		if tool == 0 {
			algorithm = []string{"lz4", "lz4hc"}[r.IntN(2)]
		}
		args := []string{"--quiet", "-z" + algorithm, fmt.Sprintf("-C%d", 4096<<r.IntN(6))}
		for _, option := range []string{"ztailpacking", "fragments", "all-fragments", "dedupe", "legacy-compress", "48bit"} {
			if r.IntN(3) > 0 || option == "48bit" && tool < 2 || option == "legacy-compress" && algorithm[:2] != "lz" ||
				option == "all-fragments" && tool == 0 {
				continue
			}
			args = append(args, "-E"+option)
		}
		mkfs := imagetest.Tools("mkfs.erofs")[tool]
		t.Run(fmt.Sprintf("%d %s %s", seed, mkfs.Name, strings.Join(args[1:], " ")), func(t *testing.T) {
			image, want := makeWith(t, mkfs, randomFiles(seed), args...)
			if slices.Contains(args, "-E48bit") {
				dropNanoseconds(want)
			}
			if got := mounted(t, image); len(imagetest.Diff(got, want)) == 0 {
				checkOursFile(t, image, want)
				checkRandomReads(t, image)
			} else if findings := checked(t, openFS(t, image)); len(findings) == 0 || findings[0].Path != "packed inode" {
				t.Errorf("Linux does not read what was put in, but Check() = %v", findings)
			}
		})
	}
}
