package lz4_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	pierrec "github.com/pierrec/lz4/v4"

	"sextant/internal/format/lz4"
)

// text returns the formats' source text.
func text(tb testing.TB) []byte {
	tb.Helper()
	var all []byte
	err := filepath.WalkDir("..", func(path string, e fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		one, err := os.ReadFile(path)
		all = append(all, one...)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// machineCode returns this program.
func machineCode(tb testing.TB) []byte {
	tb.Helper()
	path, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	all, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// blocks packs p in pieces of size bytes.
func blocks(tb testing.TB, p []byte, size int, level pierrec.CompressionLevel) (packed [][]byte) {
	tb.Helper()
	for len(p) > 0 {
		n := min(size, len(p))
		dst := make([]byte, pierrec.CompressBlockBound(n))
		var used int
		var err error
		if level == pierrec.Fast {
			used, err = pierrec.CompressBlock(p[:n], dst, nil)
		} else {
			used, err = pierrec.CompressBlockHC(p[:n], dst, level, nil, nil)
		}
		if err != nil {
			tb.Fatal(err)
		}
		if used > 0 {
			packed = append(packed, bytes.Clone(dst[:used]))
		}
		p = p[n:]
	}
	return packed
}

// BenchmarkDecode compares with a library whose decoder is written in assembly.
func BenchmarkDecode(b *testing.B) {
	for what, plain := range map[string][]byte{"text": text(b), "code": machineCode(b)} {
		for _, size := range []int{8 << 10, 128 << 10, 1 << 20} {
			for _, level := range []pierrec.CompressionLevel{pierrec.Fast, pierrec.Level9} {
				packed := blocks(b, plain, size, level)
				dst := make([]byte, size)
				for name, decode := range map[string]func(dst, src []byte) (int, error){
					"ours":    lz4.Decode,
					"pierrec": func(dst, src []byte) (int, error) { return pierrec.UncompressBlock(src, dst) },
				} {
					b.Run(fmt.Sprintf("%s/%dKiB/%v/%s", what, size>>10, level, name), func(b *testing.B) {
						total := 0
						for b.Loop() {
							total = 0
							for _, p := range packed {
								n, err := decode(dst, p)
								if err != nil {
									b.Fatal(err)
								}
								total += n
							}
						}
						b.SetBytes(int64(total))
					})
				}
			}
		}
	}
}
