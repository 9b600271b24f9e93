//go:build unix

package smallfile_test

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"sextant/internal/linux/smallfile"
)

// TestReadDoesNotWait reads what nobody writes to.
func TestReadDoesNotWait(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := smallfile.Read(fifo, 10); !errors.Is(err, smallfile.ErrNotRegular) {
		t.Errorf("Read of a fifo: %v, want smallfile.ErrNotRegular", err)
	}
}
