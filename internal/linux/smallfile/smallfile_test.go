package smallfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sextant/internal/linux/smallfile"
)

func TestReadWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	// Around the first buffer, and those after it.
	for _, size := range []int{5000, 0, 1, 1023, 1024, 1025, 4095, 4096, 4097, 100_000} {
		want := bytes.Repeat([]byte("sextant"), size/7+1)[:size]
		if err := smallfile.Write(path, string(want), 0o640); err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int{size, size + 1, 1 << 20} {
			got, err := smallfile.Read(path, limit)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("Read of %d bytes with limit %d = %d bytes, %v", size, limit, len(got), err)
			}
		}
		if size == 0 {
			continue
		}
		got, err := smallfile.Read(path, size-1)
		var large *smallfile.TooLarge
		if !errors.As(err, &large) || large.Limit != size-1 {
			t.Errorf("Read of %d bytes with limit %d = %d bytes, %v, want it too large", size, size-1, len(got), err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, err := smallfile.Read(dir, 10); !errors.Is(err, smallfile.ErrNotRegular) {
		t.Errorf("Read of a directory: %v, want smallfile.ErrNotRegular", err)
	}
	if _, err := smallfile.Read(filepath.Join(dir, "gone"), 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of nothing: %v, want fs.ErrNotExist", err)
	}
	if err := smallfile.Write(filepath.Join(dir, "gone/file"), "x", 0o644); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Write into nothing: %v, want fs.ErrNotExist", err)
	}
}

// TestNames has more names than one call of the system gives.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for i := range 500 {
		name := fmt.Sprintf("%03d%s", i, strings.Repeat("x", i%200))
		want = append(want, name)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := smallfile.Names(dir)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Names = %d names, %v, want %d", len(got), err, len(want))
	}
	if _, err := smallfile.Names(filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Names of nothing: %v, want fs.ErrNotExist", err)
	}
}

func TestEmptyDir(t *testing.T) {
	dir := t.TempDir()
	want := func(path string, want bool) {
		t.Helper()
		if got, err := smallfile.EmptyDir(path); err != nil || got != want {
			t.Errorf("EmptyDir(%s) = %t, %v, want %t", path, got, err, want)
		}
	}
	want(dir, true)
	file := filepath.Join(dir, "name of a file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want(dir, false)
	if _, err := smallfile.EmptyDir(file); err == nil {
		t.Error("EmptyDir takes a file")
	}
	if _, err := smallfile.EmptyDir(filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("EmptyDir of nothing: %v, want fs.ErrNotExist", err)
	}
}
