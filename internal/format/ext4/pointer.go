package ext4

// pointers walks the block pointers of ext2 and ext3: twelve to data blocks,
// then one each through one, two and three levels of blocks of pointers.
func (w *walk) pointers() error {
	per := uint64(w.fs.geo.BlockSize / 4)
	var p pointerWalk
	p.walk = w
	area := w.node.disk.Block[:]
	if err := p.level(area[:4*directBlocks], 0, 0); err != nil {
		return err
	}
	first, span := uint64(directBlocks), per
	for depth := 1; depth <= 3; depth++ {
		at := 4 * (directBlocks + depth - 1)
		if err := p.level(area[at:at+4], depth, first); err != nil {
			return err
		}
		first += span
		span *= per
	}
	return p.flush()
}

// pointerWalk joins neighbouring pointers to runs.
type pointerWalk struct {
	*walk
	pending Run
}

// level walks pointers at the given height above the data. The first stands for
// the logical block first.
func (p *pointerWalk) level(pointers []byte, depth int, first uint64) error {
	per := uint64(p.fs.geo.BlockSize / 4)
	covers := uint64(1)
	for range depth {
		covers *= per
	}
	for at := 0; at < len(pointers); at, first = at+4, first+covers {
		number := uint64(le32(pointers, at))
		if number == 0 || first+covers <= p.from {
			continue
		}
		if depth == 0 {
			if err := p.block(first, number); err != nil {
				return err
			}
			continue
		}
		b, err := p.innerBlock(number)
		if err == nil {
			err = p.level(b, depth-1, first)
		}
		if err != nil && err != errStop {
			err = inBlock(number, "indirect block", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pointerWalk) block(logical, physical uint64) error {
	r := &p.pending
	if r.Length > 0 && logical == r.Logical+r.Length && physical == r.Physical+r.Length {
		r.Length++
		return nil
	}
	if err := p.flush(); err != nil {
		return err
	}
	p.pending = Run{Logical: logical, Physical: physical, Length: 1}
	return nil
}

func (p *pointerWalk) flush() error {
	r := p.pending
	p.pending = Run{}
	if r.Length == 0 {
		return nil
	}
	return p.run(r)
}
