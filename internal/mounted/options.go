package mounted

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"sextant/internal/fault"
	"sextant/internal/span"
)

// Options say how a file system is mounted and changed.
type Options struct {
	// Time is the modification time of directories whose entries change. If it
	// is zero they keep theirs.
	Time time.Time

	// ReadOnly mounts it for reading: every change is an error.
	ReadOnly bool

	// Subvolume is the path of a subvolume of a btrfs, the default one if empty.
	Subvolume string

	// SectorSize is that of the disk in bytes, 512 if 0.
	SectorSize int
}

// Kinds lists the file systems that Edit takes, as the kernel calls them.
func Kinds() []string { return []string{"xfs", "btrfs"} }

// Storage is a file with a file system in it, and where.
type Storage struct {
	File *os.File
	Span span.Span
}

func needsRoot(kind string) error {
	return fmt.Errorf("file system %s is changed through the kernel alone, which takes root on Linux: %w", kind, fault.ErrUnsupported)
}

// readOnly is what a change of a file system that is mounted for reading is.
func readOnly() error { return fmt.Errorf("is mounted for reading: %w", fs.ErrPermission) }
