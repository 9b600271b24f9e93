//go:build linux

package hierarchy_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/extension"
	"sextant/internal/fault"
	"sextant/internal/hierarchy"
	"sextant/internal/linux/mount"
)

func TestEscape(t *testing.T) {
	for path, want := range map[string]string{
		"var/lib/extensions.mutable/.systemd-usr-workdir": "var/lib/extensions.mutable/.systemd-usr-workdir",
		"a b":        "a b",
		"a\nb\t\\\"": `a\nb\t\\\"`,
		"é\x01\x7f":  `\303\251\001\177`,
	} {
		got := hierarchy.Escape(path)
		if got != want {
			t.Errorf("Escape(%q) = %q, want %q", path, got, want)
		}
		if back, err := hierarchy.Unescape(got); err != nil || back != path {
			t.Errorf("Unescape(%q) = %q, %v", got, back, err)
		}
	}
	if got, err := hierarchy.Unescape(`a\x41\s`); got != "aA " || err != nil {
		t.Errorf("Unescape = %q, %v", got, err)
	}
}

// TestUnescapeRefuses keeps a work directory inside the root: it is going to be
// removed with all that is in it.
func TestUnescapeRefuses(t *testing.T) {
	for _, text := range []string{"/etc", "..", "../etc", "a/../../etc", ".", "", "a//b", "a/", `\`, `\q`, `\x4`, `\08`, `a\000b`, `\400`, `\056\056/etc`} {
		if got, err := hierarchy.Unescape(text); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("Unescape(%q) = %q, %v, want fault.ErrCorrupt", text, got, err)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add(`var\040x`)
	f.Fuzz(func(t *testing.T, text string) {
		path, err := hierarchy.Unescape(text)
		if err != nil {
			return
		}
		if again, err := hierarchy.Unescape(hierarchy.Escape(path)); err != nil || again != path {
			t.Errorf("%q: %q becomes %q, %v", text, path, again, err)
		}
	})
}

// TestLookAtCopies takes the copy of a merged tree for what it is.
func TestLookAtCopies(t *testing.T) {
	root := t.TempDir()
	dot := filepath.Join(root, "usr/.systemd-sysext")
	if err := os.MkdirAll(dot, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"dev": "0:42\n", "extensions": "a\nb\n"} {
		if err := os.WriteFile(filepath.Join(dot, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := hierarchy.Look(root, extension.Sysext, "/usr")
	want := hierarchy.Status{Path: "/usr", Real: filepath.Join(root, "usr")}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("Look (-want +got): %v\n%s", err, d)
	}
	if got, err := hierarchy.Look(root, extension.Sysext, "/opt"); err != nil || got.Real != "" {
		t.Errorf("Look at nothing = %+v, %v", got, err)
	}
}

func TestForeigners(t *testing.T) {
	table := []mount.Mount{
		{ID: 1, Point: "/", Type: "overlay", Source: "live"},
		{ID: 2, Parent: 1, Point: "/r", Type: "overlay", Source: "image"},
		{ID: 3, Parent: 2, Point: "/r/usr", Type: "overlay", Source: "prism", Super: `rw,lowerdir=/r/usr,upperdir=/var/a\134,b,workdir=/var/w`},
		{ID: 4, Parent: 3, Point: "/r/usr", Type: "overlay", Source: "sysext"},
		{ID: 5, Parent: 4, Point: "/r/usr", Type: "tmpfs", Source: "late"},
		{ID: 6, Parent: 1, Point: "/r/usrlocal", Type: "overlay", Source: "elsewhere"},
		{ID: 7, Parent: 3, Point: "/r/usr/local", Type: "tmpfs", Source: "dropped"},
		{ID: 8, Parent: 7, Point: "/r/usr/local/lib", Type: "tmpfs", Source: "nested"},
		{ID: 9, Parent: 3, Point: "/r/usr/share", Type: "tmpfs", Source: "original"},
		{ID: 10, Parent: 4, Point: "/r/usr/share", Type: "tmpfs", Source: "its copy"},
	}
	got, err := hierarchy.Foreigners("/r/usr", extension.Sysext, table)
	want := []hierarchy.Foreign{
		{Place: hierarchy.Above, Path: "/", Type: "overlay", Source: "live"},
		{Place: hierarchy.Above, Path: "/r", Type: "overlay", Source: "image"},
		{Place: hierarchy.Beneath, Path: "/r/usr", Type: "overlay", Source: "prism", Upper: "/var/a,b"},
		{Place: hierarchy.Covers, Path: "/r/usr", Type: "tmpfs", Source: "late"},
		{Place: hierarchy.Below, Path: "/r/usr/local", Type: "tmpfs", Source: "dropped", Dropped: true},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("Foreigners (-want +got): %v\n%s", err, d)
	}
}

// TestMountsAtHierarchy tells what others put there from what a host has there.
func TestMountsAtHierarchy(t *testing.T) {
	whole := mount.Mount{ID: 1, Point: "/opt", Root: "/", Type: "ext4", Source: "/dev/vda2"}
	bound, subvolume, tmpfs, over := whole, whole, whole, whole
	bound.Root = "/data/opt"
	subvolume.Type, subvolume.Root = "btrfs", "/@opt"
	tmpfs.Type, tmpfs.Source = "tmpfs", "tmpfs"
	over.ID, over.Parent = 2, 1
	root := mount.Mount{ID: 1, Point: "/", Root: "/@", Dev: "0:2", Type: "rootfs", Source: "rootfs"}
	again := mount.Mount{ID: 2, Parent: 1, Point: "/opt", Root: "/@/opt", Dev: "0:2", Type: "rootfs", Source: "rootfs"}
	other := again
	other.Root = "/@/elsewhere"
	for name, c := range map[string]struct {
		table []mount.Mount
		want  int
	}{
		"file system": {[]mount.Mount{whole}, 0}, "subvolume": {[]mount.Mount{subvolume}, 0},
		"directory from elsewhere": {[]mount.Mount{bound}, 1}, "tmpfs": {[]mount.Mount{tmpfs}, 1},
		"itself": {[]mount.Mount{root, again}, 0}, "another directory": {[]mount.Mount{root, other}, 1},
		"file system on another": {[]mount.Mount{whole, over}, 1},
	} {
		got, err := hierarchy.Foreigners("/opt", extension.Sysext, c.table)
		if err != nil || len(got) != c.want || c.want == 1 && got[0].Place != hierarchy.Beneath {
			t.Errorf("%s: Foreigners = %+v, %v, want %d", name, got, err, c.want)
		}
	}
}
