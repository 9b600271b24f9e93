package golden_test

import (
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/golden"
)

// TestCompare compares with a file that holds the same, and one that does not.
func TestCompare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wanted")
	if err := os.WriteFile(path, []byte("a\nb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]int{"a\nb\n": 0, "a\nc\n": 1} {
		r := &recorder{TB: t}
		if golden.Compare(r, path, got); r.errors != want {
			t.Errorf("Compare(%q) reports %d differences, want %d", got, r.errors, want)
		}
	}
}

// recorder is a test that counts what is reported to it.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Errorf(string, ...any) { r.errors++ }
