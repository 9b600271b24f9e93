package squashfs_test

import (
	"fmt"
	"io/fs"
	"os"
	"testing"

	"sextant/internal/format/squashfs"
)

// sixteenThousand makes an image of as many small files.
func sixteenThousand(t testing.TB, options ...string) string {
	m := newMaker(t)
	for i := range 16000 {
		if i%200 == 0 {
			m.mkdir(fmt.Sprintf("usr/share/dir-%03d", i/200))
		}
		m.file(fmt.Sprintf("usr/share/dir-%03d/some-file-%05d.txt", i/200, i), text(i%3000))
	}
	return mksquashfs(t, m.dir, options...)
}

func list(image string) (int, error) {
	f, err := os.Open(image)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	fsys, err := squashfs.Open(f, st.Size())
	if err != nil {
		return 0, err
	}
	n := 0
	err = fsys.Walk(func(string, fs.DirEntry) error {
		n++
		return nil
	})
	return n, err
}

func BenchmarkList(b *testing.B) {
	image := sixteenThousand(b)
	for b.Loop() {
		if n, err := list(image); n != 16082 || err != nil {
			b.Fatalf("list = %d, %v", n, err)
		}
	}
}

func BenchmarkTree(b *testing.B) {
	image := sixteenThousand(b)
	for b.Loop() {
		if _, err := open(b, image).Tree(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, comp := range []string{"gzip", "xz", "lz4", "zstd"} {
		b.Run(comp, func(b *testing.B) {
			m := newMaker(b)
			for i := range 8 {
				m.file(fmt.Sprint(i), append(text(3<<20), m.noise(1<<20)...))
			}
			fsys := open(b, mksquashfs(b, m.dir, "-comp", comp, "-no-duplicates"))
			b.SetBytes(32 << 20)
			for b.Loop() {
				if problems, err := fsys.Check(b.Context()); len(problems) > 0 || err != nil {
					b.Fatal(problems, err)
				}
			}
		})
	}
}
