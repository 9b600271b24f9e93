package fat_test

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/format/fat"
	"sextant/internal/golden"
	"sextant/internal/imagetest"
)

// sample returns one of the small images in testdata, which testdata/make makes.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	return imagetest.Gunzip(t, filepath.Join("testdata", name+".img.gz"))
}

func openBytes(t testing.TB, b []byte) *fat.FS {
	t.Helper()
	f, err := fat.Open(bytes.NewReader(b), int64(len(b)))
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
		{"BPB", fat.BPB{}, 36},
		{"BPB32", fat.BPB32{}, 28},
		{"BPBTail", fat.BPBTail{}, 26},
		{"FSInfo", fat.FSInfo{}, 512},
		{"DirEntry", fat.DirEntry{}, 32},
		{"LongEntry", fat.LongEntry{}, 32},
	} {
		if got := binary.Size(c.structure); got != c.want {
			t.Errorf("%s has %d bytes, want %d", c.name, got, c.want)
		}
	}
}

// TestDecoders compares the decoders by hand with the structures: the editor
// writes with those.
func TestDecoders(t *testing.T) {
	b := noise(4, 32)
	b[11] = 0x20
	e, l := fat.DecodeEntry(b), fat.DecodeLong(b)
	for _, structure := range []any{e, l} {
		got, err := binary.Append(nil, binary.LittleEndian, structure)
		if err != nil || !bytes.Equal(got, b) {
			t.Errorf("%T: %x, %v, want %x", structure, got, err, b)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, name := range []string{"fat12", "fat32"} {
		f := openBytes(t, sample(t, name))
		var out strings.Builder
		must(t, f.Describe(&out))
		for _, path := range []string{".", "EFI/BOOT", "EFI/BOOT/BOOTX64.EFI", "a directory with a long name/Some File.text", "empty"} {
			must(t, f.DescribeFile(&out, path))
		}
		golden.Compare(t, "testdata/"+name+".golden", out.String())
	}
}
