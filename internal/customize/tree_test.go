package customize_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/customize"
	"sextant/internal/disk"
	"sextant/internal/fault"
	"sextant/internal/prism"
)

// treeConfig replaces a file, makes one with its parents, and puts a hostname.
const treeConfig = `os:
  hostname: new
  additionalFiles:
  - {content: "new\n", destination: /etc/motd}
  - {content: "tool\n", destination: /usr/local/bin/tool, permissions: "755"}
`

// rootDirectory makes a directory with a root file system.
func rootDirectory(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "root")
	for name, text := range map[string]string{"etc/hostname": "old\n", "etc/motd": "old\n", "usr/lib/os-release": "ID=debian\n", "var/kept": "kept\n"} {
		write(t, filepath.Join(dir, name), name, text)
	}
	return dir
}

func customizeTree(t *testing.T, base string, change func(*customize.Plan) error) error {
	t.Helper()
	b, err := customize.OpenPath(t.Context(), base, customize.Options{Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cfg, err := prism.Parse([]byte(treeConfig), "c.yaml", filepath.Dir(base))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := customize.New(t.Context(), b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return change(plan)
}

func wantTree() map[string]string {
	return map[string]string{
		"etc/hostname": "0644 new\n", "etc/motd": "0644 new\n", "usr/lib/os-release": "0644 ID=debian\n",
		"usr/local/bin/tool": "0755 tool\n", "var/kept": "0644 kept\n",
	}
}

// TestDirectoryBase makes a changed copy of a directory, and changes it in place.
func TestDirectoryBase(t *testing.T) {
	base := rootDirectory(t)
	out := filepath.Join(t.TempDir(), "out")
	write := func(p *customize.Plan) error { return p.Write(t.Context(), customize.Output{Path: out}) }
	if err := customizeTree(t, base, write); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantTree(), filesOf(t, os.DirFS(out))); diff != "" {
		t.Errorf("the copy (-want +got):\n%s", diff)
	}
	if got := filesOf(t, os.DirFS(base))["etc/motd"]; got != "0644 old\n" {
		t.Errorf("the base has another /etc/motd: %q", got)
	}
	if err := customizeTree(t, base, func(p *customize.Plan) error { return p.WriteInPlace(t.Context()) }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantTree(), filesOf(t, os.DirFS(base))); diff != "" {
		t.Errorf("in place (-want +got):\n%s", diff)
	}
}

// TestArchiveBase makes a changed copy of a tar archive, and no disk of it.
func TestArchiveBase(t *testing.T) {
	base := filepath.Join(t.TempDir(), "root.tar.gz")
	packTar(t, base, os.DirFS(rootDirectory(t)))
	out := filepath.Join(t.TempDir(), "out.tar.gz")
	for _, format := range []disk.Format{disk.Raw, ""} {
		err := customizeTree(t, base, func(p *customize.Plan) error {
			return p.Write(t.Context(), customize.Output{Path: out, Format: format})
		})
		if want := map[disk.Format]error{disk.Raw: fault.ErrUnsupported}[format]; !errors.Is(err, want) {
			t.Fatalf("format %q: %v, want %v", format, err, want)
		}
	}
	if diff := cmp.Diff(wantTree(), unpackTar(t, out)); diff != "" {
		t.Errorf("the archive (-want +got):\n%s", diff)
	}
}

// filesOf gives the regular files of a tree with mode and content.
func filesOf(t *testing.T, fsys fs.FS) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		state, err := d.Info()
		if err != nil {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		found[name] = fmt.Sprintf("%04o %s", state.Mode().Perm(), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func packTar(t *testing.T, path string, fsys fs.FS) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	w := tar.NewWriter(z)
	if err := errors.Join(w.AddFS(fsys), w.Close(), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func unpackTar(t *testing.T, path string) map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			found[h.Name] = fmt.Sprintf("%04o %s", h.Mode, text)
		}
	}
}
