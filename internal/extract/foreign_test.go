//go:build linux

package extract_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sextant/internal/extract"
	"sextant/internal/image"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
)

// TestKernelMount wants what is extracted from the images of other tools to be
// what the kernel shows of them.
func TestKernelMount(t *testing.T) {
	testenv.RequireRoot(t)
	source := filepath.Join(t.TempDir(), "source")
	files := imagetest.Corner()
	files.Lookup("usr/times").Remove("1901") // what ext4, below the directory or in the image, cannot hold
	files.Lookup("usr/share").Remove("large")
	for _, name := range []string{"long-link", "many-xattrs", "xattr-link", "xattr-3k", "xattr-dir", "xattr-shared-0", "xattr-shared-1"} { // more than mke2fs takes
		files.Lookup("usr/share").Remove(name)
	}
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := imagetest.Materialize(files, source); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		fsType string
		args   func(image string) []string
	}{
		{"squashfs", func(image string) []string {
			return []string{"mksquashfs", source, image, "-quiet", "-no-progress"}
		}},
		{"ext4", func(image string) []string {
			return []string{"mke2fs", "-q", "-t", "ext4", "-I", "512", "-d", source, image, "64M"}
		}},
	} {
		t.Run(test.fsType, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image.raw")
			args := test.args(path)
			testenv.Require(t, args[0])
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", args[0], err, out)
			}
			against(t, path, test.fsType)
		})
	}
}

func against(t *testing.T, path, fsType string) {
	t.Helper()
	m, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	files, err := m.Tree()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := extract.Extract(context.Background(), dir, files, extract.Options{Owners: true}); err != nil {
		t.Fatal(err)
	}
	got, err := imagetest.DumpDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	err = imagetest.Mount(t, path, fsType, func(mounted string) (err error) {
		want, err = imagetest.DumpDir(mounted)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range imagetest.Diff(got, want) {
		t.Error(line)
	}
}
