package xz_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	ulikunitz "github.com/ulikunitz/xz"

	"sextant/internal/format/xz"
)

// write packs with our Writer, in pieces.
func write(t testing.TB, plain []byte, piece int) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := xz.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	for len(plain) > 0 {
		n, err := w.Write(plain[:min(piece, len(plain))])
		if err != nil {
			t.Fatal(err)
		}
		plain = plain[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// contents are what writers are tried with.
func contents() [][]byte {
	noise := make([]byte, 200_000)
	rand.NewChaCha8([32]byte{2}).Read(noise)
	return [][]byte{nil, []byte("x"), bytes.Repeat([]byte("text "), 20), code(70_000), noise, append(make([]byte, 5<<20), noise...)}
}

// TestSameBytes holds the Writer against the one that wrote our images before,
// so that they do not change.
func TestSameBytes(t *testing.T) {
	for _, plain := range contents() {
		var want bytes.Buffer
		w, err := ulikunitz.NewWriter(&want)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(plain)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, piece := range []int{4097, 1 << 30} {
			if got := write(t, plain, piece); !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%d bytes in pieces of %d give %d bytes, want the %d of ulikunitz/xz", len(plain), piece, len(got), want.Len())
			}
		}
	}
}

func TestToolReadsOurs(t *testing.T) {
	for _, plain := range contents() {
		packed := write(t, plain, 1<<30)
		if _, err := tool(t, packed, "-t"); err != nil {
			t.Error(err)
		}
		if got, err := tool(t, packed, "-dc"); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("xz -dc = %d bytes, %v, want %d", len(got), err, len(plain))
		}
		if got, err := unpack(packed, xz.Options{}); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("unpack = %d bytes, %v, want %d", len(got), err, len(plain))
		}
	}
}

// full takes a number of bytes.
type full struct{ left int }

var errFull = errors.New("disk full")

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, errFull
	}
	f.left -= len(p)
	return len(p), nil
}

// TestFullDisk wants every error of what is written to, and none lost.
func TestFullDisk(t *testing.T) {
	plain := code(100_000)
	size := len(write(t, plain, 1<<30))
	for room := 0; room < size; room += 1 + room/2 {
		w, err := xz.NewWriter(&full{room})
		if err == nil {
			_, err = w.Write(plain)
			if closed := w.Close(); err == nil {
				err = closed
			} else if closed != err {
				t.Errorf("room for %d bytes: Close = %v after Write = %v", room, closed, err)
			}
		}
		if !errors.Is(err, errFull) {
			t.Errorf("room for %d of %d bytes: %v, want that the disk is full", room, size, err)
		}
	}
	w, err := xz.NewWriter(&full{size})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if _, err := w.Write(plain); err == nil {
		t.Error("Write after Close is no error")
	}
	if err := w.Close(); err == nil {
		t.Error("Close after Close is no error")
	}
}

func FuzzWriter(f *testing.F) {
	f.Add([]byte("some text"), 3, 20)
	f.Add(code(500), 100, 3)
	f.Fuzz(func(t *testing.T, plain []byte, piece, times int) {
		plain = bytes.Repeat(plain, 1+times&0x3ff)
		packed := write(t, plain, 1+piece&0xffff)
		if got, err := unpack(packed, xz.Options{}); err != nil || !bytes.Equal(got, plain) {
			t.Error(fmt.Errorf("unpack = %d bytes, %w, want %d", len(got), err, len(plain)))
		}
	})
}
