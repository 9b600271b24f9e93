package ext4

import "fmt"

// removeOrphans removes files that were deleted while they were open, and cuts
// files whose truncation was not finished, as a mount would do.
func (e *Editor) removeOrphans() error {
	if err := e.orphanList(); err != nil {
		return err
	}
	if e.fs.super.FeatureROCompat&ROCompatOrphanPresent == 0 {
		return nil
	}
	if e.fs.super.FeatureCompat&CompatOrphanFile == 0 {
		return corrupt("orphans in a file that is not there")
	}
	return e.orphanFile()
}

// orphanList follows the list that begins in the superblock and goes on where
// inodes have their deletion time.
func (e *Editor) orphanList() error {
	for e.fs.super.LastOrphan != 0 {
		n, err := e.orphan(e.fs.super.LastOrphan)
		if err != nil {
			return err
		}
		// An orphan that was removed has no mode: the list cannot go in
		// circles.
		e.fs.super.LastOrphan = n.disk.DeletionTime
		n.disk.DeletionTime = 0
		if err := e.endOrphan(n); err != nil {
			return err
		}
	}
	return nil
}

func (e *Editor) orphan(number uint32) (*node, error) {
	if e.fs.isSpecial(number) || number == RootInode {
		return nil, corrupt("inode %d is no file", number)
	}
	return e.load(number)
}

// endOrphan removes an orphan, or cuts it if it has a name.
func (e *Editor) endOrphan(n *node) error {
	if n.disk.Links == 0 {
		return e.delete(n)
	}
	if err := e.truncate(n); err != nil {
		return fmt.Errorf("inode %d: %w", n.number, err)
	}
	return e.save(n)
}

// orphanFile removes the orphans of the orphan file, and empties it.
func (e *Editor) orphanFile() error {
	file, err := e.fs.node(e.fs.super.OrphanFileInode)
	if err != nil {
		return err
	}
	var blocks []uint64
	for r, err := range e.fs.runs(file, 0) {
		if err != nil {
			return err
		}
		for i := range r.Length {
			blocks = append(blocks, r.Physical+i)
		}
		if len(blocks) > 1<<16 {
			return corrupt("orphan file of more than %d blocks", len(blocks))
		}
	}
	for _, number := range blocks {
		if err := e.orphanBlock(file, number); err != nil {
			return atBlock(number, "orphan block", err)
		}
	}
	e.fs.super.FeatureROCompat &^= ROCompatOrphanPresent
	return nil
}

func (e *Editor) orphanBlock(file *node, number uint64) error {
	b, err := e.write(number)
	if err != nil {
		return err
	}
	tail := len(b) - 8
	if le32(b, tail) != orphanMagic || e.fs.super.checksums() && file.seed.OrphanBlock(number, b[:tail]) != le32(b, tail+4) {
		return corrupt("no orphans")
	}
	for at := 0; at < tail; at += 4 {
		if le32(b, at) == 0 {
			continue
		}
		n, err := e.orphan(le32(b, at))
		if err != nil {
			return err
		}
		if err := e.endOrphan(n); err != nil {
			return err
		}
		put32(b, at, 0)
	}
	if e.fs.super.checksums() {
		put32(b, tail+4, file.seed.OrphanBlock(number, b[:tail]))
	}
	return nil
}

// truncate frees the blocks behind a file's size.
func (e *Editor) truncate(n *node) error {
	if !e.fs.hasMap(n) || n.has(FlagInlineData) {
		return nil
	}
	var keep []Run
	end := e.fs.sizeBlocks(n)
	freed := int64(0)
	var inner []uint64
	err := e.fs.walkRuns(n, 0, func(block uint64) error {
		inner = append(inner, block)
		return nil
	}, func(r Run) error {
		left := uint64(0)
		if r.Logical < end {
			left = min(r.Length, end-r.Logical)
			keep = append(keep, Run{r.Logical, r.Physical, left, r.Unwritten})
		}
		freed += int64(r.Length - left)
		if left == r.Length {
			return nil
		}
		return e.release(r.Physical+left, r.Length-left)
	})
	if err != nil {
		return err
	}
	for _, block := range inner {
		if err := e.release(block, 1); err != nil {
			return err
		}
	}
	if err := e.addSectors(n, -freed-int64(len(inner))); err != nil {
		return err
	}
	return e.mapAnew(n, keep)
}

// mapAnew gives an inode a new map of blocks that it has, and clears what is
// behind its size in the last one.
func (e *Editor) mapAnew(n *node, runs []Run) error {
	hadExtents := n.has(FlagExtents)
	e.newMap(n)
	if !hadExtents {
		n.disk.Flags &^= FlagExtents
		n.disk.Block = [blockAreaSize]byte{}
	}
	for _, r := range runs {
		if err := e.appendRun(n, r); err != nil {
			return err
		}
	}
	size, block := e.fs.size(n), e.fs.geo.BlockSize
	if len(runs) == 0 || size%block == 0 {
		return nil
	}
	last := runs[len(runs)-1]
	if last.Unwritten || last.Logical+last.Length != e.fs.sizeBlocks(n) {
		return nil
	}
	// Nobody sees these bytes: they may be written at once.
	at := int64(last.Physical+last.Length)*block - (block - size%block)
	_, err := e.disk.WriteAt(make([]byte, block-size%block), at)
	return err
}
