package disk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"sync"
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

	// flushEvery is how much is written before the system is told to bring it
	// to stable storage while the rest is copied.
	flushEvery = 32 << 20
)

// Copy writes what is on d to the beginning of o, which is new. What d leaves
// out and blocks of zeros are left out. Where both are raw and the file system
// can, the files share their bytes instead. The backup of a GPT moves to the end
// of a disk that became larger.
//
// Several goroutines read and decompress. A raw file they write too, as each
// part has its place; of other formats what they read is written in order, so
// that the same disk gives the same file.
func Copy(ctx context.Context, o *Output, d *Disk) error {
	if d.Size() > o.Size() {
		return fmt.Errorf("disk of %d bytes into one of %d", d.Size(), o.Size())
	}
	if done, err := clone(o, d); done || err != nil {
		return err
	}
	c := copying{o: o, d: d, chunk: max(chunk, d.unit())}
	c.inKernel.Store(o.Format == Raw && d.Format == Raw)
	g, ctx := errgroup.WithContext(ctx)
	if o.Format == Raw {
		c.anyOrder(ctx, g)
	} else {
		c.inOrder(ctx, g)
	}
	err := g.Wait()
	c.flushes.Wait()
	if err != nil {
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

// readers is how many read and decompress at once.
func readers() int { return min(runtime.GOMAXPROCS(0), 8) }

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
	free  chan []byte // buffers that wait for work

	// inKernel says that the kernel copies from file to file.
	inKernel atomic.Bool

	pending  atomic.Int64 // bytes that were written since the last flush
	flushing atomic.Bool
	flushes  sync.WaitGroup
}

// job is a part of the disk that is read and then written.
type job struct {
	span.Span
	bytes []byte
	data  []span.Span // in bytes, what is not zero
	read  chan struct{}
}

// pieces gives the disk's extents in parts of at most a chunk.
func (c *copying) pieces() iter.Seq2[span.Span, error] {
	return func(yield func(span.Span, error) bool) {
		for e, err := range c.d.Extents() {
			if err != nil {
				yield(span.Span{}, err)
				return
			}
			for at := e.Offset; at < e.End(); {
				end := min(e.End(), (at/c.chunk+1)*c.chunk)
				if !yield(span.Between(at, end), nil) {
					return
				}
				at = end
			}
		}
	}
}

// anyOrder copies with several goroutines that have nothing to wait for but the
// disks: each takes a part, reads it, and writes it to its place.
func (c *copying) anyOrder(ctx context.Context, g *errgroup.Group) {
	var mu sync.Mutex
	next, stop := iter.Pull2(c.pieces())
	take := func() (span.Span, error, bool) {
		mu.Lock()
		defer mu.Unlock()
		s, err, ok := next()
		if !ok || err != nil {
			stop()
		}
		return s, err, ok
	}
	for range readers() {
		g.Go(func() error {
			buf := make([]byte, c.chunk)
			for s, err, ok := take(); ok; s, err, ok = take() {
				if err := cmp.Or(ctx.Err(), err); err != nil {
					return err
				}
				j := &job{Span: s, bytes: buf}
				if err := c.load(j); err != nil {
					return err
				}
				if err := c.store(j); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// buffers is how many parts may wait to be written: enough that nobody waits
// for a goroutine that waits for a processor.
func buffers() int { return 2*readers() + 4 }

// inOrder copies with several goroutines that read and one that writes.
func (c *copying) inOrder(ctx context.Context, g *errgroup.Group) {
	c.free = make(chan []byte, buffers())
	for range cap(c.free) {
		c.free <- nil // made when it is needed
	}
	jobs, ordered := make(chan *job, cap(c.free)), make(chan *job, cap(c.free))
	g.Go(func() error {
		defer close(jobs)
		defer close(ordered)
		return c.cut(ctx, jobs, ordered)
	})
	for range readers() {
		g.Go(func() error { return c.read(ctx, jobs) })
	}
	g.Go(func() error { return c.write(ctx, ordered) })
}

// cut makes jobs of the disk's extents. Both channels have room for all
// buffers.
func (c *copying) cut(ctx context.Context, jobs, ordered chan<- *job) error {
	for s, err := range c.pieces() {
		if err := cmp.Or(ctx.Err(), err); err != nil {
			return err
		}
		j := &job{Span: s, read: make(chan struct{})}
		select {
		case j.bytes = <-c.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		ordered <- j
		jobs <- j
	}
	return nil
}

// read reads jobs.
func (c *copying) read(ctx context.Context, jobs <-chan *job) error {
	for j := range jobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if j.bytes == nil {
			j.bytes = make([]byte, c.chunk)
		}
		if err := c.load(j); err != nil {
			return err
		}
		close(j.read)
	}
	return nil
}

// load reads a job and finds what is not zero in it.
func (c *copying) load(j *job) error {
	b := j.bytes[:j.Length]
	if _, err := pages.ReadFull(c.d, b, j.Offset); err != nil {
		return fmt.Errorf("read disk at %d: %w", j.Offset, err)
	}
	j.data = nonzero(b, j.Offset)
	return nil
}

// write writes jobs in order.
func (c *copying) write(ctx context.Context, ordered <-chan *job) error {
	for j := range ordered {
		select {
		case <-j.read:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := c.store(j); err != nil {
			return err
		}
		c.free <- j.bytes
	}
	return nil
}

// store writes what is not zero in a job that was read.
func (c *copying) store(j *job) error {
	for _, s := range j.data {
		if err := c.put(j.bytes[s.Offset:s.End()], j.Offset+s.Offset); err != nil {
			return fmt.Errorf("write disk at %d: %w", j.Offset+s.Offset, err)
		}
		c.flush(s.Length)
	}
	return nil
}

// flush counts what was written, and tells the system from time to time to bring
// it to stable storage. Where the disk is busy that takes a while, so nobody
// waits for it.
func (c *copying) flush(length int64) {
	if c.pending.Add(length) < flushEvery || !c.flushing.CompareAndSwap(false, true) {
		return
	}
	c.pending.Store(0)
	c.flushes.Go(func() {
		defer c.flushing.Store(false)
		sparse.Flush(c.o.file.File, 0, 0)
	})
}

// put writes bytes that were read at offset of the disk. Where the kernel can
// copy them itself that takes a third of the time, and on a file server none.
func (c *copying) put(b []byte, offset int64) error {
	if c.inKernel.Load() {
		err := sparse.Copy(c.o.file.File, c.d.file, offset, int64(len(b)))
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		c.inKernel.Store(false)
	}
	_, err := c.o.WriteAt(b, offset)
	return err
}

// nonzero returns the parts of b, which lies at offset of the disk, that hold
// something else than zeros, cut where blocks of the disk begin.
func nonzero(b []byte, offset int64) (list []span.Span) {
	for at := int64(0); at < int64(len(b)); {
		end := min(int64(len(b)), at+block-(offset+at)%block)
		s := span.Between(at, end)
		at = end
		if pages.Zero(b[s.Offset:s.End()]) {
			continue
		}
		if n := len(list); n > 0 && list[n-1].End() == s.Offset {
			list[n-1].Length += s.Length
			continue
		}
		list = append(list, s)
	}
	return list
}
