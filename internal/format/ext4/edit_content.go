package ext4

import (
	"errors"
	"fmt"
	"io"

	"sextant/internal/pages"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// copyBytes bounds what is read of a file at once.
const copyBytes = 1 << 20

// putContent gives blocks to a file that has none, and fills them. All blocks
// are there before the first byte is written.
func (e *Editor) putContent(n *node, c tree.Content) error {
	size := c.Size()
	if size < 0 || size > e.maxFileSize(n) {
		return fmt.Errorf("%d bytes, this file system holds files of %d: %w", size, e.maxFileSize(n), ErrLimit)
	}
	pieces, err := e.dataBlocks(c.Extents(), size)
	if err != nil {
		return err
	}
	runs, err := e.allocateRuns(n, pieces)
	if err != nil {
		return err
	}
	e.setSize(n, size)
	if size > 1<<31-1 {
		if err := e.needFeature(&e.fs.super.FeatureROCompat, ROCompatLargeFile); err != nil {
			return err
		}
	}
	if len(runs) == 0 {
		return nil
	}
	r, err := c.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	return e.copyRuns(r, size, runs)
}

// needFeature turns a feature on that the kernel turns on with its first use.
func (e *Editor) needFeature(set *FeatureROCompat, feature FeatureROCompat) error {
	if *set&feature == 0 && e.fs.super.Revision == 0 {
		return unsupported("feature %s in a file system of revision 0", feature)
	}
	*set |= feature
	return nil
}

// dataBlocks gives the logical blocks that ranges of bytes reach into.
func (e *Editor) dataBlocks(extents []span.Span, size int64) ([]Run, error) {
	var list []Run
	last := int64(0)
	for _, x := range extents {
		if err := x.Within(size); err != nil || x.Offset < last {
			return nil, errors.Join(errors.New("extents of the content are not in order"), err)
		}
		if last = x.End(); x.Length == 0 {
			continue
		}
		first := uint64(x.Offset / e.fs.geo.BlockSize)
		end := uint64((x.End() + e.fs.geo.BlockSize - 1) / e.fs.geo.BlockSize)
		if i := len(list) - 1; i >= 0 && list[i].Logical+list[i].Length >= first {
			list[i].Length = end - list[i].Logical
			continue
		}
		list = append(list, Run{Logical: first, Length: end - first})
	}
	return list, nil
}

// allocateRuns gives blocks to the pieces of a file.
func (e *Editor) allocateRuns(n *node, pieces []Run) ([]Run, error) {
	group, _ := e.fs.geo.Place(n.number)
	var runs []Run
	goal, next := e.fs.geo.GroupStart(group), false
	for _, p := range pieces {
		for p.Length > 0 {
			first, count, err := e.allocate(request{goal: goal, next: next, want: p.Length, end: n.lastBlock()})
			if err != nil {
				return nil, err
			}
			runs = appendRun(runs, Run{Logical: p.Logical, Physical: first, Length: count})
			p.Logical, p.Length = p.Logical+count, p.Length-count
			goal, next = first+count, true
		}
	}
	for _, r := range runs {
		if err := e.addSectors(n, int64(r.Length)); err != nil {
			return nil, err
		}
		if err := e.appendRun(n, r); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// appendRun joins neighbours.
func appendRun(list []Run, r Run) []Run {
	if i := len(list) - 1; i >= 0 && list[i].Logical+list[i].Length == r.Logical && list[i].Physical+list[i].Length == r.Physical {
		list[i].Length += r.Length
		return list
	}
	return append(list, r)
}

// copyRuns fills the blocks of a file with its content, and the rest of the last
// one with zeros.
func (e *Editor) copyRuns(r io.ReaderAt, size int64, runs []Run) error {
	block := e.fs.geo.BlockSize
	buffer := make([]byte, min(copyBytes, int64(longestRun(runs))*block))
	for _, run := range runs {
		from, to := int64(run.Logical)*block, int64(run.Physical)*block
		for left := int64(run.Length) * block; left > 0; {
			b := buffer[:min(left, int64(len(buffer)))]
			data := min(int64(len(b)), size-from)
			if _, err := pages.ReadFull(r, b[:data], from); err != nil {
				return fmt.Errorf("read content: %w", err)
			}
			clear(b[data:])
			if _, err := e.disk.WriteAt(b, to); err != nil {
				return fmt.Errorf("write content: %w", err)
			}
			from, to, left = from+int64(len(b)), to+int64(len(b)), left-int64(len(b))
		}
	}
	return nil
}

func longestRun(runs []Run) uint64 {
	longest := uint64(0)
	for _, r := range runs {
		longest = max(longest, r.Length)
	}
	return longest
}
