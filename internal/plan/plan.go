// Package plan decides everything about an image before a byte of it is
// written: every name, id, salt, time, order, size and offset. Only the root
// hash, and the partition UUIDs that are made of it, wait for the bytes.
//
//	configuration ─┐
//	definitions ───┼─> New ──> Plan ──> build carries it out
//	file tree ─────┘
//
// It is pure: it reads no file content and writes nothing. What it plans is
// described in systemd's repart.d(5), the Discoverable Partitions Specification
// and docs/config.md.
package plan

import (
	"time"

	"sextant/internal/extension"
	"sextant/internal/format/erofs"
	"sextant/internal/format/gpt"
	"sextant/internal/format/verity"
	"sextant/internal/ids"
	"sextant/internal/repart"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// Start is the offset of the first partition in bytes, whatever the sector
// size: what all partitioning tools agree on today.
const Start = 1 << 20

// Grain is what partitions are aligned to, in bytes.
const Grain = 4096

// Plan is an image that is not written yet.
type Plan struct {
	Extension  extension.Identity
	Seed       ids.Seed
	Time       time.Time // no file is younger
	SectorSize int       // bytes
	DiskGUID   gpt.GUID
	Size       int64 // bytes
	Partitions []Partition
	Summary    Summary

	// LeftOut are the paths of the files that are in the tree and that no
	// definition copies or excludes.
	LeftOut []string
}

// Partition is one partition of the plan. Exactly one of Data, Hash and
// Signature is set.
type Partition struct {
	Definition repart.Definition
	Label      string
	Span       span.Span // bytes in the image

	// UUID is what the table carries, unless RootHashUUID says that it is
	// replaced by a half of the root hash.
	UUID         gpt.GUID
	RootHashUUID bool

	Data      *Data
	Hash      *Hash
	Signature *Signature

	// Deferred says that the space is kept, but no entry is written: the
	// signature is added later.
	Deferred bool
}

// Data is the content of a data partition.
type Data struct {
	Tree   *tree.Tree
	Layout *erofs.Layout
	UUID   gpt.GUID // of the file system
}

// Hash is the content of a hash partition.
type Hash struct {
	Of     int // index of the data partition
	Params verity.Params
}

// Signature is the content of a signature partition.
type Signature struct {
	Of int // index of the hash partition
}

// Find returns the index of the first partition that suits accepts, or -1.
func (p *Plan) Find(accepts func(Partition) bool) int {
	for i, part := range p.Partitions {
		if accepts(part) {
			return i
		}
	}
	return -1
}
