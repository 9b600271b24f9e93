package repart

import (
	"math"
	"strings"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/ini"
)

// Definition describes one partition.
type Definition struct {
	Name string       // file name without ".conf": "10-root"
	At   ini.Position // the file

	Type  dps.Type
	Label string // valid if HasLabel; may be empty. Else the name of the type, made unique
	UUID  gpt.GUID

	HasLabel bool
	HasUUID  bool // UUID is given, if only as zero; else it is derived

	Format       string // "erofs", or empty for hash trees and signatures
	Copies       []Copy
	ExcludeFiles []string // absolute paths in the tree; with a slash at the end, what is in the directory
	MakeDirs     []string // absolute paths in the partition
	MakeSymlinks []Symlink

	Minimize   Minimize
	SizeMin    uint64 // bytes, a multiple of 4096; Unset if not given
	SizeMax    uint64
	PaddingMin uint64
	PaddingMax uint64
	Weight     uint32

	Verity              Verity
	VerityMatchKey      string
	VerityDataBlockSize int // bytes; 0 if not given; hash trees only
	VerityHashBlockSize int

	// Attributes are the GPT attribute bits: Flags= with the bits of
	// ReadOnly=, NoAuto= and GrowFileSystem= or their defaults.
	Attributes gpt.Attributes

	// SplitName is what the file that SplitArtifacts=partitions writes adds
	// to the name of the image, with specifiers; empty if there is none.
	SplitName string
}

// Unset is a size that was not given.
const Unset = math.MaxUint64

// Copy is a value of CopyFiles=: what is at Source in the tree goes to Target
// in the partition. Both are absolute and without a slash at the end.
type Copy struct {
	Source, Target string
}

// Symlink is a value of MakeSymlinks=.
type Symlink struct {
	Path   string // absolute, in the partition
	Target string // as written
}

// Minimize is a value of Minimize=.
type Minimize string

// The values of Minimize=. Booleans stand for best and off.
const (
	MinimizeOff   Minimize = "off"
	MinimizeBest  Minimize = "best"
	MinimizeGuess Minimize = "guess"
)

// Verity is the part that a partition has in dm-verity.
type Verity string

// The values of Verity=.
const (
	VerityOff       Verity = "off"
	VerityData      Verity = "data"
	VerityHash      Verity = "hash"
	VeritySignature Verity = "signature"
)

// Sibling returns the partition of list that has the part v in the same
// dm-verity set as d, or nil.
func (d *Definition) Sibling(list []Definition, v Verity) *Definition {
	for i := range list {
		if q := &list[i]; q.Verity == v && v != VerityOff && q.VerityMatchKey == d.VerityMatchKey {
			return q
		}
	}
	return nil
}

// SplitSuffix expands SplitName for the partition with the given number, which
// counts from 0, and UUID.
func (d *Definition) SplitSuffix(number int, uuid gpt.GUID) (string, error) {
	return expandSplitName(d.SplitName, d.Type, number, uuid)
}

// hexadecimal returns a GUID without hyphens, as systemd prints ids.
func hexadecimal(g gpt.GUID) string { return strings.ReplaceAll(g.String(), "-", "") }
