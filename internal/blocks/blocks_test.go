package blocks_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/blocks"
	"sextant/internal/imagetest/virtual"
	"sextant/internal/span"
)

// next is a layout that puts blocks of 1000 bytes behind each other, after 64
// bytes of something else.
type next struct {
	places map[int64]int64
	err    error
}

const block = 1000

func (n *next) Find(offset, length int64) (at, found int64, err error) {
	within := offset % block
	at, ok := n.places[offset/block]
	if !ok {
		return blocks.Nowhere, min(length, block-within), n.err
	}
	return at + within, min(length, block-within), n.err
}

func (n *next) Allocate(offset int64) (int64, error) {
	at := 64 + int64(len(n.places))*block
	n.places[offset/block] = at
	return at + offset%block, nil
}

func newDisk(size int64) (*blocks.Disk, *virtual.Memory, *next) {
	file, layout := &virtual.Memory{}, &next{places: map[int64]int64{}}
	return blocks.New(file, size, layout), file, layout
}

// TestDisk writes at random and reads what it should be.
func TestDisk(t *testing.T) {
	const size = 50*block + 123
	d, file, layout := newDisk(size)
	if d.Size() != size {
		t.Errorf("Size() = %d, want %d", d.Size(), size)
	}
	want := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		offset := r.IntN(size / 2)
		b := virtual.Noise(r.IntN(3*block), byte(r.IntN(256)))
		if r.IntN(4) == 0 {
			clear(b)
		}
		if n, err := d.WriteAt(b, int64(offset)); n != len(b) || err != nil {
			t.Fatalf("WriteAt = %d, %v", n, err)
		}
		copy(want[offset:], b)
	}
	virtual.Same(t, d, want)
	if _, err := d.WriteAt(make([]byte, 20*block), size-20*block); err != nil {
		t.Fatal(err)
	}
	if last := int64(size/2+3*block) / block; len(layout.places) > int(last)+1 || file.Size() > 64+(last+1)*block {
		t.Errorf("%d blocks have a place, zeros among them", len(layout.places))
	}
	for _, s := range []span.Span{{Offset: size, Length: 1}, {Offset: -1, Length: 1}, {Offset: 0, Length: size + 1}} {
		if n, err := d.WriteAt(make([]byte, s.Length), s.Offset); n != 0 || err == nil {
			t.Errorf("WriteAt %s = %d, %v, want an error", s, n, err)
		}
	}
	if n, err := d.ReadAt(make([]byte, 1), -1); n != 0 || err != io.EOF {
		t.Errorf("ReadAt -1 = %d, %v, want 0, EOF", n, err)
	}
}

// TestPlace writes what was placed in another order.
func TestPlace(t *testing.T) {
	const size = 6 * block
	d, file, _ := newDisk(size)
	want := make([]byte, size)
	for _, s := range []span.Span{{Offset: 4*block + 10, Length: 500}, {Offset: 0, Length: 2 * block}, {Offset: 5 * block, Length: 300}} {
		copy(want[s.Offset:s.End()], virtual.Noise(int(s.Length), 1))
	}
	var all []span.Mapped
	for _, s := range []span.Span{{Offset: 4 * block, Length: 2 * block}, {Offset: 0, Length: 4 * block}} {
		places, err := d.Place(want[s.Offset:s.End()], s.Offset)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, places...)
	}
	if diff := cmp.Diff([]span.Mapped{
		{Span: span.Span{Offset: 4 * block, Length: 2 * block}, At: 64},
		{Span: span.Span{Offset: 0, Length: 2 * block}, At: 64 + 2*block},
	}, all); diff != "" {
		t.Errorf("Place (-want +got):\n%s", diff)
	}
	for _, m := range slices.Backward(all) {
		if _, err := file.WriteAt(want[m.Offset:m.End()], m.At); err != nil {
			t.Fatal(err)
		}
	}
	virtual.Same(t, d, want)
}

// TestClose writes the end once and nothing after it.
func TestClose(t *testing.T) {
	d, file, _ := newDisk(block)
	if _, err := d.WriteAt([]byte{1}, 0); err != nil {
		t.Fatal(err)
	}
	wrong := errors.New("wrong")
	if err := d.Close(func() error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("Close = %v, want %v", err, wrong)
	}
	before := bytes.Clone(file.Bytes)
	if n, err := d.WriteAt([]byte{2}, 0); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("WriteAt after Close = %d, %v, want %v", n, err, fs.ErrClosed)
	}
	if !bytes.Equal(before, file.Bytes) {
		t.Error("WriteAt after Close wrote")
	}
}

// TestLayoutFails returns what the layout says.
func TestLayoutFails(t *testing.T) {
	d, _, layout := newDisk(block)
	layout.err = errors.New("wrong")
	if n, err := d.WriteAt([]byte{1}, 0); n != 0 || !errors.Is(err, layout.err) {
		t.Errorf("WriteAt = %d, %v, want %v", n, err, layout.err)
	}
	if n, err := d.ReadAt([]byte{1}, 0); n != 0 || !errors.Is(err, layout.err) {
		t.Errorf("ReadAt = %d, %v, want %v", n, err, layout.err)
	}
}
