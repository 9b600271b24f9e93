package redo_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/fault"
	"sextant/internal/redo"
)

const size = 40*redo.Block + 1234

func newDisk() []byte {
	disk := make([]byte, size)
	for i := range disk {
		disk[i] = byte(i * 7 >> 3)
	}
	return disk
}

// TestAgainstMemory writes at random and compares every reading with a slice.
func TestAgainstMemory(t *testing.T) {
	base := newDisk()
	want := bytes.Clone(base)
	l := redo.Scratch(bytes.NewReader(base), size)
	defer l.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		at := random.Int64N(size)
		part := make([]byte, random.Int64N(min(size-at, 3*redo.Block))+1)
		if i%3 == 0 {
			for k := range part {
				part[k] = byte(random.Uint32())
			}
			if n, err := l.WriteAt(part, at); n != len(part) || err != nil {
				t.Fatalf("WriteAt = %d, %v", n, err)
			}
			copy(want[at:], part)
			continue
		}
		if n, err := l.ReadAt(part, at); n != len(part) || err != nil {
			t.Fatalf("ReadAt(%d bytes, %d) = %d, %v", len(part), at, n, err)
		}
		if !bytes.Equal(part, want[at:at+int64(len(part))]) {
			t.Fatalf("ReadAt(%d bytes, %d) differs", len(part), at)
		}
	}
	if !bytes.Equal(base, newDisk()) {
		t.Error("the disk changed")
	}
	over := make([]byte, 10)
	if n, err := l.ReadAt(over, size-4); n != 4 || err != io.EOF {
		t.Errorf("ReadAt over the end = %d, %v, want 4, EOF", n, err)
	}
	if _, err := l.WriteAt(over, size-4); err == nil {
		t.Error("WriteAt over the end = nil")
	}
	applied := bytes.Clone(base)
	if err := l.Apply(slice(applied)); err != nil || !bytes.Equal(applied, want) {
		t.Errorf("Apply: %v, or another disk", err)
	}
}

type slice []byte

func (s slice) WriteAt(p []byte, at int64) (int, error) { return copy(s[at:], p), nil }

// TestSealed cuts the file of a log everywhere, and finds the change whole or
// not at all.
func TestSealed(t *testing.T) {
	base := newDisk()
	path := filepath.Join(t.TempDir(), "log")
	l := redo.New(bytes.NewReader(base), size, func() (redo.File, error) { return os.Create(path) })
	text := bytes.Repeat([]byte("sextant "), 1000)
	for _, at := range []int64{5, size - 8000, 20 * redo.Block} {
		if _, err := l.WriteAt(text, at); err != nil {
			t.Fatal(err)
		}
	}
	if got := opened(t, path, base); got != nil {
		t.Error("a log that is not sealed counts")
	}
	if err := l.Seal(); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, size)
	if _, err := l.ReadAt(want, 0); err != nil {
		t.Fatal(err)
	}
	if got := opened(t, path, base); !bytes.Equal(got, want) {
		t.Error("the sealed log gives another disk")
	}
	// In the middle of Apply the disk is neither the old nor the new one; the
	// log gives the new one.
	torn := bytes.Clone(base)
	if err := l.Apply(&breaks{torn, 3}); err == nil {
		t.Fatal("Apply to a disk that breaks = nil")
	}
	if got := opened(t, path, torn); !bytes.Equal(got, want) {
		t.Error("the log over a torn disk does not give the new one")
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{0, 15, 72, 4096, len(whole) / 2, len(whole) - 1} {
		writeFile(t, path, whole[:cut])
		if opened(t, path, base) != nil {
			t.Errorf("a log that is cut at %d counts", cut)
		}
	}
	whole[5000] ^= 1
	writeFile(t, path, whole)
	if opened(t, path, base) != nil {
		t.Error("a log with a flipped bit counts")
	}
}

type breaks struct {
	slice
	left int
}

func (b *breaks) WriteAt(p []byte, at int64) (int, error) {
	if b.left--; b.left < 0 {
		return 0, errors.New("broken")
	}
	return b.slice.WriteAt(p, at)
}

func writeFile(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// opened returns the disk that the log in a file gives, nil if it counts for
// nothing.
func opened(t *testing.T, path string, disk []byte) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := redo.Open(bytes.NewReader(disk), int64(len(disk)), f)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Apply(slice(disk)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, len(disk))
	if _, err := l.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, disk) {
		t.Error("ReadAt and Apply differ")
	}
	return b
}

func TestOtherDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := redo.New(bytes.NewReader(newDisk()), size, func() (redo.File, error) { return os.Create(path) })
	if _, err := l.WriteAt([]byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	if err := l.Seal(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := redo.Open(bytes.NewReader(nil), size-1, f); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Open over another disk = %v", err)
	}
}
