package disk

import (
	"bytes"
	"fmt"
	"io"

	"sextant/internal/fault"
)

// foreign are the formats of other virtual machines that begin with a magic
// value. Their first blocks often hold the disk's own first sectors, so that
// they look like damaged raw disks.
func foreign() []struct {
	name  string
	magic string
	at    int64
} {
	return []struct {
		name  string
		magic string
		at    int64
	}{
		{"VMDK", "KDMV", 0},
		{"VMDK", "COWD", 0},
		{"VMDK (its descriptor)", "# Disk DescriptorFile", 0},
		{"VDI", "\x7f\x10\xda\xbe", 64},
		{"Parallels", "WithoutFreeSpace", 0},
		{"Parallels", "WithouFreSpacExt", 0},
		{"QED", "QED\x00", 0},
	}
}

// refuseForeign returns an error that names the format of a file that is none of
// ours and no raw disk either.
func refuseForeign(r io.ReaderAt) error {
	start := make([]byte, 128)
	n, err := r.ReadAt(start, 0)
	if err != nil && err != io.EOF {
		return err
	}
	for _, f := range foreign() {
		if n > int(f.at) && bytes.HasPrefix(start[f.at:n], []byte(f.magic)) {
			return fmt.Errorf("%s is no format that sextant reads; qemu-img convert -O raw gives one: %w", f.name, fault.ErrUnsupported)
		}
	}
	return nil
}
