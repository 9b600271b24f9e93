package inroot_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"sextant/internal/inroot"
)

// system makes a root directory with links of every kind.
func system(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr/lib", "etc", "var/lib/extensions"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "usr/lib/file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	links := map[string]string{
		"lib": "usr/lib", "absolute": "/usr/lib/file", "up": "../../../../../../../usr/lib", "dots": "./usr/../usr//lib/.",
		"slash": "/usr/lib/file/", "through": "/usr/lib/file/../file", "nowhere": "/gone", "loop": "loop", "var/back": "../lib", "top": "/",
		"chain0": "usr",
	}
	for i := range 40 {
		links["chain"+strconv.Itoa(i+1)] = "chain" + strconv.Itoa(i)
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestResolve(t *testing.T) {
	root := system(t)
	for path, want := range map[string]string{
		"/": "/", "": "/", "/usr/lib": "/usr/lib", "usr//lib/": "/usr/lib", "/lib/file": "/usr/lib/file", "/absolute": "/usr/lib/file",
		"/up/file": "/usr/lib/file", "/dots/file": "/usr/lib/file", "/../../etc": "/etc", "/var/back": "/usr/lib", "/top/top/etc/..": "/",
		"/chain31/lib": "/usr/lib", "/lib/": "/usr/lib",
	} {
		got, err := inroot.Resolve(root, path)
		if err != nil || got != want {
			t.Errorf("Resolve(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestResolveRefuses(t *testing.T) {
	root := system(t)
	for path, want := range map[string]error{
		"/slash": syscall.ENOTDIR, "/through": syscall.ENOTDIR, "/absolute/x": syscall.ENOTDIR, "/absolute/": syscall.ENOTDIR, "/absolute/..": syscall.ENOTDIR,
		"/nowhere": fs.ErrNotExist, "/x/y": fs.ErrNotExist, "/loop": syscall.ELOOP, "/loop/x": syscall.ELOOP, "/chain32": syscall.ELOOP,
	} {
		got, err := inroot.Resolve(root, path)
		if !errors.Is(err, want) {
			t.Errorf("Resolve(%q) = %q, %v, want %v", path, got, err, want)
		}
	}
}

func TestResolveNew(t *testing.T) {
	root := system(t)
	for path, want := range map[string]string{
		"/lib/new": "/usr/lib/new", "/nowhere": "/gone", "/nowhere/a/b": "/gone/a/b", "/var/back/x/y/": "/usr/lib/x/y", "/usr/lib": "/usr/lib",
	} {
		got, err := inroot.ResolveNew(root, path)
		if err != nil || got != want {
			t.Errorf("ResolveNew(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
	if got, err := inroot.ResolveNew(root, "/loop/x"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("ResolveNew(/loop/x) = %q, %v, want ELOOP", got, err)
	}
}

func TestResolveIn(t *testing.T) {
	root := system(t)
	for path, want := range map[string]string{"/lib/file": "/usr/lib/file", "/up/new/x": "/usr/lib/new/x", "/top": "/", "/nowhere/..": "/"} {
		_, missing := os.Lstat(inroot.Join(root, want))
		for name, fsys := range map[string]fs.FS{"Dir": inroot.Dir(root), "os.DirFS": os.DirFS(root)} {
			got, exists, err := inroot.ResolveIn(fsys, path)
			if err != nil || got != want || exists != (missing == nil && path != "/nowhere/..") {
				t.Errorf("ResolveIn(%s, %q) = %q, %t, %v, want %q", name, path, got, exists, err, want)
			}
		}
	}
	if _, _, err := inroot.ResolveIn(inroot.Dir(root), "/slash"); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("ResolveIn(/slash) = %v, want ENOTDIR", err)
	}
}

// TestDirHasEveryName has a name that os.DirFS does not take.
func TestDirHasEveryName(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "\xff"), []byte("text"), 0o644); err != nil {
		t.Skip(err) // not every file system has it
	}
	at, exists, err := inroot.ResolveIn(inroot.Dir(root), "/\xff")
	if err != nil || !exists {
		t.Fatalf("ResolveIn = %q, %t, %v", at, exists, err)
	}
	text, err := fs.ReadFile(inroot.Dir(root), at[1:])
	if err != nil || string(text) != "text" {
		t.Errorf("ReadFile = %q, %v", text, err)
	}
}

// FuzzResolve never leaves the root.
func FuzzResolve(f *testing.F) {
	f.Add("/usr/lib", "../../..")
	f.Add("/link/x", "/etc")
	f.Fuzz(func(t *testing.T, path, target string) {
		root := t.TempDir()
		if os.MkdirAll(filepath.Join(root, "etc/sub"), 0o755) != nil || os.Symlink(target, filepath.Join(root, "link")) != nil {
			return
		}
		got, err := inroot.Resolve(root, path)
		if err != nil {
			return
		}
		if got != filepath.Clean("/"+got) {
			t.Errorf("Resolve(%q) = %q", path, got)
		}
		real, err := filepath.EvalSymlinks(inroot.Join(root, got))
		if err != nil || real != inroot.Join(root, got) {
			t.Errorf("Resolve(%q) = %q, which is %q, %v", path, got, real, err)
		}
	})
}
