package erofs

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"

	"sextant/internal/span"
)

// maxData is how many bytes Check decodes of an image of the given size.
// Pclusters can be shared, and decode to 3000 times their size and more: without
// a limit a small image could keep it busy for days.
func maxData(size int64) int64 { return 64<<30 + size }

// checkData decodes what is compressed, on all processors. Fragments are
// decoded with the packed inode.
func (c *checker) checkData(ctx context.Context) {
	d := &decoder{ctx: ctx, jobs: make(chan job), left: maxData(c.f.size)}
	for range runtime.GOMAXPROCS(0) {
		d.workers.Go(d.work)
	}
	for path, z := range c.compressed() {
		if !d.file(path, z) {
			break
		}
	}
	close(d.jobs)
	d.workers.Wait()
	c.findings = append(c.findings, d.findings...)
}

// compressed gives the contents that are compressed. What cannot be opened has
// been found before.
func (c *checker) compressed() iter.Seq2[string, *compressed] {
	return func(yield func(string, *compressed) bool) {
		for what, s := range c.f.specials() {
			if z, ok := s.content.(*compressed); ok && !yield(what, z) {
				return
			}
		}
		for _, v := range c.order {
			if !v.inode.Format.Layout().Compressed() {
				continue
			}
			content, err := v.inode.content()
			if z, ok := content.(*compressed); ok && err == nil && !yield(v.path, z) {
				return
			}
		}
	}
}

// job is a pcluster to decode.
type job struct {
	path string
	of   *compressed
	pcluster
}

type decoder struct {
	ctx     context.Context
	jobs    chan job
	left    int64 // bytes that may be decoded
	workers sync.WaitGroup

	mu       sync.Mutex
	findings []Finding
}

// file hands out the pclusters of a file. It returns whether to go on.
func (d *decoder) file(path string, z *compressed) bool {
	// What is wrong with the places of pclusters has been found before.
	_ = z.each(span.Span{Length: z.size}, func(p pcluster) error {
		if p.hole() || p.fragment || p.algorithm > Zstd {
			return d.ctx.Err()
		}
		if d.left -= p.Length; d.left < 0 {
			return errEnough
		}
		d.jobs <- job{path, z, p}
		return d.ctx.Err()
	})
	if d.left < 0 {
		d.find(path, unsupported("there are more than %d bytes of compressed data", maxData(z.f.size)))
	}
	return d.left >= 0 && d.ctx.Err() == nil && !d.full()
}

func (d *decoder) work() {
	var buf []byte
	for j := range d.jobs {
		if int64(cap(buf)) < j.Length {
			buf = make([]byte, j.Length)
		}
		if err := j.of.read(buf[:j.Length], j.pcluster, 0); err != nil {
			d.find(j.path, fmt.Errorf("pcluster for %s: %w", j.Span, err))
		}
	}
}

func (d *decoder) find(path string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.findings) < maxFindings {
		d.findings = append(d.findings, Finding{path, err})
	}
}

func (d *decoder) full() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.findings) >= maxFindings
}
