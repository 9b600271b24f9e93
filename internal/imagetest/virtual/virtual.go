// Package virtual makes contents for virtual disks and compares them, for the
// tests of the formats that hold them.
package virtual

import (
	"bytes"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/span"
)

// Disk is a disk that can be read.
type Disk interface {
	io.ReaderAt
	Size() int64
	Segments() iter.Seq2[span.Mapped, error]
}

// Writer is a disk that is being made.
type Writer interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Run runs a program and returns what it prints.
func Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Convert runs qemu-img convert with options, of which those without a dash
// are -o options.
func Convert(t testing.TB, format, options, from, to string) {
	t.Helper()
	args := []string{"qemu-img", "convert", "-O", format}
	for o := range strings.FieldsSeq(options) {
		if !strings.HasPrefix(o, "-") {
			args = append(args, "-o")
		}
		args = append(args, o)
	}
	Run(t, append(args, from, to)...)
}

// Content makes a raw disk of size bytes and returns its name and bytes: noise,
// zeros, text that compresses and scattered sectors, with holes between them.
func Content(t testing.TB, size int64) (name string, content []byte) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "content.raw")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	content = make([]byte, size)
	put := func(at int64, b []byte) {
		if at < 0 || at >= size {
			return
		}
		n := copy(content[at:], b)
		if _, err := f.WriteAt(b[:n], at); err != nil {
			t.Fatal(err)
		}
	}
	noise := Noise(300_000, 1)
	text := bytes.Repeat([]byte("All happy families are alike. "), 30_000)
	put(0, noise)
	put(700_000, text)
	put(2<<20, make([]byte, 1<<20))
	for i := range int64(40) {
		put(4<<20+i*41*512, noise[i*512:][:512])
	}
	put(size/2, text[:100_001])
	put(size-70_001, noise[:70_001])
	return name, content
}

// Noise returns n bytes that do not compress.
func Noise(n int, seed byte) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{seed})
	r.Read(b)
	return b
}

// Same compares all bytes, read in one go and in odd pieces.
func Same(t testing.TB, d io.ReaderAt, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	for _, piece := range []int{len(want), 999_983, 70_000} {
		clear(got)
		for at := 0; at < len(got); at += piece {
			n := min(piece, len(got)-at)
			if _, err := d.ReadAt(got[at:at+n], int64(at)); err != nil && err != io.EOF {
				t.Fatalf("ReadAt(%d bytes, %d) = %v", n, at, err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("read in pieces of %d: other bytes from %d on", piece, difference(got, want))
		}
	}
	if n, err := d.ReadAt(got[:min(1, len(got))], int64(len(want))); n != 0 || err != io.EOF {
		t.Errorf("ReadAt the end = %d, %v, want 0, EOF", n, err)
	}
}

// Holds checks that a disk in a file is as large as what it has to hold, and
// has the same bytes and segments.
func Holds(t testing.TB, d Disk, file io.ReaderAt, want []byte) {
	t.Helper()
	if d.Size() != int64(len(want)) {
		t.Errorf("Size() = %d, want %d", d.Size(), len(want))
	}
	Same(t, d, want)
	SameSegments(t, d, file, want)
}

func difference(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

// SameSegments checks that the segments of a disk are in order, that what is
// in none of them is zero, and that those which are not packed lie where they
// say in the file.
func SameSegments(t testing.TB, d Disk, file io.ReaderAt, want []byte) {
	t.Helper()
	last := int64(0)
	for m, err := range d.Segments() {
		if err != nil {
			t.Fatalf("Segments: %v", err)
		}
		if m.Offset < last || m.Length <= 0 || m.End() > int64(len(want)) {
			t.Fatalf("Segments: %s behind %d, in a disk of %d bytes", m.Span, last, len(want))
		}
		if gap := want[last:m.Offset]; len(bytes.Trim(gap, "\x00")) > 0 {
			t.Errorf("Segments: bytes %s are in none and not zero", span.Between(last, m.Offset))
		}
		last = m.End()
		if m.At == span.Packed {
			continue
		}
		got := make([]byte, m.Length)
		if _, err := file.ReadAt(got, m.At); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want[m.Offset:m.End()]) {
			t.Errorf("Segments: bytes %s do not lie at %d of the file", m.Span, m.At)
		}
	}
	if gap := want[last:]; len(bytes.Trim(gap, "\x00")) > 0 {
		t.Errorf("Segments: bytes from %d on are in none and not zero", last)
	}
}

// WriteShuffled writes b in pieces of odd lengths in random order, each after
// something else was there.
func WriteShuffled(t testing.TB, w io.WriterAt, b []byte) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	var cuts []int
	for at := 0; at < len(b); at += 1 + r.IntN(200_000) {
		cuts = append(cuts, at)
	}
	junk := bytes.Repeat([]byte{0xee}, 1000)
	for _, i := range r.Perm(len(cuts)) {
		end := len(b)
		if i+1 < len(cuts) {
			end = cuts[i+1]
		}
		n := min(len(junk), end-cuts[i])
		for _, part := range [][]byte{junk[:n], b[cuts[i]:end]} {
			if _, err := w.WriteAt(part, int64(cuts[i])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := w.WriteAt([]byte{1}, int64(len(b))); n != 0 || err == nil {
		t.Errorf("WriteAt the end = %d, %v, want an error", n, err)
	}
}

// Make writes a whole disk in random order, and closes it.
func Make(t testing.TB, w Writer, content []byte) {
	t.Helper()
	WriteShuffled(t, w, content)
	Same(t, w, content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// MakePieces writes what a fuzzer says, three bytes a piece, to a disk of size
// bytes, and closes it: where the piece begins in parts of the disk, its length
// in units of bytes, and what is in it, 0 for zeros. It returns what the disk
// then has to hold.
func MakePieces(t testing.TB, w Writer, size int64, unit int, pieces []byte) (want []byte) {
	t.Helper()
	want = make([]byte, size)
	for ; len(pieces) >= 3; pieces = pieces[3:] {
		at := size * int64(pieces[0]) / 256
		piece := Noise(int(pieces[1])*unit, pieces[2])
		if pieces[2] == 0 {
			clear(piece)
		}
		n := copy(want[at:], piece)
		if _, err := w.WriteAt(piece[:n], at); err != nil {
			t.Fatal(err)
		}
	}
	Same(t, w, want)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return want
}

// File opens a file and returns it with its size.
func File(t testing.TB, name string) (*os.File, int64) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, info.Size()
}

// Empty returns a new file.
func Empty(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "made"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}
