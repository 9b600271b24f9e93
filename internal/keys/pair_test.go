package keys_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sextant/internal/keys"
	"sextant/internal/testenv"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

func pairIn(dir string) keys.Pair {
	return keys.Pair{KeyPath: filepath.Join(dir, "a.key"), CertificatePath: filepath.Join(dir, "a.crt")}
}

func TestWritePair(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o777} {
		testWritePair(t, mask)
	}
}

func testWritePair(t *testing.T, mask int) {
	dir := t.TempDir()
	defer syscall.Umask(syscall.Umask(mask))
	if err := pairIn(dir).Write([]byte("key"), []byte("certificate")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"a.key": 0o600, "a.crt": 0o644} {
		state, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if state.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, state.Mode(), want)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a.crt", "a.key"}) {
		t.Errorf("directory holds %q", got)
	}
}

// TestPairIsNotReplaced: either file alone is enough to leave both alone.
func TestPairIsNotReplaced(t *testing.T) {
	for _, existing := range []string{"a.key", "a.crt"} {
		dir := t.TempDir()
		path := filepath.Join(dir, existing)
		if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		pair := pairIn(dir)
		err := pair.Write([]byte("key"), []byte("certificate"))
		wantError(t, "Write", err, path+": file already exists")
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("Write = %v, want %v", err, fs.ErrExist)
		}
		if got := names(t, dir); len(got) != 1 || read(t, path) != "old" {
			t.Errorf("%s exists: directory holds %q, the file %q", existing, got, read(t, path))
		}
		pair.Force = true
		if err := pair.Write([]byte("key"), []byte("certificate")); err != nil {
			t.Errorf("Write with Force = %v", err)
		}
		if read(t, pair.KeyPath) != "key" || read(t, pair.CertificatePath) != "certificate" {
			t.Error("Write with Force did not replace both files")
		}
		if state, err := os.Stat(pair.KeyPath); err != nil || state.Mode() != 0o600 {
			t.Errorf("key has mode %v, %v, want 0600", state.Mode(), err)
		}
	}
}

// TestPairFailsWhole: when the certificate has no place to go, there is no new
// key either, and an old one is still there.
func TestPairFailsWhole(t *testing.T) {
	dir := t.TempDir()
	pair := keys.Pair{KeyPath: filepath.Join(dir, "a.key"), CertificatePath: filepath.Join(dir, "missing", "a.crt"), Force: true}
	if err := pair.Write([]byte("key"), []byte("certificate")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Write = %v, want %v", err, fs.ErrNotExist)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("directory holds %q", got)
	}
}

func TestPairNeedsTwoNames(t *testing.T) {
	dir := t.TempDir()
	pair := keys.Pair{KeyPath: dir + "/a", CertificatePath: dir + "/./a"}
	wantError(t, "Write", pair.Write([]byte("key"), []byte("certificate")), "key and certificate would both be")
	if !strings.HasSuffix(pair.KeyPath, "/a") || len(names(t, dir)) != 0 {
		t.Error("something was written")
	}
}

// TestSecondRenameFails: an immutable certificate stops the second rename, and
// the key is what it was before.
func TestSecondRenameFails(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "chattr")
	for _, old := range []string{"", "old key"} {
		pair := pairIn(t.TempDir())
		pair.Force = true
		if err := os.WriteFile(pair.CertificatePath, []byte("immutable"), 0o644); err != nil {
			t.Fatal(err)
		}
		if old != "" {
			if err := os.WriteFile(pair.KeyPath, []byte(old), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if output, err := exec.Command("chattr", "+i", pair.CertificatePath).CombinedOutput(); err != nil {
			t.Skipf("LEFT OUT: this file system has no immutable files: %s", output)
		}
		t.Cleanup(func() { run(t, "chattr", "-i", pair.CertificatePath) })
		if err := pair.Write([]byte("key"), []byte("certificate")); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Write = %v, want %v", err, fs.ErrPermission)
		}
		if got, err := os.ReadFile(pair.KeyPath); string(got) != old || (err != nil) != (old == "") {
			t.Errorf("key is %q, %v, want %q", got, err, old)
		}
		run(t, "chattr", "-i", pair.CertificatePath)
	}
}
