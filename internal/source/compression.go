package source

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"sextant/internal/fault"
	"sextant/internal/format/xz"
)

// windowMax is how much memory a compressed stream may ask for, as much as
// "zstd -d" allows; xz asks for 64 MiB at its highest level.
const windowMax = 128 << 20

// compression is one way to compress, told by how its files begin.
type compression struct {
	name  string
	magic []byte
	mask  []byte // bits of magic that count; all if nil
	open  func(r *bufio.Reader) (io.ReadCloser, error)
}

func compressions() []compression {
	return []compression{
		{"gzip", []byte{0x1f, 0x8b}, nil, openGzip},
		{"xz", []byte(xz.Magic), nil, openXZ},
		{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd}, nil, openZstd},
		// zstd's skippable frames, with which pzstd begins (RFC 8878, 3.1.2).
		{"zstd", []byte{0x50, 0x2a, 0x4d, 0x18}, []byte{0xf0, 0xff, 0xff, 0xff}, openZstd},
		{"bzip2", []byte("BZh"), nil, openBzip2},
		{"lzip", []byte("LZIP"), nil, nil},
		{"lz4", []byte{0x04, 0x22, 0x4d, 0x18}, nil, nil},
		{"compress", []byte{0x1f, 0x9d}, nil, nil},
	}
}

func (c compression) matches(start []byte) bool {
	if len(start) < len(c.magic) {
		return false
	}
	start = bytes.Clone(start[:len(c.magic)])
	for i := range c.mask {
		start[i] &= c.mask[i]
	}
	return bytes.Equal(start, c.magic)
}

// decompress returns a reader of what is in r and how that is compressed; a
// file that is not is returned as it is, with no name.
func decompress(r io.Reader) (plain io.ReadCloser, name string, err error) {
	br := bufio.NewReaderSize(r, 256<<10)
	start, err := br.Peek(8)
	if err != nil && err != io.EOF {
		return nil, "", err
	}
	for _, c := range compressions() {
		if !c.matches(start) {
			continue
		}
		if c.open == nil {
			return nil, c.name, fmt.Errorf("compression %s: %w", c.name, fault.ErrUnsupported)
		}
		plain, err := c.open(br)
		if err != nil {
			return nil, c.name, badStream(c.name, err)
		}
		return checked{plain, c.name}, c.name, nil
	}
	return io.NopCloser(br), "", nil
}

// checked marks the decompressor's errors as what they are.
type checked struct {
	io.ReadCloser
	name string
}

// Read reads decompressed bytes.
func (c checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = badStream(c.name, err)
	}
	return n, err
}

// badStream returns err, as corruption unless the system refused to read or
// somebody said better.
func badStream(name string, err error) error {
	var system *fs.PathError
	if errors.As(err, &system) {
		return err
	}
	if errors.Is(err, fault.ErrUnsupported) || errors.Is(err, fault.ErrCorrupt) {
		return fmt.Errorf("%s: %w", name, err)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return fmt.Errorf("%s: %w: %w", name, err, fault.ErrUnsupported)
	}
	return fmt.Errorf("%s: %w: %w", name, err, fault.ErrCorrupt)
}

func openGzip(r *bufio.Reader) (io.ReadCloser, error) { return gzip.NewReader(r) }

func openBzip2(r *bufio.Reader) (io.ReadCloser, error) { return io.NopCloser(bzip2.NewReader(r)), nil }

func openZstd(r *bufio.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(windowMax), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

func openXZ(r *bufio.Reader) (io.ReadCloser, error) {
	d, err := xz.NewReader(r, xz.Options{Dictionary: windowMax})
	if err != nil {
		return nil, err
	}
	return io.NopCloser(d), nil
}

// Compression returns how the file at path is compressed: "gzip", "xz", "zstd",
// "bzip2", or "" if it is not.
func Compression(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	plain, name, err := decompress(f)
	if err != nil {
		return name, err
	}
	return name, plain.Close()
}
