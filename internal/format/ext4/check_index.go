package ext4

import "sextant/internal/span"

// hasher returns the function that gives names their hash in this directory's
// index; it answers false where there is no index or the hash needs more than the
// name.
func (d *dirCheck) hasher() (func(name []byte) (uint32, bool), error) {
	none := func([]byte) (uint32, bool) { return 0, false }
	f, n := d.fs, d.node
	if !d.indexed() {
		return none, nil
	}
	b, err := f.logicalDirBlock(n, 0)
	if err != nil {
		return nil, err
	}
	x, err := f.indexNode(b)
	if err != nil {
		return nil, atBlock(b.number, "directory block", err)
	}
	switch {
	case x.root.ReservedZero != 0:
		err = corrupt("index root has reserved bytes %#x", x.root.ReservedZero)
	case x.root.Hash > HashSIP:
		err = corrupt("index has hash function %s", x.root.Hash)
	case int(x.root.IndirectLevels) > f.maxIndirect():
		err = corrupt("index has %d levels", x.root.IndirectLevels)
	}
	if err != nil {
		return nil, atBlock(b.number, "directory block", err)
	}
	if n.has(FlagCaseFold) || x.root.Hash == HashSIP {
		return none, nil
	}
	version := f.hashVersion(x.root)
	return func(name []byte) (uint32, bool) {
		return HashName(version, f.super.HashSeed, string(name))
	}, nil
}

// indexed reports whether readers use the directory's index.
func (d *dirCheck) indexed() bool {
	return d.node.has(FlagIndex) && !d.node.has(FlagInlineData) &&
		d.fs.super.FeatureCompat&CompatDirIndex != 0
}

// index checks that the index leads to every leaf once, by the hashes that the
// names in it have.
func (d *dirCheck) index() error {
	if !d.indexed() {
		return nil
	}
	w := &indexWalk{dirCheck: d, seen: make([]bool, len(d.leaves))}
	if err := w.follow(0, d.levels(), 0, 1<<32); err != nil {
		return err
	}
	for i, seen := range w.seen {
		if !seen && !d.leaves[i].empty {
			return corrupt("index does not lead to block %d", i)
		}
	}
	return nil
}

// levels returns the number of index blocks on the way from the root to a leaf.
func (d *dirCheck) levels() int {
	return int(d.leaves[0].block.bytes[indexRootInfo+6]) + 1
}

// indexWalk follows an index. The blocks of a directory have no holes, so that
// they are numbered as in leaves.
type indexWalk struct {
	*dirCheck
	seen []bool
}

// follow checks the block with a logical number, at a height above the leaves,
// whose names have hashes from first to before end.
func (w *indexWalk) follow(logical uint32, height int, first, end uint64) error {
	if uint64(logical) >= uint64(len(w.leaves)) {
		return corrupt("index leads to block %d of %d", logical, len(w.leaves))
	}
	if w.seen[logical] {
		return corrupt("index leads to block %d twice", logical)
	}
	w.seen[logical] = true
	l := w.leaves[logical]
	if height == 0 {
		return w.leaf(l, first, end)
	}
	if !l.block.index {
		return atBlock(l.block.number, "directory block", corrupt("not a part of the index"))
	}
	x, err := w.fs.indexNode(l.block)
	if err != nil {
		return atBlock(l.block.number, "directory block", err)
	}
	for i := range x.entries {
		from, to := first, end
		if i > 0 {
			from = uint64(x.entry(i).Hash)
		}
		if i+1 < x.entries {
			to = uint64(x.entry(i + 1).Hash)
		}
		if from < first || to > end || from > to {
			return atBlock(l.block.number, "directory block", corrupt("index has hash %#x behind %#x", to, from))
		}
		if err := w.follow(x.entry(i).Block, height-1, from, to); err != nil {
			return err
		}
	}
	return nil
}

// leaf compares the hashes of names with those of the index. A lowest bit that
// is set says that names with the hash also lie in the leaf before.
func (w *indexWalk) leaf(l leaf, first, end uint64) error {
	// Without checksums a leaf that has lost all its names looks like that.
	if l.block.index && w.fs.super.checksums() {
		return atBlock(l.block.number, "directory block", corrupt("part of the index where names are due"))
	}
	if l.empty {
		return nil
	}
	// Hashes of names are even.
	if uint64(l.min) < first&^1 || uint64(l.max) >= end {
		return atBlock(l.block.number, "directory block",
			corrupt("names have hashes %s, the index says %s", hashes(uint64(l.min), uint64(l.max)+1), hashes(first, end)))
	}
	return nil
}

func hashes(first, end uint64) string { return span.Between(int64(first), int64(end)).String() }
