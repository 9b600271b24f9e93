// Package cpio lists what is in an initramfs, as the kernel unpacks it.
//
//	archive ─ archive ─ ... ─ compressed(archive ─ ...)
//
// An initramfs is any number of archives behind each other, each plain or
// compressed, with zeros between. An archive is a header of 110 hexadecimal
// digits, a name and a content for each file, both padded to four bytes
// (Documentation/driver-api/early-userspace/buffer-format.rst), and ends with a
// file called TRAILER!!!.
//
// Left out: contents, attributes and hard links; the old formats that the kernel
// does not take either; lzo.
package cpio

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"

	"sextant/internal/fault"
	"sextant/internal/format/lz4"
	"sextant/internal/format/xz"
)

const (
	headerSize = 110
	maxName    = 4096 // PATH_MAX
	maxDepth   = 4    // of compression inside compression

	magicPlain = "070701"
	magicSum   = "070702"
	trailer    = "TRAILER!!!"

	// The last header begins with the name of the end, so a name is at least
	// two bytes with its NUL.
	nameSizeAt = 94
	sizeAt     = 54

	// window bounds what a zstd, xz or lzma decoder keeps.
	window = 128 << 20
)

// Names calls see for the name of every file, in the order of the archives. An
// error of see ends it and is returned. What breaks the format wraps
// fault.ErrCorrupt, a compression that is not known fault.ErrUnsupported.
func Names(r io.Reader, see func(name string) error) error {
	return segments(bufio.NewReaderSize(r, 1<<16), see, maxDepth)
}

// segments reads archives up to the end.
func segments(r *bufio.Reader, see func(string) error, depth int) error {
	if depth == 0 {
		return fmt.Errorf("archives are compressed more than %d times: %w", maxDepth, fault.ErrUnsupported)
	}
	for {
		start, err := skipZeros(r)
		if len(start) == 0 || err != nil {
			return err
		}
		if hasAny(start, magicPlain, magicSum) {
			if err := archive(r, see); err != nil {
				return err
			}
			continue
		}
		inner, err := decompress(r, start)
		if err != nil {
			return err
		}
		if err := segments(bufio.NewReaderSize(inner, 1<<16), see, depth-1); err != nil {
			return err
		}
	}
}

// skipZeros passes over padding and returns the first bytes of what follows,
// none at the end.
func skipZeros(r *bufio.Reader) ([]byte, error) {
	for {
		b, err := r.Peek(1)
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		case b[0] == 0:
			r.Discard(1)
			continue
		}
		start, err := r.Peek(6)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return start, err
	}
}

func hasAny(start []byte, magics ...string) bool {
	for _, m := range magics {
		if bytes.HasPrefix(start, []byte(m)) {
			return true
		}
	}
	return false
}

// decompress returns what the compressed bytes stand for. The readers may take
// more than their own part, as nothing follows a compressed one in practice;
// gzip, xz and lz4 are exact.
func decompress(r *bufio.Reader, start []byte) (io.Reader, error) {
	switch {
	case hasAny(start, "\x1f\x8b"):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, corrupt(err)
		}
		z.Multistream(false)
		return z, nil
	case hasAny(start, "\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window))
		if err != nil {
			return nil, corrupt(err)
		}
		return z, nil
	case hasAny(start, xz.Magic):
		z, err := xz.NewReader(r, xz.Options{Dictionary: window, OneStream: true})
		if err != nil {
			return nil, fmt.Errorf("xz: %w", err)
		}
		return xzReader{z}, nil
	case hasAny(start, "\x5d\x00\x00"):
		z, err := lzma.ReaderConfig{DictCap: window}.NewReader(r)
		if large := (*lzma.ErrDictSize)(nil); errors.As(err, &large) {
			return nil, fmt.Errorf("%w: %w", err, fault.ErrUnsupported)
		}
		return z, corrupt(err)
	case hasAny(start, "\x02\x21\x4c\x18"):
		return lz4.NewReader(r), nil
	case hasAny(start, "\x04\x22\x4d\x18"):
		return nil, fault.Unsupported("part of an initramfs is an LZ4 frame, of which Linux takes the legacy kind alone, that of lz4 -l")
	case hasAny(start, "BZh"):
		return bzip2.NewReader(r), nil
	}
	return nil, fmt.Errorf("part of an initramfs begins with %x, which is no archive and no compression that is known: %w", start, fault.ErrUnsupported)
}

// xzReader adds to errors what they are about.
type xzReader struct{ *xz.Reader }

// Read reads what was compressed.
func (x xzReader) Read(p []byte) (int, error) {
	n, err := x.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("xz: %w", err)
	}
	return n, err
}

func corrupt(err error) error {
	if err == nil || errors.Is(err, fault.ErrCorrupt) || errors.Is(err, fault.ErrUnsupported) {
		return err
	}
	return fmt.Errorf("%w: %w", err, fault.ErrCorrupt)
}

// archive reads the files of one archive.
func archive(r *bufio.Reader, see func(string) error) error {
	header := make([]byte, headerSize)
	for {
		if _, err := io.ReadFull(r, header); err != nil {
			return corrupt(fmt.Errorf("header of a file: %w", err))
		}
		if !hasAny(header, magicPlain, magicSum) {
			return fmt.Errorf("header of a file begins with %q: %w", header[:6], fault.ErrCorrupt)
		}
		size, err := number(header[sizeAt:])
		if err != nil {
			return err
		}
		length, err := number(header[nameSizeAt:])
		if err != nil {
			return err
		}
		if length < 1 || length > maxName {
			return fmt.Errorf("name of %d bytes: %w", length, fault.ErrCorrupt)
		}
		name := make([]byte, length)
		if _, err := io.ReadFull(r, name); err != nil {
			return corrupt(err)
		}
		text := string(bytes.TrimRight(name, "\x00"))
		rest := padding(headerSize+length) + size + padding(size)
		if n, err := io.CopyN(io.Discard, r, rest); err != nil && !(text == trailer && errors.Is(err, io.EOF)) {
			return corrupt(fmt.Errorf("%q has %d of %d bytes: %w", text, n, rest, err))
		}
		if text == trailer {
			return nil
		}
		if err := see(text); err != nil {
			return err
		}
	}
}

// number reads eight hexadecimal digits.
func number(field []byte) (int64, error) {
	n, err := strconv.ParseUint(string(field[:8]), 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no number: %w", field[:8], fault.ErrCorrupt)
	}
	return int64(n), nil
}

// padding returns what is missing to the next multiple of four.
func padding(n int64) int64 { return -n & 3 }
