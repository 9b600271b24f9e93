package vmtest

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"strings"
	"time"

	"sextant/internal/vmtest/guest"
)

// archive is the tar archive on the input disk while it is written.
type archive struct {
	path string
	file *os.File
	tar  *tar.Writer
}

func newArchive(path string) (*archive, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &archive{path: path, file: f, tar: tar.NewWriter(f)}, nil
}

// close pads the archive to what a disk needs: whole sectors, and not none.
func (a *archive) close() error {
	if err := a.tar.Close(); err != nil {
		return err
	}
	fi, err := a.file.Stat()
	if err != nil {
		return err
	}
	const mebi = 1 << 20
	return errors.Join(a.file.Truncate((fi.Size()+mebi)/mebi*mebi), a.file.Close())
}

// header returns what all entries share. Times are now: a guest whose clock is
// right must not take configuration for older than the caches made from it.
func header(kind byte, path string, mode fs.FileMode) *tar.Header {
	return &tar.Header{
		Typeflag: kind,
		Name:     strings.TrimPrefix(path, "/"),
		Mode:     int64(mode.Perm()) | specialBits(mode),
		ModTime:  time.Now(),
		Format:   tar.FormatPAX,
	}
}

// specialBits translates from Go's bits to those of chmod(2).
func specialBits(mode fs.FileMode) (bits int64) {
	if mode&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

func (a *archive) regular(path string, content []byte, mode fs.FileMode) error {
	h := header(tar.TypeReg, path, mode)
	h.Size = int64(len(content))
	if err := a.tar.WriteHeader(h); err != nil {
		return err
	}
	_, err := a.tar.Write(content)
	return err
}

func (a *archive) directory(path string, mode fs.FileMode) error {
	return a.tar.WriteHeader(header(tar.TypeDir, path, mode))
}

func (a *archive) symlink(target, path string) error {
	h := header(tar.TypeSymlink, path, 0o777)
	h.Linkname = target
	return a.tar.WriteHeader(h)
}

func (a *archive) copy(host, path string) error {
	return guest.Pack(a.tar, host, path)
}
