package ext4_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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

// TestOffsetsInMargin holds the byte offsets beside the fields of disk.go
// against the sizes of the fields.
func TestOffsetsInMargin(t *testing.T) {
	source, err := os.ReadFile("disk.go")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{
		"uint8": 1, "int8": 1, "uint16": 2, "int16": 2, "uint32": 4, "int32": 4, "uint64": 8,
		"State": 2, "GroupFlags": 2, "HashVersion": 1, "FileType": 1, "XattrIndex": 1, "FeatureCompat": 4,
		"FeatureIncompat": 4, "FeatureROCompat": 4, "SuperFlags": 4, "InodeFlags": 4, "byte": 1,
	}
	counts := map[string]int{"": 1, "[2]": 2, "[3]": 3, "[4]": 4, "[16]": 16, "[17]": 17, "[32]": 32, "[64]": 64, "[94]": 94, "[blockAreaSize]": 60}
	field := regexp.MustCompile(`^\t[A-Z]\w+ +((?:\[\w+\])?)(\w+) +// +(0x[0-9A-F]+|\d+)\b`)
	at, checked := 0, 0
	for line := range strings.Lines(string(source)) {
		if strings.HasPrefix(line, "type ") {
			at = 0
		}
		m := field.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var want int
		format := "%d"
		if strings.HasPrefix(m[3], "0x") {
			format = "0x%x"
		}
		if _, err := fmt.Sscanf(strings.ToLower(m[3]), format, &want); err != nil {
			t.Fatal(err)
		}
		if at != want {
			t.Errorf("margin says %s, the field lies at %#x: %s", m[3], at, line)
		}
		if sizes[m[2]]*counts[m[1]] == 0 {
			t.Fatalf("size of %s%s is not known", m[1], m[2])
		}
		at += sizes[m[2]] * counts[m[1]]
		checked++
	}
	if checked < 180 {
		t.Errorf("checked %d fields", checked)
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
