package inode_test

import (
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/linux/inode"
)

// TestChmodOfLink leaves alone what a link leads to, whatever the kernel has.
func TestChmodOfLink(t *testing.T) {
	top := t.TempDir()
	target := filepath.Join(top, "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if err := inode.Chmod(dir, "link", 0o777); err == nil {
		t.Error("Chmod of a link, want an error")
	}
	if state, err := os.Stat(target); err != nil || state.Mode().Perm() != 0o600 {
		t.Errorf("target has mode %v, %v, want 0600", state.Mode(), err)
	}
	if err := inode.Chmod(dir, "target", 0o4711); err != nil {
		t.Error(err)
	}
	if state, err := os.Stat(target); err != nil || state.Mode() != 0o711|os.ModeSetuid {
		t.Errorf("target has mode %v, %v, want setuid and 0711", state.Mode(), err)
	}
}
