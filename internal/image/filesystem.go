package image

import (
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"

	"sextant/internal/fault"
	"sextant/internal/format/erofs"
	"sextant/internal/tree"
)

// FileSystem is a file system that can be read.
type FileSystem interface {
	fs.FS
	Tree() (*tree.Tree, error)
}

// Kind names a file system: "erofs", "squashfs", "ext4", "btrfs", "xfs".
type Kind string

// magic is the bytes that tell the file systems apart.
type magic struct {
	kind   Kind
	offset int64
	bytes  string
}

func magics() []magic {
	return []magic{
		{"erofs", erofs.SuperBlockOffset, string(binary.LittleEndian.AppendUint32(nil, erofs.Magic))},
		{"squashfs", 0, "hsqs"},
		{"ext4", 1024 + 0x38, "\x53\xef"},
		{"btrfs", 0x10040, "_BHRfS_M"},
		{"xfs", 0, "XFSB"},
	}
}

// fileSystemKind looks for the magic of a file system.
func fileSystemKind(r io.ReaderAt, size int64) (Kind, error) {
	for _, m := range magics() {
		buf := make([]byte, len(m.bytes))
		if m.offset+int64(len(buf)) > size {
			continue
		}
		if _, err := r.ReadAt(buf, m.offset); err != nil && err != io.EOF {
			return "", err
		}
		if string(buf) == m.bytes {
			return m.kind, nil
		}
	}
	return "", fmt.Errorf("no file system that is known: %w", fault.ErrCorrupt)
}

// FileSystem opens the file system of a partition.
func (m *Image) FileSystem(p *Part) (FileSystem, Kind, error) {
	kind, err := fileSystemKind(m.Section(p), p.Span.Length)
	if err != nil {
		return nil, "", err
	}
	switch kind {
	case "erofs":
		f, err := erofs.Open(m.Section(p), p.Span.Length)
		if err != nil {
			return nil, kind, err
		}
		return f, kind, nil
	}
	return nil, kind, fmt.Errorf("file system %s: %w", kind, fault.ErrUnsupported)
}
