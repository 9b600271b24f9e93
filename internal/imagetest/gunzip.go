package imagetest

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"
)

// Gunzip returns what is in a file that gzip has packed, as the larger ones of
// testdata are.
func Gunzip(t testing.TB, path string) []byte {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
