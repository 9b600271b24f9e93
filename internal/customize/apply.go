package customize

import (
	"context"
	"fmt"
	"io"

	"sextant/internal/span"
	"sextant/internal/sysroot"
	"sextant/internal/tree"
)

// Apply makes the changes of a plan in disk, which is a copy of the base, but
// those that take the kernel. With an error the copy is of no use.
func (p *Plan) Apply(ctx context.Context, disk Storage) error {
	for _, m := range p.Base.Mounts {
		edits := p.editsOn(m.Dir)
		if len(edits) == 0 || m.Kernel {
			continue
		}
		if err := p.applyTo(ctx, disk, m, edits); err != nil {
			return fmt.Errorf("%s: %w", m.Part.Name(), err)
		}
	}
	return nil
}

// editsOn returns the changes of the file system at dir.
func (p *Plan) editsOn(dir string) (edits []sysroot.Edit) {
	for _, e := range p.Edits {
		if on, _ := p.Root.Mount(e.Path); on == dir {
			edits = append(edits, e)
		}
	}
	return edits
}

func (p *Plan) applyTo(ctx context.Context, disk Storage, m Mount, edits []sysroot.Edit) error {
	e, err := edit(m.Part.Content.Kind, window{disk, m.Part.Span}, m.Part.Span.Length, p.Base.now)
	if err != nil {
		return err
	}
	return p.carryOut(ctx, e, m, edits)
}

// carryOut makes changes with an editor, and keeps them.
func (p *Plan) carryOut(ctx context.Context, e Editor, m Mount, edits []sysroot.Edit) (err error) {
	// What is replaced gives its room back with Commit, so where that is needed
	// the old files go first.
	if needed(edits) > e.Free() && !m.Kernel {
		if err := p.makeRoom(e, m, edits); err != nil {
			return err
		}
	}
	for _, change := range edits {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, name := p.Root.Mount(change.Path)
		if change.Node == nil {
			err = e.RemoveAll(name)
		} else {
			err = e.Put(name, change.Node)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", change.Why, change.Path, err)
		}
	}
	return e.Commit()
}

// makeRoom removes the files that will be replaced.
func (p *Plan) makeRoom(e Editor, m Mount, edits []sysroot.Edit) error {
	for _, name := range p.replaced(m, edits) {
		if err := e.RemoveAll(name); err != nil {
			return err
		}
	}
	return e.Commit()
}

// replaced returns the regular files of the base that are there no more, or are
// others, each once.
func (p *Plan) replaced(m Mount, edits []sysroot.Edit) (names []string) {
	seen := map[string]bool{}
	for _, change := range edits {
		_, name := p.Root.Mount(change.Path)
		if change.Node == nil || !change.Node.Mode.IsRegular() || seen[name] {
			continue
		}
		if size, ok := sizeOf(m, name); ok && size > 0 {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// needed returns the bytes of all files that are put. A file that is put twice
// counts twice, as an editor keeps both until Commit.
func needed(edits []sysroot.Edit) (bytes int64) {
	for _, e := range edits {
		if e.Node != nil && e.Node.Mode.IsRegular() {
			bytes += dataOf(e.Node.Content)
		}
	}
	return bytes
}

// dataOf returns the bytes of a content that are not in a hole.
func dataOf(c tree.Content) (bytes int64) {
	if c == nil {
		return 0
	}
	for _, s := range c.Extents() {
		bytes += s.Length
	}
	return bytes
}

// fits refuses a plan that no file system has room for, before the base is
// copied. What only nearly fits shows itself when it is applied.
func (p *Plan) fits() error {
	for _, m := range p.Base.Mounts {
		edits := p.editsOn(m.Dir)
		room, need := m.Free, needed(edits)
		if need <= room {
			continue
		}
		for _, name := range p.replaced(m, edits) {
			size, _ := sizeOf(m, name)
			room += size
		}
		if need > room {
			return fmt.Errorf("%s, which is mounted at %s, has room for %d bytes, the new files need %d", m.Part.Name(), m.Dir, room, need)
		}
	}
	return nil
}

// window is a part of a disk.
type window struct {
	disk Storage
	span span.Span
}

// ReadAt reads inside the part.
func (w window) ReadAt(b []byte, at int64) (int, error) {
	return io.NewSectionReader(w.disk, w.span.Offset, w.span.Length).ReadAt(b, at)
}

// WriteAt writes inside the part, and nowhere else.
func (w window) WriteAt(b []byte, at int64) (int, error) {
	if err := (span.Span{Offset: at, Length: int64(len(b))}).Within(w.span.Length); err != nil {
		return 0, err
	}
	return w.disk.WriteAt(b, w.span.Offset+at)
}
