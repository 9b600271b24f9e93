package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"sextant/internal/linux/tmpfile"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// Spool holds what compressed archives unpack to, in one file without a name,
// so that it takes disk space instead of memory and nothing stays behind. The
// trees of those archives can be read until Close.
type Spool struct {
	dir string

	mu    sync.Mutex
	file  *os.File
	size  int64
	named bool // the system has only files with names
}

// NewSpool returns a spool whose file will be in the directory dir, or in the
// system's for temporary files if dir is empty. The file is made when it is
// first needed.
func NewSpool(dir string) *Spool {
	if dir == "" {
		dir = os.TempDir()
	}
	return &Spool{dir: dir}
}

// Close gives the disk space back.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	s.file = nil
	return err
}

// put appends all that r has and returns where it is.
func (s *Spool) put(ctx context.Context, r io.Reader) (spooled, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(); err != nil {
		return spooled{}, err
	}
	start := s.size
	buf := make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(r, buf)
		if _, err := s.file.WriteAt(buf[:n], s.size); err != nil {
			return spooled{}, fmt.Errorf("unpack into %s: %w", s.dir, err)
		}
		s.size += int64(n)
		switch {
		case err == io.EOF, err == io.ErrUnexpectedEOF:
			return spooled{s, span.Between(start, s.size)}, nil
		case err != nil:
			return spooled{}, err
		case ctx.Err() != nil:
			return spooled{}, ctx.Err()
		}
	}
}

func (s *Spool) open() (err error) {
	if s.file != nil {
		return nil
	}
	s.file, err = tmpfile.Create(filepath.Join(s.dir, "sextant-spool"))
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if s.file, err = os.CreateTemp(s.dir, "sextant-spool-*"); err != nil {
		return err
	}
	s.named = os.Remove(s.file.Name()) != nil
	return nil
}

// spooled is one archive in a spool.
type spooled struct {
	spool *Spool
	where span.Span
}

// Open returns a reader of the archive.
func (s spooled) Open() (tree.Reader, error) {
	s.spool.mu.Lock()
	defer s.spool.mu.Unlock()
	if s.spool.file == nil {
		return nil, os.ErrClosed
	}
	return stays{io.NewSectionReader(s.spool.file, s.where.Offset, s.where.Length)}, nil
}

// Size returns the length of the archive in bytes.
func (s spooled) Size() int64 { return s.where.Length }

// stays is a reader of something that stays open.
type stays struct{ io.ReaderAt }

// Close does nothing.
func (stays) Close() error { return nil }
