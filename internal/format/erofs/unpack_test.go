package erofs_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ulikunitz/xz/lzma"

	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/tree"
)

// text returns size bytes that can be compressed about as well as a program or
// its documentation.
func text(seed uint64, size int) tree.Bytes {
	r := rand.New(rand.NewPCG(seed, 7))
	var words []string
	for range 300 {
		words = append(words, fmt.Sprintf("%x", r.Uint32N(1<<(4+r.IntN(24)))))
	}
	var b bytes.Buffer
	for b.Len() < size {
		b.WriteString(words[min(r.IntN(300), r.IntN(300))])
		b.WriteByte(" \n\t,"[r.IntN(4)])
	}
	return b.Bytes()[:size]
}

func noise(seed uint64, size int) tree.Bytes {
	p := make([]byte, size)
	imagetest.Noise{Seed: seed, Length: int64(size)}.ReadAt(p, 0)
	return p
}

// packLZMA returns src as MicroLZMA: the stream of a library with its header of
// 13 bytes and the zero behind that replaced.
func packLZMA(t testing.TB, src []byte, props lzma.Properties) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := lzma.WriterConfig{Properties: &props, Size: int64(len(src)), SizeInHeader: true}.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(src); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append([]byte{^b.Bytes()[0]}, b.Bytes()[14:]...)
}

func lzmaInputs() [][]byte {
	return [][]byte{
		[]byte("a"), text(1, 200_000), noise(1, 20_000), make([]byte, 500_000),
		append(append(text(2, 70_000), noise(2, 70_000)...), text(2, 70_000)...),
	}
}

func TestUnpackLZMA(t *testing.T) {
	for _, props := range []lzma.Properties{{LC: 3, LP: 0, PB: 2}, {LC: 0, LP: 2, PB: 0}, {LC: 4, LP: 0, PB: 4}, {LC: 1, LP: 3, PB: 3}} {
		for _, src := range lzmaInputs() {
			packed := packLZMA(t, src, props)
			for _, size := range []int{len(src), len(src) / 2} {
				dst := make([]byte, size)
				n, err := erofs.UnpackLZMA(dst, packed)
				if err != nil {
					t.Errorf("%+v: UnpackLZMA(%d of %d bytes) = %v", props, size, len(src), err)
				} else if !bytes.Equal(dst, src[:size]) {
					t.Errorf("%+v: UnpackLZMA(%d of %d bytes) gives other bytes", props, size, len(src))
				} else if size == len(src) && n != len(packed) {
					t.Errorf("%+v: UnpackLZMA(%d bytes) took %d of %d bytes", props, size, n, len(packed))
				}
			}
			if len(packed) > 20 {
				if _, err := erofs.UnpackLZMA(make([]byte, len(src)), packed[:len(packed)-8]); err == nil {
					t.Errorf("%+v: UnpackLZMA() of half a stream = nil, want an error", props)
				}
			}
		}
	}
}

// FuzzUnpack: the decoder never panics, and what fits is the start of what more
// room gives.
func FuzzUnpack(f *testing.F) {
	f.Add(packLZMA(f, text(1, 3000), lzma.Properties{LC: 3, PB: 2}), uint16(3000))
	f.Fuzz(func(t *testing.T, src []byte, size uint16) {
		whole, half := make([]byte, size), make([]byte, size/2)
		if _, err := erofs.UnpackLZMA(whole, src); err == nil {
			if _, err := erofs.UnpackLZMA(half, src); err != nil || !cmp.Equal(whole[:len(half)], half) {
				t.Errorf("UnpackLZMA(%d of %d bytes) = %v", len(half), len(whole), err)
			}
		}
	})
}
