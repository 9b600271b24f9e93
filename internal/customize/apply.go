package customize

import (
	"context"
	"fmt"
	"io"

	"sextant/internal/span"
)

// Apply makes the changes of a plan in disk, which is a copy of the base. With
// an error the copy is of no use.
func (p *Plan) Apply(ctx context.Context, disk Storage) error {
	editors := map[string]Editor{}
	for _, m := range p.Base.Mounts {
		if m.Why != nil || !p.touches(m.Dir) {
			continue
		}
		part := m.Part
		e, err := edit(part.Content.Kind, window{disk, part.Span}, part.Span.Length, p.Base.now)
		if err != nil {
			return fmt.Errorf("%s: %w", part.Name(), err)
		}
		editors[m.Dir] = e
	}
	for _, change := range p.Edits {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir, name := p.Root.Mount(change.Path)
		err := editors[dir].RemoveAll
		if change.Node != nil {
			err = func(name string) error { return editors[dir].Put(name, change.Node) }
		}
		if err := err(name); err != nil {
			return fmt.Errorf("%s: %s: %w", change.Why, change.Path, err)
		}
	}
	for _, m := range p.Base.Mounts {
		if e := editors[m.Dir]; e != nil {
			if err := e.Commit(); err != nil {
				return fmt.Errorf("%s: %w", m.Part.Name(), err)
			}
		}
	}
	return nil
}

// touches reports whether a change is on the file system at dir.
func (p *Plan) touches(dir string) bool {
	for _, e := range p.Edits {
		if on, _ := p.Root.Mount(e.Path); on == dir {
			return true
		}
	}
	return false
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
