package build

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"sextant/internal/format/gpt"
	"sextant/internal/format/pkcs7"
	"sextant/internal/format/verity"
	"sextant/internal/ids"
	"sextant/internal/plan"
	"sextant/internal/signature"
)

// Image is what is written to. Bytes that were never written read as zeros.
type Image interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// Signing is who signs.
type Signing struct {
	Certificate *x509.Certificate
	Signer      signature.Signer
	Options     pkcs7.Options
}

// Options say how a plan is carried out; none of them changes a byte, but for
// the signature.
type Options struct {
	Signing *Signing // nil where the plan has no signature
	Workers int      // 0 for one per processor

	// Progress is told now and then how many bytes of the file systems are
	// written, from several goroutines.
	Progress func(done, total int64)
}

// Written is what is known of an image once it is written.
type Written struct {
	Table *gpt.Table

	// RootHashes has the root hash for each partition of the plan that is a
	// hash partition, and nil for all others.
	RootHashes [][]byte

	// UUIDs has the UUID of each partition of the plan.
	UUIDs []gpt.GUID
}

// Write writes the planned image.
func Write(ctx context.Context, image Image, p *plan.Plan, opts Options) (*Written, error) {
	if err := image.Truncate(p.Size); err != nil {
		return nil, fmt.Errorf("make an image of %d bytes: %w", p.Size, err)
	}
	w := &writer{image: image, plan: p, opts: opts, roots: make([][]byte, len(p.Partitions))}
	if w.opts.Workers == 0 {
		w.opts.Workers = runtime.GOMAXPROCS(0)
	}
	if err := w.fileSystems(ctx); err != nil {
		return nil, err
	}
	if err := w.signatures(ctx); err != nil {
		return nil, err
	}
	table, err := w.table()
	if err != nil {
		return nil, fmt.Errorf("partition table: %w", err)
	}
	written := &Written{Table: table, RootHashes: w.roots}
	for i := range p.Partitions {
		written.UUIDs = append(written.UUIDs, w.uuid(i))
	}
	return written, nil
}

// writer holds what the steps of Write share.
type writer struct {
	image Image
	plan  *plan.Plan
	opts  Options
	roots [][]byte
	done  atomic.Int64
}

// fileSystems writes every data partition, with its hash tree if it has one.
func (w *writer) fileSystems(ctx context.Context) error {
	for i := range w.plan.Partitions {
		part := &w.plan.Partitions[i]
		if part.Data == nil {
			continue
		}
		if err := w.fileSystem(ctx, i); err != nil {
			return fmt.Errorf("partition %s: %w", part.Label, err)
		}
	}
	return nil
}

func (w *writer) fileSystem(ctx context.Context, data int) error {
	hash := w.plan.Find(func(p plan.Partition) bool { return p.Hash != nil && p.Hash.Of == data })
	if hash < 0 {
		return w.render(ctx, &w.plan.Partitions[data], nil)
	}
	part := &w.plan.Partitions[hash]
	area := io.NewOffsetWriter(w.image, part.Span.Offset)
	tree, err := verity.NewBuilder(section{w.image, area, part.Span.Offset}, part.Hash.Params)
	if err != nil {
		return err
	}
	block := int64(part.Hash.Params.DataBlockSize)
	err = w.render(ctx, &w.plan.Partitions[data], func(at int64, data []byte) error {
		return tree.Add(at/block, data)
	})
	if err != nil {
		return err
	}
	w.roots[hash], err = tree.Finish(ctx)
	return err
}

// section is a part of the image that a hash tree is written to and read from.
type section struct {
	image io.ReaderAt
	io.WriterAt
	offset int64
}

// ReadAt reads from the section.
func (s section) ReadAt(p []byte, off int64) (int, error) { return s.image.ReadAt(p, s.offset+off) }

// segment is how many bytes a worker renders, hashes and writes at a time:
// small enough for the cache, and what erofs.Image asks for.
const segment = 512 << 10

// render writes the file system, and shows each part of it to see, which may be
// nil, with its offset.
func (w *writer) render(ctx context.Context, part *plan.Partition, see func(at int64, data []byte) error) error {
	size, err := w.plan.ContentSize(part)
	if err != nil {
		return err
	}
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(int64(w.opts.Workers), (size+segment-1)/segment) {
		group.Go(func() error {
			worker := worker{writer: w, part: part, see: see, size: size}
			return worker.run(ctx, &next)
		})
	}
	return group.Wait()
}

// worker renders segments of one file system until none is left.
type worker struct {
	*writer
	part *plan.Partition
	see  func(at int64, data []byte) error // may be nil
	size int64
}

func (w *worker) run(ctx context.Context, next *atomic.Int64) (err error) {
	image := w.part.Data.Layout.Open()
	defer func() { err = errors.Join(err, image.Close()) }()
	buffer := make([]byte, min(segment, w.size))
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := (next.Add(1) - 1) * segment
		if at >= w.size {
			return nil
		}
		if err := w.segment(image, buffer[:min(segment, w.size-at)], at); err != nil {
			return err
		}
	}
}

func (w *worker) segment(image io.ReaderAt, buffer []byte, at int64) error {
	n, err := image.ReadAt(buffer, at)
	if err != nil && err != io.EOF {
		return err
	}
	clear(buffer[n:]) // the last data block may reach beyond the file system
	if w.see != nil {
		if err := w.see(at, buffer); err != nil {
			return err
		}
	}
	if _, err := w.image.WriteAt(buffer, w.part.Span.Offset+at); err != nil {
		return err
	}
	if w.opts.Progress != nil {
		w.opts.Progress(w.done.Add(int64(len(buffer))), w.total())
	}
	return nil
}

// total returns the bytes of all file systems.
func (w *writer) total() (n int64) {
	for i := range w.plan.Partitions {
		if part := &w.plan.Partitions[i]; part.Data != nil {
			n += part.Data.Layout.Size()
		}
	}
	return n
}

// signatures signs each root hash that has a signature partition.
func (w *writer) signatures(ctx context.Context) error {
	for i := range w.plan.Partitions {
		part := &w.plan.Partitions[i]
		if part.Signature == nil || part.Deferred {
			continue
		}
		if w.opts.Signing == nil {
			panic("internal error: a signature, but nobody to sign")
		}
		s := w.opts.Signing
		content, err := signature.Sign(ctx, w.roots[part.Signature.Of], s.Certificate, s.Signer, s.Options)
		if err != nil {
			return err
		}
		if _, err := w.image.WriteAt(content, part.Span.Offset); err != nil {
			return err
		}
	}
	return nil
}

// table writes the partition table.
func (w *writer) table() (*gpt.Table, error) {
	t, err := gpt.New(w.plan.Size, w.plan.SectorSize)
	if err != nil {
		return nil, err
	}
	t.DiskGUID = w.plan.DiskGUID
	sector := int64(w.plan.SectorSize)
	for i := range w.plan.Partitions {
		part := &w.plan.Partitions[i]
		if part.Deferred {
			continue
		}
		t.Partitions = append(t.Partitions, gpt.Partition{
			Type: part.Definition.Type.UUID, UUID: w.uuid(i),
			First: uint64(part.Span.Offset / sector), Last: uint64(part.Span.End()/sector - 1),
			Attributes: part.Definition.Attributes, Name: part.Label,
		})
	}
	return t, gpt.Write(w.image, w.plan.Size, t)
}

// uuid returns the UUID that the table carries for partition i: a half of the
// root hash where the plan says so and there is a hash tree.
func (w *writer) uuid(i int) gpt.GUID {
	part := &w.plan.Partitions[i]
	if !part.RootHashUUID {
		return part.UUID
	}
	for j, root := range w.roots {
		if root == nil {
			continue
		}
		data, hash := ids.VerityPartitions(root)
		if j == i {
			return hash
		}
		if w.plan.Partitions[j].Hash.Of == i {
			return data
		}
	}
	return part.UUID
}
