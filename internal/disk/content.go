package disk

import (
	"errors"
	"io"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/format/mbr"
	"sextant/internal/pages"
	"sextant/internal/probe"
)

// Kind is what sort of thing lies on a disk.
type Kind string

// The kinds of content.
const (
	Unknown    Kind = ""
	Table      Kind = "partition table" // Name is gpt or mbr
	FileSystem Kind = "file system"     // Name is blkid's; a root directory: directory
	Layer      Kind = "layer"           // something to be opened first: LUKS, LVM, RAID ...; Name is blkid's
	Archive    Kind = "archive"         // Name is tar, or gzip, zstd, xz, bzip2 of what is probably one
)

// Content is what lies on a disk.
type Content struct {
	Kind Kind
	Name string
}

// signature is how an archive is told: bytes at a place.
type signature struct {
	name   string
	offset int
	magic  string
}

func archives() []signature {
	return []signature{
		{"tar", 257, "ustar"},
		{"gzip", 0, "\x1f\x8b\x08"},
		{"zstd", 0, "\x28\xb5\x2f\xfd"},
		{"xz", 0, "\xfd7zXZ\x00"},
		{"bzip2", 0, "BZh"},
	}
}

// Recognise tells what lies on a disk of size bytes. A partition table that is
// damaged counts as one.
func Recognise(r io.ReaderAt, size int64) (Content, error) {
	_, _, err := gpt.Read(r, size)
	switch {
	case err == nil || isFormat(err) && !errors.Is(err, gpt.ErrNoTable):
		return Content{Table, "gpt"}, nil
	case !isFormat(err):
		return Content{}, err
	}
	switch _, err := mbr.Read(r, size, 512); {
	case err == nil || isFormat(err):
		return Content{Table, "mbr"}, nil
	case !errors.Is(err, mbr.ErrNoTable):
		return Content{}, err
	}
	found, err := probe.Probe(r, size)
	switch {
	case err != nil:
		return Content{}, err
	case found.Kind.Reason() != "":
		return Content{Layer, string(found.Kind)}, nil
	case found.Kind != "":
		return Content{FileSystem, string(found.Kind)}, nil
	}
	return archive(r, size)
}

func archive(r io.ReaderAt, size int64) (Content, error) {
	start := make([]byte, min(size, 512))
	if _, err := pages.ReadFull(r, start, 0); err != nil {
		return Content{}, err
	}
	for _, a := range archives() {
		if a.offset <= len(start) && strings.HasPrefix(string(start[a.offset:]), a.magic) {
			return Content{Archive, a.name}, nil
		}
	}
	return Content{}, nil
}

// isFormat reports whether an error is about the bytes and not about reading
// them.
func isFormat(err error) bool {
	return errors.Is(err, fault.ErrCorrupt) || errors.Is(err, fault.ErrUnsupported)
}
