package erofs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/format/erofs"
	"sextant/internal/golden"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// tiny is the tree of the compressed images that are checked in.
func tiny() *tree.Tree {
	b := imagetest.NewBuilder()
	b.Content("usr/text", 0o644, text(1, 14_000))
	b.Content("usr/zeros", 0o644, make(tree.Bytes, 70_000))
	b.Content("usr/noise", 0o644, append(text(2, 3000), noise(2, 700)...))
	b.Content("usr/again", 0o644, append(text(3, 2000), text(1, 14_000)[1000:10_000]...))
	b.Content("usr/short", 0o644, text(4, 300))
	b.File("usr/lib/extension-release.d/extension-release.tiny", 0o644, "ID=_any\n").
		PutXattr("user.extension-release.strict", []byte("0"))
	return b.Tree
}

// corpus says how the images in testdata were made. They are there so that the
// reader can be tested without the programs that make them.
func corpus() map[string]variant {
	return map[string]variant{
		"lz4-compact":    {0, "-zlz4hc -C16384"},
		"lz4-full":       {0, "-zlz4 -Elegacy-compress"},
		"lz4-tail":       {1, "-zlz4hc -b512 -C4096 -Eztailpacking"},
		"lzma-fragments": {1, "-zlzma -C16384 -Efragments,dedupe"},
		"deflate-packed": {1, "-zdeflate -b512 -C4096 -Eall-fragments"},
		"zstd-extents":   {2, "-zzstd -b512 -C8192 -E48bit"},
		"zstd-unaligned": {2, "-zzstd -b512 -C4096 -E48bit --max-extent-bytes=-8192"},
		"metabox":        {2, "-zlz4hc -b512 -C4096 -m4096:zstd -Efragments -E48bit --zD --xattr-prefix=user.extension"},
	}
}

func corpusImage(t testing.TB, name string) []byte {
	t.Helper()
	image, err := os.ReadFile("testdata/" + name + ".erofs")
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestCorpus reads the images in testdata. With -update it makes them anew.
func TestCorpus(t *testing.T) {
	for name, v := range corpus() {
		t.Run(name, func(t *testing.T) {
			if golden.Update() {
				image, _ := makeWith(t, imagetest.Tools("mkfs.erofs")[v.tool], tiny(), append(strings.Fields(v.args), "--quiet")...)
				p, err := os.ReadFile(image)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile("testdata/"+name+".erofs", p, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			image := corpusImage(t, name)
			f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
			if err != nil {
				t.Fatal(err)
			}
			want := dump(t, tiny())
			if f.SuperBlock().FeatureIncompat&erofs.Incompat48Bit != 0 {
				dropNanoseconds(want)
			}
			checkOurs(t, bytes.NewReader(image), int64(len(image)), want)
			if got := checked(t, f); len(got) > 0 {
				t.Errorf("Check() = %v", got)
			}
			if slices.Contains([]string{"lz4-compact", "lz4-full", "zstd-extents", "metabox"}, name) {
				checkGolden(t, f, name)
			}
		})
	}
}

// checkGolden compares what Describe prints with the file in testdata.
func checkGolden(t *testing.T, f *erofs.FS, name string) {
	t.Helper()
	var got strings.Builder
	if err := f.Describe(&got); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, filepath.Join("testdata", name+".golden"), got.String())
}

// TestFlips changes one byte after the other. What comes of it must be a fault,
// or files that can be read.
func TestFlips(t *testing.T) {
	stride := testenv.Amount(29, 1)
	for _, name := range slices.Sorted(maps.Keys(corpus())) {
		image := withChecksum(corpusImage(t, name))
		found := 0
		for at := 1024; at < len(image); at += stride {
			before := image[at]
			image[at] ^= 1 << (at / stride % 8)
			if err := explore(image); err != nil {
				found++
				if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
					t.Errorf("%s, byte %d: not a fault: %v", name, at, err)
				}
			}
			image[at] = before
		}
		t.Logf("%s: %d of %d changes were found", name, found, (len(image)-1024+stride-1)/stride)
	}
}

// broken is a patch of the map of one file, and what it must lead to.
type broken struct {
	image, path string
	patch       func(p []byte) // from the map header on
	fault       error
	want        string
}

func brokenMaps() []broken {
	u16, u32 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32
	const full = 16 // from the map header to full indexes
	return []broken{
		{"lz4-full", "usr/zeros", func(p []byte) { u32(p[full+4:], 1<<20) }, fault.ErrCorrupt, "lie outside"},
		{"lz4-full", "usr/zeros", func(p []byte) { p[full] = 2 }, fault.ErrCorrupt, "no pcluster starts before index 0"},
		{"lz4-full", "usr/zeros", func(p []byte) { u16(p[full+2:], 4096) }, fault.ErrCorrupt, "starts at 4096 of 4096"},
		{"lz4-full", "usr/zeros", func(p []byte) { p[full] = 3; p[6] = 0x40 }, fault.ErrUnsupported, "algorithm 4"},
		{"lz4-full", "usr/zeros", func(p []byte) { p[full] = 3; p[6] = 0x10 }, fault.ErrCorrupt, "does not name"},
		{"lz4-full", "usr/zeros", func(p []byte) { p[full] = 0 }, fault.ErrCorrupt, "not compressed, but has only"},
		{"lz4-full", "usr/zeros", func(p []byte) { p[4] |= 8; u16(p[2:], 4000) }, fault.ErrCorrupt, "is in two blocks"},
		{"lz4-full", "usr/zeros", func(p []byte) { p[4] |= 0x20 }, fault.ErrCorrupt, "fragment in the packed inode"},
		{"lz4-full", "usr/zeros", func(p []byte) { p[7] = 0x80 }, fault.ErrCorrupt, "fragment in the packed inode"},
		{"lz4-full", "usr/zeros", func(p []byte) { u16(p[full+8*5+4:], 0) }, fault.ErrCorrupt, "index 5 has its head 0 before, and not 5"},
		{"lz4-full", "usr/zeros", func(p []byte) { u16(p[full+8*5+4:], 6) }, fault.ErrCorrupt, "index 5 has its head 6 before, and not 5"},
		{"lz4-full", "usr/zeros", func(p []byte) { u16(p[full+8*1+4:], 1<<11|2) }, fault.ErrCorrupt, "no big pclusters"},
		{"lz4-compact", "usr/text", func(p []byte) { p[4] &^= 4 }, fault.ErrCorrupt, "only one of the heads"},
		{"lz4-compact", "usr/text", func(p []byte) { p[7] = 3 }, fault.ErrUnsupported, "1<<15 bytes"},
		{"lzma-fragments", "usr/text", func(p []byte) { u32(p, 1<<30) }, fault.ErrCorrupt, "fragment: bytes"},
		{"deflate-packed", "usr/short", func(p []byte) { u32(p, 1<<30) }, fault.ErrCorrupt, "fragment: bytes"},
		{"zstd-extents", "usr/text", func(p []byte) { p[4] = 1 | 3<<1; u32(p, 1<<30) }, fault.ErrCorrupt, "more than there is room for"},
	}
}

// TestBrokenMaps breaks the maps of compressed files.
func TestBrokenMaps(t *testing.T) {
	for _, test := range brokenMaps() {
		t.Run(test.image+" "+test.want, func(t *testing.T) {
			image := withChecksum(corpusImage(t, test.image))
			test.patch(image[mapAt(t, image, test.path):])
			err := explore(image)
			if !errors.Is(err, test.fault) || !strings.Contains(fmt.Sprint(err), test.want) || !strings.Contains(err.Error(), test.path) {
				t.Errorf("got %v, want %v with %q", err, test.fault, test.want)
			}
		})
	}
}

// mapAt returns where the map header of a file is.
func mapAt(t *testing.T, image []byte, path string) int {
	t.Helper()
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	i := info.Sys().(*erofs.Inode)
	at := int(f.SuperBlock().MetaBlock)<<f.SuperBlock().BlockBits + int(i.NID)*erofs.SlotSize + 32
	if i.Format.Extended() {
		at += 32
	}
	return at
}

// TestCheckStops when the context is done.
func TestCheckStops(t *testing.T) {
	image := corpusImage(t, "lzma-fragments")
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := f.Check(ctx); len(got) > 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("Check() = %v, %v, want %v", got, err, context.Canceled)
	}
}
