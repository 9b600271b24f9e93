package squashfs_test

import (
	"bytes"
	"os"
	"testing"

	"sextant/internal/format/squashfs"
	"sextant/internal/golden"
)

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
		golden.Compare(t, "testdata/"+comp+".describe", got.String())
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
