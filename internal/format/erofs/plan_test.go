package erofs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// writeImage renders t into a file.
func writeImage(t testing.TB, src *tree.Tree, opts erofs.Options) string {
	t.Helper()
	l, err := erofs.Plan(src, opts)
	if err != nil {
		t.Fatalf("Plan() = %v", err)
	}
	m := l.Open()
	defer m.Close()
	path := filepath.Join(t.TempDir(), "image.erofs")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	buf := make([]byte, 512<<10)
	for off := int64(0); off < l.Size(); off += int64(len(buf)) {
		n, err := m.ReadAt(buf[:min(int64(len(buf)), l.Size()-off)], off)
		if err != nil {
			t.Fatalf("ReadAt(%d) = %v", off, err)
		}
		if _, err := f.WriteAt(buf[:n], off); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestSimple(t *testing.T) {
	testenv.Require(t, "fsck.erofs")
	src, err := imagetest.Scan("/usr/share/doc")
	if dir := os.Getenv("X"); dir != "" {
		src, err = imagetest.Scan(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	image := writeImage(t, src, erofs.Options{BuildTime: time.Unix(1700000000, 0)})
	if out, err := exec.Command("fsck.erofs", image).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	want, err := imagetest.Dump(src)
	if err != nil {
		t.Fatal(err)
	}
	err = imagetest.Mount(t, image, "erofs", func(dir string) error {
		got, err := imagetest.DumpDir(dir)
		if err != nil {
			return err
		}
		if len(got) != len(want) {
			t.Errorf("%d paths, want %d", len(got), len(want))
		}
		k := 0
		for p, w := range want {
			if got[p] != w {
				t.Errorf("%s = %s\nwant %s", p, got[p], w)
				if k++; k > 10 {
					break
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	st, _ := os.Stat(image)
	t.Log(len(want), st.Size())
}
