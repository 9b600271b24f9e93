package atomic_test

import (
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/atomic"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestCommitReplacesAndDiscardDoesNot(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	for _, content := range []string{"old", "new"} {
		if err := atomic.WriteFile(path, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	f, err := atomic.Create(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	f.Discard()

	got, err := os.ReadFile(path)
	if err != nil || string(got) != "new" {
		t.Errorf("content = %q, %v, want new", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode = %v, %v, want 0640", info.Mode(), err)
	}
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("directory holds %v, want out alone", list)
	}
}

func TestCommitOntoDirectoryKeepsIt(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := atomic.WriteFile(path, []byte("x"), 0o644); err == nil {
		t.Error("WriteFile onto a directory = nil, want an error")
	}
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("directory holds %v, want out alone", list)
	}
}

func TestCreateInMissingDirectory(t *testing.T) {
	if _, err := atomic.Create(filepath.Join(t.TempDir(), "no", "out"), 0o644); err == nil {
		t.Error("Create in a missing directory = nil, want an error")
	}
}

func TestSymlinkReplacesLinkAndFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "link")
	for _, target := range []string{"a", "b", "b"} {
		if err := atomic.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Errorf("Readlink = %q, %v, want %q", got, err, target)
		}
	}
	if list := names(t, dir); len(list) != 1 {
		t.Errorf("directory holds %v, want link alone", list)
	}
}
