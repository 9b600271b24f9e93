//go:build !unix

package smallfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// Read returns what a regular file holds, which may be limit bytes: else it is a
// *TooLarge. Anything but a regular file is ErrNotRegular.
func Read(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !found.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: ErrNotRegular}
	}
	raw, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(raw) > limit {
		return nil, &TooLarge{path, limit}
	}
	return raw, err
}

// Write makes a file with the text, or puts the text in place of what a file
// holds.
func Write(path, text string, perm fs.FileMode) error {
	return os.WriteFile(path, []byte(text), perm)
}

// Names returns what is in a directory, in the order of its file system.
func Names(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// EmptyDir reports whether a directory has no entries.
func EmptyDir(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	_, err = f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}
