package erofs_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"sextant/internal/imagetest"
	"sextant/internal/tree"
)

// counted counts how often a content is opened.
type counted struct {
	tree.Content
	opened *atomic.Int64
}

func (c counted) Open() (tree.Reader, error) {
	c.opened.Add(1)
	return c.Content.Open()
}

// TestFewOpens: a segment of the image has a file's tail together with its
// data, so that hardly a file is opened twice.
func TestFewOpens(t *testing.T) {
	const files, segment = 5000, 512 << 10
	var opened atomic.Int64
	more := int64(0) // a large file is opened for each segment
	r := rand.New(rand.NewPCG(1, 1))
	b := imagetest.NewBuilder()
	for n := range files {
		size := 1 + r.Int64N(1<<(4+r.IntN(14)))
		if n%500 == 0 {
			size = 3 << 20
		}
		more += size / segment
		path := fmt.Sprintf("usr/%d/%d/%d", n%3, n%100, n)
		b.Content(path, 0o644, counted{imagetest.Noise{Seed: uint64(n), Length: size}, &opened})
	}
	if err := writeTo(discard{}, plan(t, b.Tree, options()), segment); err != nil {
		t.Fatal(err)
	}
	if limit := files*11/10 + more; opened.Load() > limit {
		t.Errorf("%d files were opened %d times, want at most %d", files, opened.Load(), limit)
	}
}

// TestWaste: packing leaves little room between inodes.
func TestWaste(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	b := imagetest.NewBuilder()
	used := int64(0)
	for n := range 5000 {
		size := 1 + r.Int64N(20_000)
		path := fmt.Sprintf("usr/%d/%d", n%100, n)
		b.Content(path, 0o644, imagetest.Noise{Length: size})
		used += size + 32 + 12 + int64(len(fmt.Sprint(n)))
	}
	if got := plan(t, b.Tree, options()).Size(); got > used*102/100 {
		t.Errorf("%d bytes take %d, want at most 2 %% more", used, got)
	}
}
