// Package repart holds partition definitions.
package repart

import (
	"sextant/internal/dps"
	"sextant/internal/format/gpt"
)

// Verity is a value of Verity=.
type Verity string

// The values.
const (
	VerityOff       Verity = "off"
	VerityData      Verity = "data"
	VerityHash      Verity = "hash"
	VeritySignature Verity = "signature"
)

// Definition is provisional.
type Definition struct {
	Path                     string
	Type                     dps.Type
	Verity                   Verity
	VerityMatchKey           string
	VerityDataBlockSize      int
	VerityHashBlockSize      int
	CopyFiles                []CopyFiles
	ExcludeFiles             []string
	MakeDirectories          []string
	MakeSymlinks             []CopyFiles
	Label                    string
	UUID                     *gpt.GUID
	SizeMin, SizeMax         int64
	PaddingMin, PaddingMax   int64
	ReadOnly, NoAuto, GrowFS *bool
	Flags                    *uint64
	SplitName                string
}

// CopyFiles is one.
type CopyFiles struct{ Source, Target string }
