package disk

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"sextant/internal/format/gpt"
	"sextant/internal/linux/sparse"
	"sextant/internal/pages"
	"sextant/internal/span"
)

const (
	// chunk is how much is read at once. It holds whole clusters of the
	// largest size, so that none is decompressed twice.
	chunk = 2 << 20

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
// Several goroutines read and decompress; what they read is written in order,
// so that the same disk gives the same file.
func Copy(ctx context.Context, o *Output, d *Disk) error {
	if d.Size() > o.Size() {
		return fmt.Errorf("disk of %d bytes into one of %d", d.Size(), o.Size())
	}
	if done, err := clone(o, d); done || err != nil {
		return err
	}
	c := copying{o: o, d: d, free: make(chan []byte, readers()+2), inKernel: o.Format == Raw && d.Format == Raw}
	for range cap(c.free) {
		c.free <- nil // made when it is needed
	}
	g, ctx := errgroup.WithContext(ctx)
	jobs, ordered := make(chan *job), make(chan *job, cap(c.free))
	g.Go(func() error {
		defer close(jobs)
		defer close(ordered)
		return c.cut(ctx, jobs, ordered)
	})
	for range readers() {
		g.Go(func() error { return c.read(jobs) })
	}
	g.Go(func() error { return c.write(ctx, ordered) })
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
	o    *Output
	d    *Disk
	free chan []byte // buffers that wait for work

	// inKernel says that the kernel copies from file to file.
	inKernel bool
}

// job is a part of the disk that is read and then written.
type job struct {
	span.Span
	bytes []byte
	data  []span.Span // in bytes, what is not zero
	read  chan struct{}
}

// cut makes jobs of the disk's extents.
func (c *copying) cut(ctx context.Context, jobs, ordered chan<- *job) error {
	for e, err := range c.d.Extents() {
		if err != nil {
			return err
		}
		for at := e.Offset; at < e.End(); {
			end := min(e.End(), (at/chunk+1)*chunk)
			j := &job{Span: span.Between(at, end), read: make(chan struct{})}
			select {
			case j.bytes = <-c.free:
			case <-ctx.Done():
				return ctx.Err()
			}
			ordered <- j // has room for all buffers
			select {
			case jobs <- j:
			case <-ctx.Done():
				return ctx.Err()
			}
			at = end
		}
	}
	return nil
}

// read reads jobs and finds what is not zero in them.
func (c *copying) read(jobs <-chan *job) error {
	for j := range jobs {
		if j.bytes == nil {
			j.bytes = make([]byte, chunk)
		}
		b := j.bytes[:j.Length]
		if _, err := pages.ReadFull(c.d, b, j.Offset); err != nil {
			return fmt.Errorf("read disk at %d: %w", j.Offset, err)
		}
		j.data = nonzero(b, j.Offset)
		close(j.read)
	}
	return nil
}

// write writes jobs in order.
func (c *copying) write(ctx context.Context, ordered <-chan *job) error {
	pending := int64(0)
	for j := range ordered {
		select {
		case <-j.read:
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, s := range j.data {
			if err := c.put(j.bytes[s.Offset:s.End()], j.Offset+s.Offset); err != nil {
				return fmt.Errorf("write disk at %d: %w", j.Offset+s.Offset, err)
			}
			pending += s.Length
		}
		c.free <- j.bytes
		if pending >= flushEvery {
			sparse.Flush(c.o.file.File, 0, 0)
			pending = 0
		}
	}
	return nil
}

// put writes bytes that were read at offset of the disk. Where the kernel can
// copy them itself that takes a third of the time, and on a file server none.
func (c *copying) put(b []byte, offset int64) error {
	if c.inKernel {
		err := sparse.Copy(c.o.file.File, c.d.file, offset, int64(len(b)))
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
		c.inKernel = false
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
