package keys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sextant/internal/atomic"
)

// Pair is where a key and its certificate go.
type Pair struct {
	KeyPath         string
	CertificatePath string

	// Force allows to replace files that exist.
	Force bool
}

// Check returns an error that names the existing file, and wraps fs.ErrExist,
// if the pair would replace one without Force. A caller asks before it spends
// seconds on a key; Write asks again.
func (p Pair) Check() error {
	if filepath.Clean(p.KeyPath) == filepath.Clean(p.CertificatePath) {
		return fmt.Errorf("key and certificate would both be %s", p.KeyPath)
	}
	for _, path := range []string{p.KeyPath, p.CertificatePath} {
		state, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case state.IsDir():
			return fmt.Errorf("%s is a directory", path)
		case !p.Force:
			return fmt.Errorf("%s: %w", path, fs.ErrExist)
		}
	}
	return nil
}

// Write writes the key with mode 0600 and the certificate with mode 0644,
// whatever the umask. Both files appear, whole, or neither does. With Force,
// a machine that stops between the two renames is left with the new key and
// the old certificate, and a failure of the second puts the old key back.
func (p Pair) Write(key, certificate []byte) error {
	if err := p.Check(); err != nil {
		return err
	}
	keyFile, err := stage(p.KeyPath, key, 0o600)
	if err != nil {
		return err
	}
	defer keyFile.Discard()
	certificateFile, err := stage(p.CertificatePath, certificate, 0o644)
	if err != nil {
		return err
	}
	defer certificateFile.Discard()
	if err := p.Check(); err != nil { // something else may have made them
		return err
	}
	undo, err := p.rememberKey()
	if err != nil {
		return err
	}
	if err := keyFile.Commit(); err != nil {
		return err
	}
	if err := certificateFile.Commit(); err != nil {
		return errors.Join(err, undo())
	}
	return nil
}

// stage writes a file that has no name yet and brings it to stable storage.
func stage(path string, data []byte, mode fs.FileMode) (*atomic.File, error) {
	f, err := atomic.Create(path, mode)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Discard()
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return f, nil
}

// rememberKey returns a function that brings back what KeyPath is now.
func (p Pair) rememberKey() (undo func() error, err error) {
	old, err := os.ReadFile(p.KeyPath)
	if errors.Is(err, fs.ErrNotExist) {
		return func() error { return os.Remove(p.KeyPath) }, nil
	}
	if err != nil {
		return nil, err
	}
	return func() error { return atomic.WriteFile(p.KeyPath, old, 0o600) }, nil
}
