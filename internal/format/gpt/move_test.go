package gpt_test

import (
	"bytes"
	"slices"
	"testing"

	"sextant/internal/format/gpt"
	"sextant/internal/testenv"
)

// TestMove checks that the table of an image that grew is the one that sgdisk
// makes of it, but for the protective MBR's boot code, which stays.
func TestMove(t *testing.T) {
	testenv.Require(t, "sgdisk")
	for _, grown := range []int{512, 5 * 512, 1 << 20} {
		small, _ := signedImage(t, 512)
		copy(small, "boot code")
		image := append(slices.Clone(small), make(memory, grown)...)
		name := writeFile(t, image)
		runWriter(t, "", "sgdisk", "-e", name)
		if err := gpt.Move(image, int64(len(small)), int64(len(image))); err != nil {
			t.Fatal(err)
		}
		want, problems, err := gpt.Read(memory(readFile(t, name)), int64(len(image)))
		if err != nil || len(problems) > 0 {
			t.Fatalf("sgdisk: %v, %v", problems, err)
		}
		got, problems, err := gpt.Read(image, int64(len(image)))
		if err != nil || len(problems) > 0 {
			t.Fatalf("Move: %v, %v", problems, err)
		}
		if got.LastUsable != want.LastUsable || got.DiskGUID != want.DiskGUID || !slices.Equal(got.Partitions, want.Partitions) {
			t.Errorf("Move by %d gives %+v, sgdisk %+v", grown, got, want)
		}
		if !bytes.HasPrefix(image, []byte("boot code")) {
			t.Error("Move lost the boot code")
		}
		if old := image[len(small)-512:][:8]; grown >= 1<<20 && string(old) == gpt.Signature {
			t.Error("the old backup is still there")
		}
	}
}

// TestMoveRefuses leaves a damaged table as it is.
func TestMoveRefuses(t *testing.T) {
	small, _ := signedImage(t, 512)
	small[1024]++
	image := append(slices.Clone(small), make(memory, 1<<20)...)
	before := slices.Clone(image)
	if err := gpt.Move(image, int64(len(small)), int64(len(image))); err == nil {
		t.Error("Move of a damaged table gives no error")
	}
	if !bytes.Equal(image, before) {
		t.Error("Move gives an error and writes all the same")
	}
}
