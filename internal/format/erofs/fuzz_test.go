package erofs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/fault"
	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// explore calls all that reads an image, and returns the first error.
func explore(image []byte) error {
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		if f != nil {
			return fmt.Errorf("Open() = %v, %w", f, err)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	findings, err := f.Check(ctx)
	if len(findings) > 0 {
		err = findings[0]
	} else if ctx.Err() != nil {
		err = nil
	}
	f.Describe(io.Discard)
	if t, e := f.Tree(); e != nil {
		err = errors.Join(err, e)
		if t != nil {
			err = errors.Join(err, fmt.Errorf("Tree() = %v", t))
		}
	}
	names := 0
	fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		if names++; err != nil || names > 200 {
			return fs.SkipAll
		}
		if info, err := d.Info(); err == nil && info.Size() < 1<<16 {
			f.ReadFile(path)
		}
		f.ReadLink(path)
		return nil
	})
	return err
}

// withChecksum makes the superblock's checksum right, so that the fuzzer comes
// behind it.
func withChecksum(image []byte) []byte {
	image = bytes.Clone(image)
	if len(image) > erofs.SuperBlockOffset+12 {
		image[erofs.SuperBlockOffset+8] &^= byte(erofs.CompatChecksum)
	}
	return image
}

// FuzzOpen: no image makes the reader panic or take much memory, and what it
// says about a bad one is one of the known faults.
func FuzzOpen(f *testing.F) {
	for _, make := range []func() *tree.Tree{small, cases()["small"], cases()["large-root"]} {
		f.Add(render(f, make(), options()))
		opts := options()
		opts.BlockSize = 512
		f.Add(render(f, make(), opts))
	}
	for name := range corpus() {
		f.Add(corpusImage(f, name))
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		err := explore(withChecksum(image))
		if err != nil && !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
			t.Errorf("not a fault: %v", err)
		}
	})
}

// randomTree returns a tree that follows from the seed.
func randomTree(seed uint64, size int) *tree.Tree {
	r := rand.New(rand.NewPCG(seed, 1))
	b := imagetest.NewBuilder()
	dirs := []string{""}
	var files []*tree.Inode
	for range size {
		name := strings.Repeat(string(rune('!'+r.IntN(90))), 1+r.IntN(1+r.IntN(255)))
		if r.IntN(3) > 0 || name == "." || name == ".." || strings.ContainsAny(name, "/") {
			name = fmt.Sprintf("%c%d", '+'+rune(r.IntN(4)), r.IntN(1000))
			name = strings.ReplaceAll(name, "/", "_")
		}
		path := dirs[r.IntN(len(dirs))] + "/" + name
		if b.Tree.Lookup(path) != nil {
			continue
		}
		var node *tree.Inode
		switch r.IntN(8) {
		case 0:
			node = b.Dir(path, tree.Mode(r.IntN(0o10000)))
			dirs = append(dirs, path)
		case 1:
			node = b.Symlink(path, strings.Repeat("t", 1+r.IntN(1+r.IntN(4095))))
		case 2:
			node = b.Special(path, tree.TypeChar|0o600, tree.Device{Major: r.Uint32N(4096), Minor: r.Uint32N(1 << 20)})
		case 3:
			if len(files) > 0 {
				b.Put(path, files[r.IntN(len(files))])
			}
			continue
		default:
			node = b.Content(path, tree.Mode(r.IntN(0o10000)), randomContent(r))
			files = append(files, node)
		}
		randomAttributes(r, node)
	}
	return b.Tree
}

func randomContent(r *rand.Rand) tree.Content {
	size := r.Int64N(1 << r.IntN(20))
	if r.IntN(4) > 0 {
		return imagetest.Noise{Seed: r.Uint64(), Length: size}
	}
	data := []span.Span{}
	for at := int64(0); at < size; {
		start := at + r.Int64N(1+size/2)
		end := min(start+1+r.Int64N(1+size/3), size)
		if start < end {
			data = append(data, span.Between(start, end))
		}
		at = max(end, start) + 1
	}
	return imagetest.Sparse(r.Uint64(), size, data...)
}

func randomAttributes(r *rand.Rand, node *tree.Inode) {
	if r.IntN(3) == 0 {
		node.ModTime = time.Unix(r.Int64()-r.Int64(), r.Int64N(1e9))
	}
	if r.IntN(3) == 0 {
		node.UID, node.GID = r.Uint32(), r.Uint32()>>r.IntN(32)
	}
	for range r.IntN(4) {
		value := make([]byte, r.IntN(1+r.IntN(5000)))
		prefix := []string{"trusted.", "security.", "user."}[r.IntN(3)]
		if !node.Mode.IsRegular() && !node.Mode.IsDir() {
			prefix = "trusted." // Linux hides user.* of other types
		}
		node.PutXattr(fmt.Sprintf("%s%d", prefix, r.IntN(5)), value)
	}
	if r.IntN(20) == 0 && node.Mode.Type() != tree.TypeSymlink {
		node.PutXattr("system.posix_acl_access", imagetest.ACL())
	}
}

// checkRandom writes a random tree, and has our reader compare it.
func checkRandom(t *testing.T, seed uint64, size int, blockBits uint8) *tree.Tree {
	src := randomTree(seed, size)
	opts := options()
	opts.BlockSize = 512 << (blockBits % 8)
	image := render(t, src, opts)
	checkOurs(t, bytes.NewReader(image), int64(len(image)), dump(t, src))
	pieces := renderWith(t, plan(t, src, opts), 2, 10_007)
	if !bytes.Equal(pieces, image) {
		t.Errorf("pieces give other bytes from %d on", differAt(pieces, image))
	}
	return src
}

// FuzzPlan: every tree comes back as it was.
func FuzzPlan(f *testing.F) {
	for n := range uint64(8) {
		f.Add(n, uint16(10<<n), uint8(n))
	}
	f.Fuzz(func(t *testing.T, seed uint64, size uint16, blockBits uint8) {
		checkRandom(t, seed, int(size%2000), blockBits)
	})
}

// TestRandomTrees has fsck.erofs and the kernel look at random trees too.
func TestRandomTrees(t *testing.T) {
	for seed := range uint64(8) {
		src := checkRandom(t, seed, 800, 3)
		image := writeImage(t, src, options())
		t.Run(fmt.Sprintf("%d/kernel", seed), func(t *testing.T) { checkKernel(t, image, dump(t, src)) })
		for _, fsck := range imagetest.Tools("fsck.erofs") {
			t.Run(fmt.Sprintf("%d/%s", seed, fsck.Name), func(t *testing.T) {
				if err := fsck.Run(t, []string{filepath.Dir(image)}, image); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestBroken breaks the image of small in one place each.
func TestBroken(t *testing.T) {
	good := render(t, small(), options())
	f, err := erofs.Open(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}
	at := func(path string) int {
		info, err := f.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Sys().(*erofs.Inode).NID) * erofs.SlotSize
	}
	const super = erofs.SuperBlockOffset
	u16, u32 := binary.LittleEndian.PutUint16, binary.LittleEndian.PutUint32
	usr, bin, root := at("usr"), at("usr/bin"), at(".")
	tests := []struct {
		name  string
		patch func(p []byte) []byte
		fault error
		want  string
	}{
		{"magic", func(p []byte) []byte { p[super] = 0; return p }, fault.ErrCorrupt, "magic number"},
		{"checksum", func(p []byte) []byte { p[1500] ^= 1; return p }, fault.ErrCorrupt, "checksum"},
		{"empty", func(p []byte) []byte { return nil }, fault.ErrCorrupt, "lie outside"},
		{"cut", func(p []byte) []byte { return p[:len(p)-1] }, fault.ErrCorrupt, "blocks of 4096 bytes are more"},
		{"block size", func(p []byte) []byte { p[super+12] = 40; return p }, fault.ErrCorrupt, "block size"},
		{"features", func(p []byte) []byte { u32(p[super+80:], 1<<31); return p }, fault.ErrUnsupported, "features 0x80000000"},
		{"metabox", func(p []byte) []byte { u32(p[super+80:], 1<<8); return p }, fault.ErrCorrupt, "no number of its inode"},
		{"devices", func(p []byte) []byte { u16(p[super+86:], 1); return p }, fault.ErrUnsupported, "1 more devices"},
		{"root number", func(p []byte) []byte { u16(p[super+14:], 0xffff); return p }, fault.ErrCorrupt, "root: inode 65535"},
		{"root type", func(p []byte) []byte { u16(p[root+4:], 0o100644); return p }, fault.ErrCorrupt, "it is a file"},
		{"inode count", func(p []byte) []byte { u32(p[super+16:], 5); return p }, fault.ErrCorrupt, "there are 5 inodes"},
		{"format", func(p []byte) []byte { p[usr] = 0x0a; return p }, fault.ErrUnsupported, "/usr: inode"},
		{"compressed", func(p []byte) []byte { p[at("usr/block")] = 0x02; return p }, fault.ErrCorrupt, "index 0"},
		{"mode", func(p []byte) []byte { u16(p[usr+4:], 0); return p }, fault.ErrCorrupt, "mode 0"},
		{"link count", func(p []byte) []byte { u16(p[bin+6:], 7); return p }, fault.ErrCorrupt, "7 links, and has 2"},
		{"directory size", func(p []byte) []byte { u32(p[bin+8:], 1<<30); return p }, fault.ErrCorrupt, "/usr/bin:"},
		{"inline size", func(p []byte) []byte { u32(p[at("usr/block")+8:], 4096+4095); return p }, fault.ErrCorrupt, "in two blocks"},
		{"data start", func(p []byte) []byte { u32(p[at("usr/block")+16:], 1<<20); return p }, fault.ErrCorrupt, "starts at block"},
		{"data overlaps", func(p []byte) []byte { u32(p[at("usr/block")+16:], 0); return p }, fault.ErrCorrupt, "overlaps"},
		{"chunk beyond", func(p []byte) []byte { u32(p[at("usr/sparse")+32+16:], 9999); return p }, fault.ErrCorrupt, "chunk 4"},
		{"chunk count", func(p []byte) []byte { u32(p[at("usr/sparse")+8:], 1<<31); return p }, fault.ErrCorrupt, "/usr/sparse: "},
		{"name order", func(p []byte) []byte { p[usr+32+0x7b] = 'z'; return p }, fault.ErrCorrupt, "out of order"},
		{"name slash", func(p []byte) []byte { p[usr+32+0x7b] = '/'; return p }, fault.ErrCorrupt, "contains a slash"},
		{"name offset", func(p []byte) []byte { u16(p[usr+32+8:], 13); return p }, fault.ErrCorrupt, "the names start at 13"},
		{"entry type", func(p []byte) []byte { p[usr+32+2*12+10] = 3; return p }, fault.ErrCorrupt, "has it as a char"},
		{"dot", func(p []byte) []byte { u16(p[usr+32:], 36); return p }, fault.ErrCorrupt, `"." is inode 36`},
		{"dot dot", func(p []byte) []byte { u16(p[bin+32+2*12:], 36); return p }, fault.ErrCorrupt, `".." is inode 36`},
		{"cycle", func(p []byte) []byte { u16(p[bin+32:], uint16(usr/32)); p[bin+32+10] = 2; return p }, fault.ErrCorrupt, "has two names"},
		{"xattr size", func(p []byte) []byte { u16(p[at("usr/acl")+32+14:], 60000); return p }, fault.ErrCorrupt, "an entry of"},
		{"xattr prefix", func(p []byte) []byte { p[at("usr/acl")+32+13] = 99; return p }, fault.ErrUnsupported, "name prefix 99"},
		{"xattr shared", func(p []byte) []byte { p[at("usr/acl")+32+4] = 200; return p }, fault.ErrCorrupt, "200 shared"},
		{"xattr shared number", func(p []byte) []byte { u32(p[at("usr/labelled-a")+32+12:], 1<<30); return p }, fault.ErrCorrupt, "lie outside"},
		{"nanoseconds", func(p []byte) []byte { u32(p[at("usr/old")+40:], 1e9); return p }, fault.ErrCorrupt, "nanoseconds"},
		{"large size", func(p []byte) []byte { p[at("usr/old")+15] = 0x80; return p }, fault.ErrCorrupt, "size 9223372036854775808"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			image := test.patch(bytes.Clone(good))
			if test.name != "checksum" {
				image = withChecksum(image)
			}
			err := explore(image)
			if !errors.Is(err, test.fault) || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("got %v, want %v with %q", err, test.fault, test.want)
			}
		})
	}
	if err := explore(good); err != nil {
		t.Errorf("the good image: %v", err)
	}
}
