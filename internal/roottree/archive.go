package roottree

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sextant/internal/atomic"
	"sextant/internal/fault"
	"sextant/internal/format/tar"
	"sextant/internal/format/xz"
)

// writable returns an error for a compression that there is no writer of.
func writable(compression string) error {
	switch compression {
	case "", "gzip", "zstd", "xz":
		return nil
	}
	return fmt.Errorf("an archive compressed with %s is read but not written: %w", compression, fault.ErrUnsupported)
}

// compress returns what compresses into w. The same bytes in give the same
// bytes out: there is no time in a header, and no thread chooses a border.
func compress(w io.Writer, compression string) (io.WriteCloser, error) {
	switch compression {
	case "gzip":
		return gzip.NewWriter(w), nil
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	case "xz":
		return xz.NewWriter(w)
	}
	return nopCloser{w}, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// writeArchive writes the tree to a tar archive that appears when it is
// complete.
func (e *Editor) writeArchive(ctx context.Context, path string) error {
	f, err := atomic.Create(path, e.base.perm)
	if err != nil {
		return err
	}
	defer f.Discard()
	buffered := bufio.NewWriterSize(f, 1<<20)
	w, err := compress(buffered, e.base.Compression)
	if err != nil {
		return err
	}
	leftOut, err := tar.Write(ctx, w, e.tree)
	if err = errors.Join(err, w.Close(), buffered.Flush()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if len(leftOut) > 0 {
		e.notices = append(e.notices, fmt.Sprintf("%d sockets are left out, a tar cannot hold them: the first is %s", len(leftOut), leftOut[0]))
	}
	return f.Commit()
}
