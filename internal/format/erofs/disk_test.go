package erofs_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"

	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// TestSizes holds the structures against erofs_fs.h.
func TestSizes(t *testing.T) {
	tests := []struct {
		v       any
		size    int
		offsets map[string]int
	}{
		{erofs.SuperBlock{}, 128, map[string]int{"Checksum": 4, "BlockBits": 12, "RootNID": 14, "BuildTime": 24, "Blocks": 36,
			"XattrBlock": 44, "UUID": 48, "VolumeName": 64, "FeatureIncompat": 80, "DeviceSlot": 88, "XattrPrefixAt": 92,
			"PackedNID": 96, "BuildTimeOffset": 108, "RootNID64": 112}},
		{erofs.CompactInode{}, 32, map[string]int{"Mode": 4, "Size": 8, "Union": 16, "Ino": 20, "UID": 24, "GID": 26}},
		{erofs.ExtendedInode{}, 64, map[string]int{"Size": 8, "Union": 16, "UID": 24, "ModTime": 32, "ModTimeNsec": 40, "Nlink": 44}},
		{erofs.Dirent{}, 12, map[string]int{"NameOffset": 8, "FileType": 10}},
		{erofs.XattrHeader{}, 12, map[string]int{"SharedCount": 4}},
		{erofs.XattrEntry{}, 4, map[string]int{"Prefix": 1, "ValueSize": 2}},
		{erofs.ChunkIndex{}, 8, map[string]int{"Device": 2, "Block": 4}},
		{erofs.SuperBlockExtension{}, 16, nil},
		{erofs.LZ4Config{}, 14, map[string]int{"MaxPclusterBlocks": 2}},
		{erofs.LZMAConfig{}, 14, map[string]int{"Format": 4}},
		{erofs.DeflateConfig{}, 6, nil},
		{erofs.ZstdConfig{}, 6, map[string]int{"WindowLog": 1}},
		{erofs.MapHeader{}, 8, map[string]int{"Advise": 4, "Algorithms": 6, "Cluster": 7}},
		{erofs.LclusterIndex{}, 8, map[string]int{"Offset": 2, "Union": 4}},
		{erofs.Extent{}, 32, map[string]int{"StartLow": 4, "StartHigh": 8, "FileLow": 12, "FileHigh": 16}},
	}
	for _, test := range tests {
		typ := reflect.TypeOf(test.v)
		if got := binary.Size(test.v); got != test.size {
			t.Errorf("binary.Size(%s) = %d, want %d", typ.Name(), got, test.size)
		}
		at := 0
		for k := range typ.NumField() {
			field := typ.Field(k)
			if want, ok := test.offsets[field.Name]; ok && at != want {
				t.Errorf("offset of %s.%s is %d, want %d", typ.Name(), field.Name, at, want)
			}
			at += binary.Size(reflect.Zero(field.Type).Interface())
		}
	}
}

// small has one of everything, for the golden dump.
func small() *tree.Tree {
	b := imagetest.NewBuilder()
	file := b.File("usr/bin/tool", 0o755, "#!/bin/sh\n")
	b.Put("usr/bin/-tool", file)
	b.Symlink("usr/bin/link", "tool")
	b.Special("usr/null", tree.TypeChar|0o666, tree.Device{Major: 1, Minor: 3})
	b.File("usr/acl", 0o640, "").PutXattr("system.posix_acl_access", imagetest.ACL())
	for _, name := range []string{"a", "b"} {
		f := b.File("usr/labelled-"+name, 0o644, "")
		f.PutXattr("security.selinux", []byte("system_u:object_r:usr_t:s0"))
		f.PutXattr("user.own", []byte(name))
	}
	b.File("usr/old", 0o644, "").ModTime = b.Tree.Root.ModTime.AddDate(-60, 0, 0)
	b.File("usr/block", 0o644, strings.Repeat("b", 5000))
	b.Content("usr/sparse", 0o644, imagetest.Sparse(1, 80<<10, span.Between(16<<10, 20<<10), span.Between(76<<10, 80<<10)))
	return b.Tree
}

func TestDescribe(t *testing.T) {
	image := render(t, small(), options())
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, f, "small")
}

// TestFS has the standard library try the file system.
func TestFS(t *testing.T) {
	src := imagetest.Corner()
	for _, path := range []string{
		"usr/share/large", "usr/sizes", "usr/holes", // take their time
		"usr/names", // io/fs wants UTF-8
		"usr/dev",   // it reads what it opens
		"usr/bin/broken", "usr/share/long-link", "usr/share/xattr-link",
	} {
		src.Lookup(filepath.Dir(path)).Remove(filepath.Base(path))
	}
	imagetest.Builder{Tree: src}.Content("usr/sizes/9000", 0o644, imagetest.Noise{Length: 9000})
	image := render(t, src, options())
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(f, "usr/bin/tool", "usr/bin/relative", "usr/sizes/9000", "opt/tool"); err != nil {
		t.Error(err)
	}
}

// TestLinks: links are followed inside the image.
func TestLinks(t *testing.T) {
	b := imagetest.NewBuilder()
	b.File("usr/lib/file", 0o644, "content")
	b.Symlink("lib", "usr/lib")
	b.Symlink("usr/bin/absolute", "/lib/file")
	b.Symlink("usr/bin/out", "../../../../../lib/file")
	b.Symlink("usr/bin/chain", "out")
	b.Symlink("usr/bin/loop", "loop")
	b.Symlink("usr/bin/broken", "nowhere")
	image := render(t, b.Tree, options())
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lib/file", "usr/bin/absolute", "usr/bin/out", "usr/bin/chain"} {
		if got, err := f.ReadFile(name); string(got) != "content" {
			t.Errorf("ReadFile(%s) = %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"usr/bin/loop", "usr/bin/broken", "usr/lib/file/x", "/usr", "usr/../usr", "nothing"} {
		if got, err := f.ReadFile(name); err == nil {
			t.Errorf("ReadFile(%s) = %q, nil, want an error", name, got)
		}
	}
	if got, err := f.ReadLink("usr/bin/out"); got != "../../../../../lib/file" || err != nil {
		t.Errorf("ReadLink() = %q, %v", got, err)
	}
}
