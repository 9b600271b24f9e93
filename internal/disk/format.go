package disk

import (
	"fmt"
	"slices"
	"strings"

	"sextant/internal/fault"
)

// Format is what contains a disk.
type Format string

// The formats, by Image Customizer's names.
const (
	Raw      Format = "raw"
	QCOW2    Format = "qcow2"
	VHD      Format = "vhd" // dynamic
	VHDFixed Format = "vhd-fixed"
	VHDX     Format = "vhdx"

	// Directory is a directory that stands for a root file system. It can be
	// opened, not made.
	Directory Format = "directory"
)

// Formats returns the formats that can be made.
func Formats() []Format { return []Format{Raw, QCOW2, VHD, VHDFixed, VHDX} }

// ParseFormat returns the format of a name. The names of Image Customizer's
// formats that are not made wrap fault.ErrUnsupported.
func ParseFormat(name string) (Format, error) {
	if slices.Contains(Formats(), Format(name)) {
		return Format(name), nil
	}
	var names []string
	for _, f := range Formats() {
		names = append(names, string(f))
	}
	list := strings.Join(names, ", ")
	switch name {
	case "iso", "pxe-dir", "pxe-tar", "cosi", "baremetal-image":
		return "", fmt.Errorf("sextant does not make %s images; it makes %s: %w", name, list, fault.ErrUnsupported)
	}
	return "", fmt.Errorf("image format %q is none of %s", name, list)
}
