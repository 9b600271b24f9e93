package squashfs_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/format/squashfs"
)

var update = flag.Bool("update", false, "write the golden files")

func TestDescribe(t *testing.T) {
	for _, comp := range []string{"gzip", "xz", "lz4", "zstd"} {
		image, err := os.ReadFile("testdata/" + comp + ".squashfs")
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := squashfs.Describe(&got, bytes.NewReader(image), int64(len(image))); err != nil {
			t.Fatal(err)
		}
		golden := "testdata/" + comp + ".describe"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-golden +got):\n%s", comp, diff)
		}
	}
}

func TestDescribeBroken(t *testing.T) {
	image, err := os.ReadFile("testdata/gzip.squashfs")
	if err != nil {
		t.Fatal(err)
	}
	image[22] = 99 // log of the block size
	var out bytes.Buffer
	if err := squashfs.Describe(&out, bytes.NewReader(image), int64(len(image))); err == nil || out.Len() == 0 {
		t.Errorf("Describe prints %d bytes, %v; want the superblock and an error", out.Len(), err)
	}
}
