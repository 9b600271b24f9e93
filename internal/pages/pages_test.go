package pages_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"sextant/internal/pages"
)

// TestCache changes more pages than the cache holds: they come back as they
// were, and are stored when they must go or with Flush.
func TestCache(t *testing.T) {
	store := make(map[int64][]byte)
	var stored []int64
	c := pages.New(4, 3, func(number int64, page []byte) error {
		clear(page)
		copy(page, store[number])
		return nil
	}, func(number int64, page []byte) error {
		stored = append(stored, number)
		store[number] = slices.Clone(page)
		return nil
	})
	for i := range int64(10) {
		if err := c.Change(i, func(page []byte) { page[0] = byte(i + 1) }); err != nil {
			t.Fatal(err)
		}
		if err := c.Use(0, func(page []byte) { // in use all the time, so it stays
			if page[0] != 1 {
				t.Errorf("page 0 is %v", page)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int64{1, 2, 3, 4, 5, 6, 7}; !slices.Equal(stored, want) {
		t.Errorf("stored %v, want %v: what was not used longest", stored, want)
	}
	stored = nil
	for range 2 {
		if err := c.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int64{0, 8, 9}; !slices.Equal(stored, want) {
		t.Errorf("Flush stored %v, want %v, once", stored, want)
	}
	b := make([]byte, 12)
	if err := c.Read(b, 2); err != nil || !bytes.Equal(b, []byte{0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0}) {
		t.Errorf("Read = %v, %v", b, err)
	}
}

// TestErrors checks that a page that cannot be loaded or stored is an error
// each time, and nothing is lost.
func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	loadErr, storeErr := broken, broken
	c := pages.New(1, 1, func(int64, []byte) error { return loadErr }, func(int64, []byte) error { return storeErr })
	nothing := func([]byte) {}
	for range 2 {
		if err := c.Use(1, nothing); err != broken {
			t.Errorf("Use = %v, want %v", err, broken)
		}
	}
	loadErr = nil
	if err := c.Change(1, nothing); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Use(2, nothing); err != broken {
			t.Errorf("Use of another = %v, want %v", err, broken)
		}
	}
	if err := c.Flush(); err != broken {
		t.Errorf("Flush = %v, want %v", err, broken)
	}
	storeErr = nil
	if err := c.Flush(); err != nil {
		t.Errorf("Flush = %v", err)
	}
}

// TestOfFile reads up to the end of a file, and zeros behind it.
func TestOfFile(t *testing.T) {
	text := []byte("0123456789")
	c := pages.OfFile(bytes.NewReader(text), 10, 4, 2)
	b := make([]byte, 9)
	if err := c.Read(b, 5); err != nil || string(b) != "56789\x00\x00\x00\x00" {
		t.Errorf("Read = %q, %v", b, err)
	}
	c = pages.OfFile(bytes.NewReader(text), 20, 4, 2) // the file is shorter than it was
	if err := c.Read(b, 8); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Read = %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestZero(t *testing.T) {
	b := make([]byte, 100)
	for n := range b {
		if !pages.Zero(b[:n]) {
			t.Errorf("Zero of %d zeros is false", n)
		}
		b[n] = 1
		if pages.Zero(b[:n+1]) {
			t.Errorf("Zero with byte %d set is true", n)
		}
		b[n] = 0
	}
}
