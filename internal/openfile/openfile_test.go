package openfile_test

import (
	"errors"
	"io"
	"io/fs"
	"testing"
	"testing/fstest"

	"sextant/internal/fault"
	"sextant/internal/openfile"
	"sextant/internal/tree"
)

// state is the state of a file that fstest makes.
func state(t *testing.T, mode fs.FileMode, content string) fs.FileInfo {
	t.Helper()
	s, err := fs.Stat(fstest.MapFS{"x": {Mode: mode, Data: []byte(content)}}, "x")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRegular(t *testing.T) {
	r, err := tree.Bytes("bytes, and others behind them").Open()
	if err != nil {
		t.Fatal(err)
	}
	f := openfile.Regular(state(t, 0o644, "bytes"), r)
	if b, err := io.ReadAll(f); err != nil || string(b) != "bytes" {
		t.Errorf("content is %q, %v, want what the state says", b, err)
	}
	if n, err := f.(io.ReaderAt).ReadAt(make([]byte, 9), 3); n != 2 || err != io.EOF {
		t.Errorf("ReadAt = %d, %v, want 2 and EOF", n, err)
	}
	if at, err := f.(io.Seeker).Seek(-1, io.SeekEnd); at != 4 || err != nil {
		t.Errorf("Seek = %d, %v, want 4", at, err)
	}
}

func TestSpecial(t *testing.T) {
	_, err := openfile.Special(state(t, fs.ModeNamedPipe, "")).Read(make([]byte, 1))
	if !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Read of a pipe = %v, want %v", err, fault.ErrUnsupported)
	}
}

// TestDir lists a directory whose entries cannot be read at first.
func TestDir(t *testing.T) {
	entries := []fs.DirEntry{fs.FileInfoToDirEntry(state(t, 0, "")), fs.FileInfoToDirEntry(state(t, fs.ModeDir, ""))}
	broken, asked := errors.New("broken"), 0
	d := openfile.Dir(state(t, fs.ModeDir, ""), func() ([]fs.DirEntry, error) {
		if asked++; asked == 1 {
			return nil, broken
		}
		return entries, nil
	}).(fs.ReadDirFile)
	for i, want := range []struct {
		count, got int
		err        error
	}{{1, 0, broken}, {1, 1, nil}, {2, 1, nil}, {1, 0, io.EOF}, {-1, 0, nil}} {
		got, err := d.ReadDir(want.count)
		if len(got) != want.got || !errors.Is(err, want.err) {
			t.Errorf("%d: ReadDir(%d) = %v, %v, want %d entries and %v", i, want.count, got, err, want.got, want.err)
		}
	}
	if asked != 2 {
		t.Errorf("asked for the entries %d times, want 2", asked)
	}
	if _, err := d.Read(make([]byte, 1)); err == nil {
		t.Error("Read of a directory gives no error")
	}
}
