package image

import (
	"fmt"

	"sextant/internal/format/verity"
	"sextant/internal/span"
	"sextant/internal/verdict"
)

// page is the size of a page on most machines, and the largest data block that
// Linux takes there.
const page = 4096

// hashTree checks every block of hash tree and data. It returns how many bytes
// of the volume the file system has.
func (v *verifier) hashTree(vol Volume, g *guard) (size int64, err error) {
	all := vol.Data.Span.Length
	if g == nil {
		return all, nil
	}
	params, err := verity.ReadSuperblock(g.hash, g.hash.Size())
	if err != nil {
		return all, v.orFinding(verdict.TreeSuperblock, g.place, err)
	}
	v.blockSizes(params, g)
	if params.DataSize() > all {
		v.add(verdict.TreeSize, g.place, "the tree covers %d bytes, %s has %d", params.DataSize(), vol.Data.Name(), all)
		return all, nil
	}
	found, err := verity.Verify(v.ctx, v.m.Section(vol.Data), g.hash, params, g.root)
	if err != nil {
		return all, v.orFinding(verdict.TreeSuperblock, g.place, err)
	}
	v.found.RootHash = g.root
	v.blocks(found, params, g)
	return params.DataSize(), v.treeTail(params, g)
}

// blockSizes checks what Linux takes.
func (v *verifier) blockSizes(params verity.Params, g *guard) {
	sector := defaultSector
	if v.m.Table != nil {
		sector = v.m.Table.SectorSize
	}
	if n := params.DataBlockSize; n > page || n < sector {
		v.add(verdict.TreeBlockSize, g.place, "data blocks of %d bytes, Linux takes %d to %d here", n, sector, page)
	}
	if n := params.HashBlockSize; n < sector {
		v.add(verdict.TreeBlockSize, g.place, "hash blocks of %d bytes, Linux takes no less than %d here", n, sector)
	}
}

// blocks reports what the check of the tree found.
func (v *verifier) blocks(found *verity.Report, params verity.Params, g *guard) {
	if !found.RootMatches {
		v.add(verdict.TreeRoot, g.place, "root hash %s does not match", hexText(g.root))
		return
	}
	listed := make(map[verity.Kind]int64)
	for _, f := range found.Findings {
		if listed[f.Kind]++; listed[f.Kind] <= maxFlaws {
			v.add(blockRule(f.Kind), g.place, "%s", blockText(f))
		}
	}
	for _, k := range []struct {
		kind  verity.Kind
		count int64
	}{{verity.BadHash, found.BadHash}, {verity.BadData, found.BadData}, {verity.BadPadding, found.BadPadding}} {
		if k.count > maxFlaws {
			v.add(blockRule(k.kind), g.place, "%d more of kind %s", k.count-maxFlaws, k.kind)
		}
	}
	if found.UncheckedData > 0 {
		v.add(verdict.TreeBlock, g.place, "%d data blocks could not be judged, as hash blocks above them do not match", found.UncheckedData)
	}
	if found.Err() == nil {
		v.found.Good("hash tree", "%d data blocks of %d bytes, root hash %s", params.DataBlocks, params.DataBlockSize, hexText(g.root))
	}
}

func blockRule(k verity.Kind) verdict.Rule {
	if k == verity.BadPadding || k == verity.BadSuperblock {
		return verdict.TreePadding // the kernel does not look
	}
	return verdict.TreeBlock
}

func blockText(f verity.Finding) string {
	switch f.Kind {
	case verity.BadSuperblock:
		return "reserved bytes of the superblock are not zero"
	case verity.BadPadding:
		return fmt.Sprintf("%s is not zero", f)
	}
	return fmt.Sprintf("%s does not match", f)
}

// treeTail looks at what is behind the tree.
func (v *verifier) treeTail(params verity.Params, g *guard) error {
	geometry, err := params.Geometry()
	if err != nil {
		return err
	}
	found, err := nonZero(g.hash, span.Between(geometry.Size, g.hash.Size()), v.ctx.Err)
	if err != nil {
		return fmt.Errorf("%s: %w", g.place, err)
	}
	if found.count > 0 {
		v.add(verdict.PartitionTail, g.place, "%d bytes behind the tree are not zero, the first is byte %d of it", found.count, found.first)
	}
	return nil
}
