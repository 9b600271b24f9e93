package guest_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sextant/internal/vmtest/guest"
)

func TestPackAndUnpack(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	when := time.Unix(1700000000, 123456789)
	file := filepath.Join(from, "file")
	if err := os.WriteFile(file, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("no/where", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(from, "empty"), 0o711); err != nil {
		t.Fatal(err)
	}
	noted := syscall.Setxattr(file, "user.note", []byte("a\x00b"), 0) == nil
	if err := syscall.Chmod(file, 0o4751); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, when, when); err != nil {
		t.Fatal(err)
	}

	var b bytes.Buffer
	archive := tar.NewWriter(&b)
	if err := guest.Pack(archive, from, "/deep/down"); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	// A disk is longer than the archive on it.
	b.Write(make([]byte, 8192))
	if err := guest.Unpack(&b, to); err != nil {
		t.Fatal(err)
	}

	got := filepath.Join(to, "deep/down/file")
	if content, err := os.ReadFile(got); string(content) != "content" {
		t.Errorf("content %q, %v", content, err)
	}
	var st syscall.Stat_t
	if err := syscall.Stat(got, &st); err != nil {
		t.Fatal(err)
	}
	if st.Mode&0o7777 != 0o4751 || st.Mtim.Nano() != when.UnixNano() {
		t.Errorf("mode %o, time %d; want 4751, %d", st.Mode&0o7777, st.Mtim.Nano(), when.UnixNano())
	}
	if target, err := os.Readlink(filepath.Join(to, "deep/down/link")); target != "no/where" {
		t.Errorf("link leads to %q, %v", target, err)
	}
	if fi, err := os.Stat(filepath.Join(to, "deep/down/empty")); err != nil || fi.Mode().Perm() != 0o711 {
		t.Errorf("directory: %v, %v", fi, err)
	}
	value := make([]byte, 10)
	if n, err := syscall.Getxattr(got, "user.note", value); noted && string(value[:max(n, 0)]) != "a\x00b" {
		t.Errorf("user.note is %q, %v", value[:max(n, 0)], err)
	}
}
