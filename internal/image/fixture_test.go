package image_test

import (
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/extension"
	"sextant/internal/image"
	"sextant/internal/imagetest/disk"
	"sextant/internal/report"
)

// verify checks image bytes without a file.
func verify(t testing.TB, b disk.Blob, opts image.Options) *image.Checked {
	t.Helper()
	m, err := image.Read(b, int64(len(b)))
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	found, err := m.Verify(t.Context(), opts)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return found
}

// verifyFile checks the image or directory at path.
func verifyFile(t testing.TB, path string, opts image.Options) *image.Checked {
	t.Helper()
	m, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	found, err := m.Verify(t.Context(), opts)
	if err != nil {
		t.Fatalf("Verify(%s): %v", path, err)
	}
	return found
}

// summary gives the findings as "severity id", in order, each once.
func summary(found *image.Checked) (list []string) {
	seen := make(map[string]bool)
	for _, f := range found.Findings {
		if s := f.Severity.String() + " " + f.ID; !seen[s] {
			seen[s] = true
			list = append(list, s)
		}
	}
	return list
}

// worse reports whether there is at least a warning.
func worse(found *image.Checked) bool {
	worst, any := found.Worst()
	return any && worst >= report.Warning
}

func writeImage(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// host is a system that extensions are checked against.
func host(t testing.TB, text string) *extension.Host {
	t.Helper()
	release, err := extension.ParseRelease([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &extension.Host{OS: release, Architecture: "x86-64", Scope: extension.System}
}
