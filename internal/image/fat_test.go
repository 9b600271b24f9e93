package image_test

import (
	"bytes"
	"errors"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/image"
	"sextant/internal/imagetest"
)

// TestFAT opens a bare FAT, and one that is cut.
func TestFAT(t *testing.T) {
	b := imagetest.Gunzip(t, "../format/fat/testdata/fat32.img.gz")
	m, err := image.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	files, err := m.Tree()
	if err != nil || files.Lookup("/EFI/BOOT/BOOTX64.EFI") == nil {
		t.Errorf("Tree has no EFI/BOOT/BOOTX64.EFI: %v", err)
	}
	facts, err := m.Facts(&m.Parts[0])
	if err != nil || facts.Kind != "vfat" || facts.UUID != "1234-ABCD" || facts.Label != "SAMPLE" {
		t.Errorf("Facts = %+v, %v", facts, err)
	}
	half := b[:len(b)/2]
	if m, err = image.Read(bytes.NewReader(half), int64(len(half))); err != nil {
		t.Fatal(err)
	}
	if facts, err := m.Facts(&m.Parts[0]); facts.Kind != "vfat" || !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Facts of half of it = %+v, %v, want vfat and ErrCorrupt", facts, err)
	}
}
