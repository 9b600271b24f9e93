package fat

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"sextant/internal/pages"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// copySize is how many bytes of a content are copied at once.
const copySize = 1 << 20

// create puts a new file or directory into dir.
func (e *Editor) create(dir *node, name string, node *tree.Inode) error {
	if err := CheckName(name); err != nil {
		return err
	}
	at, err := e.room(dir, name)
	if err != nil {
		return err
	}
	clusters, err := e.need(node)
	if err != nil {
		return err
	}
	all, err := e.find(clusters + at.grow)
	if err != nil {
		return err
	}
	own, growth := cut(all, clusters)
	entry := DirEntry{Name: at.short, Attributes: Archive}
	if node.Mode.IsDir() {
		entry.Attributes = Dir
	}
	e.stamp(&entry, node, true)
	if err := e.fill(own, node, dir, &entry); err != nil {
		return err
	}
	if err := e.link(own); err != nil {
		return err
	}
	if err := e.growDir(at, growth); err != nil {
		return err
	}
	return e.enter(at, entry)
}

// replace gives a file another content. The old one is freed.
func (e *Editor) replace(old *node, node *tree.Inode) error {
	clusters, err := e.need(node)
	if err != nil {
		return err
	}
	runs, err := e.find(clusters)
	if err != nil {
		return err
	}
	entry := old.entry
	entry.Attributes |= Archive
	e.stamp(&entry, node, false)
	if err := e.fill(runs, node, nil, &entry); err != nil {
		return err
	}
	if err := e.release(old.first); err != nil {
		return err
	}
	if err := e.link(runs); err != nil {
		return err
	}
	return e.rewrite(old, entry)
}

// setAttributes changes read-only bit and time.
func (e *Editor) setAttributes(n *node, node *tree.Inode) error {
	entry := n.entry
	e.stamp(&entry, node, false)
	return e.rewrite(n, entry)
}

// remove deletes a file, or a directory with all that is below.
func (e *Editor) remove(n *node) error {
	if n.root {
		return fmt.Errorf("is the root directory: %w", fs.ErrInvalid)
	}
	if n.isDir() {
		list, err := e.fs.children(n)
		if err != nil {
			return err
		}
		for _, child := range list {
			if err := e.remove(child); err != nil {
				return e.fail(err)
			}
		}
	}
	if err := e.release(n.first); err != nil {
		return err
	}
	return e.erase(n)
}

// stamp puts times and the read-only bit into an entry.
func (e *Editor) stamp(entry *DirEntry, node *tree.Inode, created bool) {
	entry.WriteDate, entry.WriteTime = split(node.ModTime)
	now := e.opts.Time
	if now.IsZero() {
		now = node.ModTime
	}
	entry.AccessDate, _ = split(now)
	if created {
		entry.CreateDate, entry.CreateTime = split(now)
		entry.CreateHundred = hundredths(now)
	}
	entry.Attributes &^= ReadOnly
	if node.Mode&0o222 == 0 {
		entry.Attributes |= ReadOnly
	}
}

// need gives the clusters that a new file or directory takes.
func (e *Editor) need(node *tree.Inode) (int64, error) {
	size := node.Size()
	switch {
	case node.Mode.IsDir():
		return 1, nil
	case size < 0 || size > SizeMax:
		return 0, fmt.Errorf("%d bytes, FAT has files of at most %d: %w", size, int64(SizeMax), fs.ErrInvalid)
	}
	return e.fs.geo.clustersFor(size), nil
}

// fill writes what a new file or directory has in its clusters, and completes
// its entry. The clusters are still free.
func (e *Editor) fill(runs []run, node *tree.Inode, parent *node, entry *DirEntry) error {
	var first uint32
	if len(runs) > 0 {
		first = runs[0].first
	}
	entry.ClusterLo, entry.ClusterHi = uint16(first), uint16(first>>16)
	if node.Mode.IsDir() {
		return e.fillDir(first, parent, *entry)
	}
	entry.Size = uint32(node.Size())
	if first == 0 {
		return nil
	}
	r, err := node.Content.Open()
	if err != nil {
		return err
	}
	return errors.Join(e.copy(runs, r, node.Size()), r.Close())
}

// copy writes a content to clusters, and zeros behind its end.
func (e *Editor) copy(runs []run, r io.ReaderAt, size int64) error {
	buf := make([]byte, min(copySize, span.AlignUp(size, e.fs.geo.ClusterSize)))
	var at int64
	for _, run := range runs {
		where := e.fs.geo.ClusterSpan(run.first, run.count)
		for where.Length > 0 {
			piece := buf[:min(int64(len(buf)), where.Length)]
			data := piece[:min(int64(len(piece)), max(0, size-at))]
			if _, err := pages.ReadFull(r, data, at); err != nil {
				return fmt.Errorf("read content: %w", err)
			}
			clear(piece[len(data):])
			if _, err := e.disk.WriteAt(piece, where.Offset); err != nil {
				return e.fail(fmt.Errorf("write content: %w", err))
			}
			n := int64(len(piece))
			at, where.Offset, where.Length = at+n, where.Offset+n, where.Length-n
		}
	}
	return nil
}

// fillDir makes an empty directory in a cluster.
func (e *Editor) fillDir(first uint32, parent *node, entry DirEntry) error {
	b := make([]byte, e.fs.geo.ClusterSize)
	entry.Attributes = Dir
	entry.Case = 0
	copy(entry.Name[:], dotName)
	copy(b, encode(entry))
	up := parent.first
	if parent.root {
		up = 0
	}
	copy(entry.Name[:], dotDotName)
	entry.ClusterLo, entry.ClusterHi = uint16(up), uint16(up>>16)
	copy(b[DirEntrySize:], encode(entry))
	return e.fail(e.over.write(b, e.fs.geo.ClusterSpan(first, 1).Offset))
}
