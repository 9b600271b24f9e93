package plan

import (
	"fmt"
	"math"
	"time"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/format/erofs"
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
	Signed   Mode = iota // all
	Deferred             // signature partitions have their space, but no entry
	Unsigned             // no signature partitions
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
			return nil, fmt.Errorf("%s: %w", d.Path, err)
		}
		p.Partitions = append(p.Partitions, part)
	}
	if err := p.resolveTrees(definitions); err != nil {
		return nil, err
	}
	return p, p.place(definitions)
}

// wanted drops the signature partitions where none are asked for.
func wanted(all []repart.Definition, mode Mode) []repart.Definition {
	var list []repart.Definition
	for _, d := range all {
		if d.Verity != repart.VeritySignature || mode != Unsigned {
			list = append(list, d)
		}
	}
	return list
}

// partition plans what one definition says by itself.
func (p *Plan) partition(t *tree.Tree, all []repart.Definition, i int, opts Options) (Partition, error) {
	d := all[i]
	derived := opts.Seed.Partition(d.Type.UUID, sameType(all[:i], d.Type))
	if d.UUID != nil {
		derived = *d.UUID
	}
	part := Partition{
		Definition: d.Path, Type: d.Type, SplitName: d.SplitName,
		Label: p.label(d), Attributes: attributes(d), UUID: derived,
		RootHashUUID: d.UUID == nil && (d.Verity == repart.VerityData || d.Verity == repart.VerityHash),
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
	if d.Label != "" {
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

// attributes returns the bits of the entry: what takes part in verity is
// read-only, all else can grow, unless the definition says otherwise
// (repart.c, partition_read_definition).
func attributes(d repart.Definition) gpt.Attributes {
	var bits gpt.Attributes
	if d.Flags != nil {
		bits = gpt.Attributes(*d.Flags)
	}
	readOnly := choose(d.ReadOnly, d.Verity != repart.VerityOff)
	known := d.Type.Attributes()
	for _, a := range []struct {
		bit gpt.Attributes
		set bool
	}{
		{gpt.ReadOnly, readOnly},
		{gpt.NoAuto, choose(d.NoAuto, false)},
		{gpt.GrowFS, choose(d.GrowFS, !readOnly)},
	} {
		if a.set {
			bits |= a.bit & known
		}
	}
	return bits
}

func choose(configured *bool, otherwise bool) bool {
	if configured != nil {
		return *configured
	}
	return otherwise
}

// resolveTrees fixes the parameters of the hash trees, now that the sizes of
// the file systems are known.
func (p *Plan) resolveTrees(definitions []repart.Definition) error {
	for i := range p.Partitions {
		part := &p.Partitions[i]
		if part.Hash == nil {
			continue
		}
		d := definitions[i]
		data := p.Partitions[part.Hash.Of].Data
		params := verity.Default(data.Layout.Size())
		params.DataBlockSize = block(definitions[part.Hash.Of].VerityDataBlockSize, d.VerityDataBlockSize)
		params.HashBlockSize = block(d.VerityHashBlockSize, definitions[part.Hash.Of].VerityHashBlockSize)
		params.DataBlocks = span.AlignUp(data.Layout.Size(), int64(params.DataBlockSize)) / int64(params.DataBlockSize)
		params.Salt = p.Seed.VeritySalt()
		params.UUID = p.Seed.VerityUUID()
		if _, err := params.Geometry(); err != nil {
			return fmt.Errorf("%s: %w", part.Definition, err)
		}
		part.Hash.Params = params
	}
	return nil
}

// block returns the first block size that is set, else 4096 bytes.
func block(sizes ...int) int {
	for _, s := range sizes {
		if s != 0 {
			return s
		}
	}
	return erofs.DefaultBlockSize
}

// place gives every partition its bytes, one behind the other, and the image
// its size.
func (p *Plan) place(definitions []repart.Definition) error {
	at := int64(Start)
	for i := range p.Partitions {
		part, d := &p.Partitions[i], definitions[i]
		size, err := p.partitionSize(part, d)
		if err != nil {
			return fmt.Errorf("%s: %w", part.Definition, err)
		}
		if size > math.MaxInt64/4-at || d.PaddingMin > math.MaxInt64/4-at {
			return fmt.Errorf("%s: the image would have more than %d bytes", part.Definition, int64(math.MaxInt64/4))
		}
		part.Span = span.Span{Offset: at, Length: size}
		at = span.AlignUp(part.Span.End()+d.PaddingMin, Grain)
	}
	p.Size = span.AlignUp(gpt.SizeFor(at, p.SectorSize), Grain)
	return nil
}

// partitionSize returns the size that the content needs, or the larger one
// that the definition asks for.
func (p *Plan) partitionSize(part *Partition, d repart.Definition) (int64, error) {
	need, err := p.ContentSize(part)
	if err != nil {
		return 0, err
	}
	need = span.AlignUp(need, Grain)
	if most := d.SizeMax / Grain * Grain; d.SizeMax > 0 && need > most {
		return 0, fmt.Errorf("content of %d bytes is larger than SizeMaxBytes=%d", need, d.SizeMax)
	}
	return max(need, span.AlignUp(d.SizeMin, Grain)), nil
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
