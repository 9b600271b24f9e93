package xz_test

import (
	"bytes"
	"io"
	"testing"

	ulikunitz "github.com/ulikunitz/xz"

	"sextant/internal/format/xz"
)

// sample is text that packs to about a quarter, and code that does not.
func sample() []byte {
	var b bytes.Buffer
	for i := range 60_000 {
		b.WriteString([]string{"libc.so", "systemd", "extension", "/usr/lib/", " ", "\n", "1234"}[i*i%7])
		b.WriteByte(byte('a' + i*i%23))
	}
	return append(bytes.Repeat(b.Bytes(), 4), code(1<<20)...)
}

func BenchmarkReader(b *testing.B) {
	plain := sample()
	packed := pack(b, plain, "-6")
	for name, open := range map[string]func(io.Reader) (io.Reader, error){
		"ours":      func(r io.Reader) (io.Reader, error) { return xz.NewReader(r, xz.Options{}) },
		"ulikunitz": func(r io.Reader) (io.Reader, error) { return ulikunitz.NewReader(r) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			b.ReportAllocs()
			for b.Loop() {
				r, err := open(bytes.NewReader(packed))
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	plain := sample()
	for name, open := range map[string]func(io.Writer) (io.WriteCloser, error){
		"ours":      func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) },
		"ulikunitz": func(w io.Writer) (io.WriteCloser, error) { return ulikunitz.NewWriter(w) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				w, err := open(io.Discard)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := w.Write(plain); err != nil {
					b.Fatal(err)
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
