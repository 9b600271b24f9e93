package fat

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"sextant/internal/pages"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// content is the tree.Content of a file. Its chain is followed when it is
// opened.
type content struct {
	fs    *FS
	first uint32
	size  int64
}

func (f *FS) content(n *node) content { return content{f, n.first, n.size()} }

// Size returns the length in bytes.
func (c content) Size() int64 { return c.size }

// Extents returns all of it: FAT has no holes.
func (c content) Extents() []span.Span { return span.Whole(c.size) }

// Open follows the chain of the file.
func (c content) Open() (tree.Reader, error) { return c.open() }

func (c content) open() (*reader, error) {
	r := &reader{fs: c.fs, size: c.size}
	if c.size == 0 {
		return r, nil
	}
	need := c.fs.geo.clustersFor(c.size)
	if c.first == 0 || need > int64(c.fs.geo.Clusters) {
		return nil, corrupt("file of %d bytes from cluster %d of %d", c.size, c.first, c.fs.geo.Clusters)
	}
	runs, err := c.fs.table.runs(c.first, need)
	if err != nil {
		return nil, fmt.Errorf("file of %d bytes: %w", c.size, err)
	}
	r.runs = runs
	var end int64
	for _, run := range runs {
		end += int64(run.count) * c.fs.geo.ClusterSize
		r.ends = append(r.ends, end)
	}
	return r, nil
}

// reader reads a file at any offset.
type reader struct {
	fs   *FS
	size int64
	runs []run
	ends []int64 // of each run, in the file
}

// Close does nothing.
func (r *reader) Close() error { return nil }

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("negative offset")
	}
	for i := sort.Search(len(r.ends), func(i int) bool { return r.ends[i] > off }); n < len(p); i++ {
		if off >= r.size {
			return n, io.EOF
		}
		at := r.fs.geo.ClusterSpan(r.runs[i].first, r.runs[i].count)
		skip := off - (r.ends[i] - at.Length)
		piece := p[n:min(int64(len(p)), int64(n)+min(r.ends[i], r.size)-off)]
		if _, err := pages.ReadFull(r.fs.r, piece, at.Offset+skip); err != nil {
			return n, err
		}
		n += len(piece)
		off += int64(len(piece))
	}
	return n, nil
}
