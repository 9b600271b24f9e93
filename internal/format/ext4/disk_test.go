package ext4_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/format/ext4"
	"sextant/internal/golden"
	"sextant/internal/imagetest"
)

// sample returns one of the small images in testdata, which mk-testdata makes.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	return imagetest.Gunzip(t, filepath.Join("testdata", name+".img.gz"))
}

func openBytes(t testing.TB, b []byte) *ext4.FS {
	t.Helper()
	f, err := ext4.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestStructureSizes(t *testing.T) {
	for _, c := range []struct {
		name      string
		structure any
		want      int
	}{
		{"SuperBlock", ext4.SuperBlock{}, 1024},
		{"GroupDesc", ext4.GroupDesc{}, 64},
		{"Inode", ext4.Inode{}, 160},
		{"ExtentHeader", ext4.ExtentHeader{}, 12},
		{"ExtentIndex", ext4.ExtentIndex{}, 12},
		{"Extent", ext4.Extent{}, 12},
		{"DirEntry", ext4.DirEntry{}, 8},
		{"IndexRoot", ext4.IndexRoot{}, 8},
		{"IndexEntry", ext4.IndexEntry{}, 8},
		{"XattrHeader", ext4.XattrHeader{}, 32},
		{"XattrEntry", ext4.XattrEntry{}, 16},
	} {
		if got := binary.Size(c.structure); got != c.want {
			t.Errorf("size of %s = %d, want %d", c.name, got, c.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	f := openBytes(t, sample(t, "ext4"))
	var out strings.Builder
	if err := f.Describe(&out); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"a/b/c", "a/long", "dir", "holes", "null"} {
		if err := f.DescribeFile(&out, path); err != nil {
			t.Fatal(err)
		}
	}
	golden.Compare(t, "testdata/ext4.golden", out.String())
}
