package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"sextant/internal/format/gpt"
	"sextant/internal/linux/sparse"
	"sextant/internal/pages"
	"sextant/internal/span"
)

const (
	// chunk is how much is read at once: what stays in a processor's cache until
	// it is written.
	chunk = 512 << 10

	// block is the smallest hole: a page of the file.
	block = 4096

	// share is the least that is worth a call to have the files share it.
	share = 64 << 10

	// ahead is how many parts are found before they are read.
	ahead = 256
)

// Copy writes what is on d to the beginning of o, which is new. What d leaves
// out and blocks of zeros are left out. Where the file system can, the files
// share their bytes instead: all of them where both are raw, else the parts that
// lie in both files as they are. The backup of a GPT moves to the end of a disk
// that became larger.
//
// Several goroutines read, decompress and write. A part of the disk gets its
// place in the file in its turn, so that the same disk gives the same file.
func Copy(ctx context.Context, o *Output, d *Disk) error {
	if d.Size() > o.Size() {
		return fmt.Errorf("disk of %d bytes into one of %d", d.Size(), o.Size())
	}
	if done, err := clone(o, d); done || err != nil {
		return err
	}
	c := copying{o: o, d: d, chunk: max(chunk, d.unit())}
	c.shares.Store(true)
	g, ctx := errgroup.WithContext(ctx)
	parts := make(chan part, ahead)
	g.Go(func() error {
		defer close(parts)
		return c.cut(ctx, parts)
	})
	for range workers() {
		g.Go(func() error { return c.work(ctx, parts) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return moveTable(o, d)
}

// moveTable puts the backup of a GPT where the larger disk ends. A table that
// is damaged stays as it is: who opens the disk is told.
func moveTable(o *Output, d *Disk) error {
	if d.Content != (Content{Table, "gpt"}) || o.Size() == d.Size() {
		return nil
	}
	if err := gpt.Move(o, d.Size(), o.Size()); err != nil && !isFormat(err) {
		return fmt.Errorf("move the backup partition table: %w", err)
	}
	return nil
}

// workers is how many goroutines copy: one for each processor, and as many that
// wait for the disk or for their turn.
func workers() int { return 2 * min(runtime.GOMAXPROCS(0), 8) }

// clone makes the files share their bytes if it can.
func clone(o *Output, d *Disk) (done bool, err error) {
	if o.Format != Raw || d.Format != Raw || d.Size() == 0 {
		return false, nil
	}
	err = sparse.Clone(o.file.File, d.file)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := o.file.Truncate(o.size); err != nil {
		return false, err
	}
	return true, moveTable(o, d)
}

// copying is a Copy on its way.
type copying struct {
	o     *Output
	d     *Disk
	chunk int64

	// shares says that the file system was not found unable to let the files
	// share bytes.
	shares atomic.Bool
}

// part is a part of the disk that is read and written as one.
type part struct {
	span.Mapped

	before <-chan struct{} // closed when all parts before have their places
	placed chan struct{}   // closed when this one has
}

// cut cuts the disk's extents in parts of at most a chunk. It runs ahead, as to
// find where data ends takes time.
func (c *copying) cut(ctx context.Context, parts chan<- part) error {
	before := make(chan struct{})
	close(before)
	for e, err := range c.d.extents() {
		if err := cmp.Or(ctx.Err(), err); err != nil {
			return err
		}
		for at := e.Offset; at < e.End(); {
			s := span.Between(at, min(e.End(), (at/c.chunk+1)*c.chunk))
			p := part{Mapped: e.Part(s), before: before, placed: make(chan struct{})}
			select {
			case parts <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
			before, at = p.placed, s.End()
		}
	}
	return nil
}

// work copies parts until there are none.
func (c *copying) work(ctx context.Context, parts <-chan part) error {
	var buf []byte // made when it is needed
	for p := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if buf == nil {
			buf = make([]byte, c.chunk)
		}
		if err := c.copy(ctx, p, buf[:p.Length]); err != nil {
			return err
		}
	}
	return nil
}

// copy copies a part through b.
func (c *copying) copy(ctx context.Context, p part, b []byte) error {
	if _, err := pages.ReadFull(c.d, b, p.Offset); err != nil {
		return fmt.Errorf("read disk at %d: %w", p.Offset, err)
	}
	writes := c.writes(b, p.Offset)
	select {
	case <-p.before:
	case <-ctx.Done():
		return ctx.Err()
	}
	places, err := c.o.place(writes)
	if err != nil {
		return fmt.Errorf("write disk at %d: %w", p.Offset, err)
	}
	close(p.placed)
	for _, to := range places {
		if err := c.put(p.Part(to.Span), to, b[to.Offset-p.Offset:][:to.Length]); err != nil {
			return fmt.Errorf("write disk at %d: %w", to.Offset, err)
		}
		c.o.flusher.wrote(to.Length)
	}
	return nil
}

// writes returns what is not zero in b, which lies at offset of the disk.
func (c *copying) writes(b []byte, offset int64) (list []write) {
	for _, s := range nonzero(b, offset) {
		part := b[s.Offset:s.End()]
		list = append(list, write{offset + s.Offset, part, c.o.checksum(part)})
	}
	return list
}

// put writes bytes that were read from one place of a file to their place in
// the other. That the files share them takes no room, and on a file server no
// time.
func (c *copying) put(from, to span.Mapped, b []byte) error {
	if c.canShare(from, to) {
		err := sparse.Copy(c.o.file.File, c.d.file, to.At, from.At, to.Length)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		c.shares.Store(false)
	}
	_, err := c.o.file.WriteAt(b, to.At)
	return err
}

// canShare reports whether the files could share bytes: blocks of a file system
// that are the same in both.
func (c *copying) canShare(from, to span.Mapped) bool {
	return from.At != span.Packed && to.Length >= share && (from.At|to.At|to.Length)%block == 0 && c.shares.Load()
}

// nonzero returns the parts of b, which lies at offset of the disk, that hold
// something else than zeros, cut where blocks of the disk begin.
func nonzero(b []byte, offset int64) (list []span.Span) {
	for at := int64(0); at < int64(len(b)); {
		end := min(int64(len(b)), at+block-(offset+at)%block)
		s := span.Between(at, end)
		at = end
		if !pages.Zero(b[s.Offset:s.End()]) {
			list = span.Append(list, s)
		}
	}
	return list
}
