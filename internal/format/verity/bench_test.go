package verity_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"sextant/internal/format/verity"
)

// discard takes the hash area of a benchmark, in memory.
type area []byte

func (a area) ReadAt(b []byte, offset int64) (int, error)  { return copy(b, a[offset:]), nil }
func (a area) WriteAt(b []byte, offset int64) (int, error) { return copy(a[offset:], b), nil }

// BenchmarkBuild hashes data in memory on all processors; -cpu gives the
// numbers for one and more. scripts/benchmark-verity compares with veritysetup.
func BenchmarkBuild(b *testing.B) {
	for _, algorithm := range []verity.Algorithm{verity.SHA256, verity.SHA512} {
		b.Run(string(algorithm), func(b *testing.B) {
			data, p := benchmarkData(64<<20, algorithm)
			g, err := p.Geometry()
			if err != nil {
				b.Fatal(err)
			}
			hash := make(area, g.Size)
			b.SetBytes(p.DataSize())
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verity.Build(context.Background(), hash, data, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAdd hashes with one goroutine, as a writer of file systems does
// that hands over what it has just written.
func BenchmarkAdd(b *testing.B) {
	for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size>>10, "KiB"), func(b *testing.B) {
			data, p := benchmarkData(int64(size), verity.SHA256)
			p.DataBlocks = 1 << 40
			builder, err := verity.NewBuilder(nowhere{}, p)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			first := int64(0)
			for b.Loop() {
				if err := builder.Add(first, data); err != nil {
					b.Fatal(err)
				}
				first += int64(size) / 4096
			}
		})
	}
}

// nowhere is a hash area of any size that keeps nothing.
type nowhere struct{}

func (nowhere) ReadAt(b []byte, _ int64) (int, error)  { return len(b), nil }
func (nowhere) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }

func benchmarkData(size int64, algorithm verity.Algorithm) (area, verity.Params) {
	data := make(area, size)
	source := rand.NewChaCha8([32]byte{3})
	if _, err := source.Read(data); err != nil {
		panic(err)
	}
	p := verity.Default(size)
	p.Algorithm, p.Salt = algorithm, salt(32)
	return data, p
}

// BenchmarkVerify checks data in memory on all processors.
func BenchmarkVerify(b *testing.B) {
	data, p := benchmarkData(64<<20, verity.SHA256)
	hash, root := build(b, data, p)
	b.SetBytes(p.DataSize())
	b.ReportAllocs()
	for b.Loop() {
		if err := verify(b, data, hash, p, root).Err(); err != nil {
			b.Fatal(err)
		}
	}
}
