package verity_test

import (
	"io"
	"os"
	"testing"
)

func section(t testing.TB, f *os.File) *io.SectionReader {
	t.Helper()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return io.NewSectionReader(f, 0, info.Size())
}
