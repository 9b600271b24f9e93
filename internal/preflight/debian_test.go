package preflight_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/extension"
	"sextant/internal/imagetest/disk"
	"sextant/internal/preflight"
	"sextant/internal/vmtest/rootfs"
)

// TestDebian looks at the kernels and units of real systems. Debian does not
// enable the service, and has everything else.
func TestDebian(t *testing.T) {
	for _, r := range rootfs.Releases() {
		root := rootfs.Require(t, r)
		text, err := os.ReadFile(filepath.Join(root.Tree, "usr/lib/os-release"))
		if err != nil {
			t.Fatal(err)
		}
		osRelease, err := extension.ParseRelease(text)
		if err != nil {
			t.Fatal(err)
		}
		image := disk.Recipe{}.Make(t).Bytes
		found, err := preflight.Check(t.Context(), preflight.Base{
			Root: os.DirFS(root.Tree), OS: osRelease, Architecture: "x86-64", Systemd: r.Systemd, Now: disk.Now(),
		}, []preflight.Image{{Path: place, File: image, Size: int64(len(image))}})
		if err != nil {
			t.Fatalf("%s: Check: %v", r, err)
		}
		want := []string{"warning service-off"}
		if diff := cmp.Diff(want, without(summary(found), "warning tree-unused")); diff != "" {
			t.Errorf("%s: Check (-want +got):\n%s%v", r, diff, found.Findings)
		}
		for _, f := range found.Findings {
			if f.ID == preflight.KernelUnknown {
				t.Errorf("%s: %v", r, f)
			}
		}
	}
}

func without(list []string, drop string) (rest []string) {
	for _, s := range list {
		if s != drop {
			rest = append(rest, s)
		}
	}
	return rest
}
