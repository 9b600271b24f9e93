package plan

import (
	"fmt"
	"math"
	"time"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/format/gpt"
	"sextant/internal/format/verity"
	"sextant/internal/ids"
	"sextant/internal/repart"
	"sextant/internal/signature"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// Options are what a plan needs besides the definitions and the tree.
type Options struct {
	Extension  extension.Identity
	Seed       ids.Seed
	Time       time.Time // of what has no time of its own
	SectorSize int       // 512, 1024, 2048 or 4096
	Verity     Mode
}

// Mode says which of the defined partitions an image gets.
type Mode int

// The modes. Definitions without Verity= are the same in all of them.
const (
	Signed      Mode = iota // all
	Deferred                // signature partitions have their space, but no entry
	Unsigned                // no signature partitions
	Unprotected             // neither signature nor hash partitions
)

// New plans the image that the definitions ask for, filled from t. Of a
// definition without its files nothing is left but an empty file system.
func New(t *tree.Tree, definitions []repart.Definition, opts Options) (*Plan, error) {
	p := &Plan{
		Extension: opts.Extension, Seed: opts.Seed, Time: opts.Time,
		SectorSize: opts.SectorSize, DiskGUID: opts.Seed.Disk(),
		Summary: summarize(t),
	}
	definitions = wanted(definitions, opts.Verity)
	for i, d := range definitions {
		part, err := p.partition(t, definitions, i, opts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.At, err)
		}
		p.Partitions = append(p.Partitions, part)
	}
	if err := p.checkRelease(); err != nil {
		return nil, err
	}
	p.LeftOut = p.leftOut(t)
	if err := p.resolveTrees(); err != nil {
		return nil, err
	}
	return p, p.place()
}

// wanted drops the partitions that the mode has no use for.
func wanted(all []repart.Definition, mode Mode) []repart.Definition {
	var list []repart.Definition
	for _, d := range all {
		switch {
		case d.Verity == repart.VeritySignature && mode >= Unsigned:
			continue
		case d.Verity == repart.VerityHash && mode == Unprotected:
			continue
		case mode == Unprotected:
			d.Verity = repart.VerityOff
		}
		list = append(list, d)
	}
	return list
}

// partition plans what one definition says by itself.
func (p *Plan) partition(t *tree.Tree, all []repart.Definition, i int, opts Options) (Partition, error) {
	d := all[i]
	derived := opts.Seed.Partition(d.Type.UUID, sameType(all[:i], d.Type))
	if d.HasUUID {
		derived = d.UUID
	}
	part := Partition{
		Definition: d, Label: p.label(d), UUID: derived,
		RootHashUUID: !d.HasUUID && (d.Verity == repart.VerityData || d.Verity == repart.VerityHash),
	}
	switch d.Verity {
	case repart.VerityHash:
		part.Hash = &Hash{Of: match(all, d, repart.VerityData)}
	case repart.VeritySignature:
		part.Signature = &Signature{Of: match(all, d, repart.VerityHash)}
		part.Deferred = opts.Verity == Deferred
	default:
		data, err := contents(t, d, ids.FileSystem(derived), opts.Time)
		if err != nil {
			return Partition{}, err
		}
		part.Data = data
	}
	return part, nil
}

func sameType(before []repart.Definition, t dps.Type) (n uint64) {
	for _, d := range before {
		if d.Type.UUID == t.UUID {
			n++
		}
	}
	return n
}

// match returns the index of the definition in the same verity group that has
// the given part in it. The definitions were checked, so there is one.
func match(all []repart.Definition, d repart.Definition, part repart.Verity) int {
	for i, other := range all {
		if other.Verity == part && other.VerityMatchKey == d.VerityMatchKey {
			return i
		}
	}
	panic("internal error: verity group without " + string(part))
}

// label returns the configured label, or the type's name with a number behind
// it where that is taken (repart.c, partition_acquire_label).
func (p *Plan) label(d repart.Definition) string {
	if d.HasLabel {
		return d.Label
	}
	label := d.Type.Name
	for n := 2; p.labelTaken(label); n++ {
		label = fmt.Sprintf("%s-%d", d.Type.Name, n)
	}
	return label
}

func (p *Plan) labelTaken(label string) bool {
	return p.Find(func(part Partition) bool { return part.Label == label }) >= 0
}

// resolveTrees fixes the parameters of the hash trees, now that the sizes of
// the file systems are known.
func (p *Plan) resolveTrees() error {
	for i := range p.Partitions {
		part := &p.Partitions[i]
		if part.Hash == nil {
			continue
		}
		d := part.Definition
		data := p.Partitions[part.Hash.Of].Data
		params := verity.Default(data.Layout.Size())
		if d.VerityDataBlockSize != 0 {
			params.DataBlockSize = d.VerityDataBlockSize
		}
		if d.VerityHashBlockSize != 0 {
			params.HashBlockSize = d.VerityHashBlockSize
		}
		params.DataBlocks = span.AlignUp(data.Layout.Size(), int64(params.DataBlockSize)) / int64(params.DataBlockSize)
		params.Salt = p.Seed.VeritySalt()
		params.UUID = p.Seed.VerityUUID()
		if _, err := params.Geometry(); err != nil {
			return fmt.Errorf("%s: %w", part.Definition.At, err)
		}
		part.Hash.Params = params
	}
	return nil
}

// maxSize keeps sums of offsets and sizes far from overflow.
const maxSize = math.MaxInt64 / 4

// place gives every partition its bytes, one behind the other, and the image
// its size.
func (p *Plan) place() error {
	at := int64(Start)
	for i := range p.Partitions {
		part := &p.Partitions[i]
		size, err := p.partitionSize(part)
		if err == nil {
			at, err = part.put(at, size)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part.Definition.At, err)
		}
	}
	p.Size = span.AlignUp(gpt.SizeFor(at, p.SectorSize), Grain)
	return nil
}

// put places the partition and returns where the next one can begin.
func (part *Partition) put(at, size int64) (next int64, err error) {
	padding := atLeast(part.Definition.PaddingMin)
	if padding > maxSize || size > maxSize-padding || at > maxSize-padding-size {
		return 0, fmt.Errorf("the image would be larger than %d bytes", int64(maxSize))
	}
	part.Span = span.Span{Offset: at, Length: size}
	return span.AlignUp(at+size+padding, Grain), nil
}

// atLeast turns a size of a definition into bytes, none if it was not given.
func atLeast(size uint64) int64 {
	if size == repart.Unset {
		return 0
	}
	return int64(min(size, math.MaxInt64))
}

// partitionSize returns the size that the content needs, or the larger one
// that the definition asks for.
func (p *Plan) partitionSize(part *Partition) (int64, error) {
	need, err := p.ContentSize(part)
	if err != nil {
		return 0, err
	}
	need = span.AlignUp(need, Grain)
	d := part.Definition
	if d.SizeMax != repart.Unset && uint64(need) > d.SizeMax {
		return 0, fmt.Errorf("the content has %d bytes, more than SizeMaxBytes=%d", need, d.SizeMax)
	}
	return max(need, atLeast(d.SizeMin)), nil
}

// ContentSize returns how many bytes of the partition are used.
func (p *Plan) ContentSize(part *Partition) (int64, error) {
	switch {
	case part.Hash != nil:
		g, err := part.Hash.Params.Geometry()
		return g.Size, err
	case part.Signature != nil:
		return signature.PartitionSize, nil
	}
	return p.dataSize(part), nil
}

// dataSize is the size of the file system, rounded up to the data blocks of
// its hash tree.
func (p *Plan) dataSize(part *Partition) int64 {
	for _, other := range p.Partitions {
		if other.Hash != nil && &p.Partitions[other.Hash.Of] == part {
			return other.Hash.Params.DataSize()
		}
	}
	return part.Data.Layout.Size()
}
