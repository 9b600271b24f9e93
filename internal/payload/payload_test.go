package payload_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/extension"
	"sextant/internal/payload"
	"sextant/internal/source"
	"sextant/internal/tree"
)

const releaseDir = "usr/lib/extension-release.d/"

// recipe returns a recipe whose one source has the given files.
func recipe(t *testing.T, files map[string]string) payload.Recipe {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		parent := filepath.Dir(path)
		if strings.HasSuffix(name, "/") {
			parent = path
		}
		if err := os.MkdirAll(parent, 0o755); err != nil {
			t.Fatal(err)
		}
		if parent == path {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return payload.Recipe{
		Extension: extension.Identity{Class: extension.Sysext, ID: "x", Version: "1", Architecture: "x86-64"},
		Output:    "x_1", Extras: []source.Extra{{Source: dir}}, Epoch: time.Unix(315532800, 0),
	}
}

func assemble(t *testing.T, r payload.Recipe) (*payload.Payload, error) {
	t.Helper()
	return payload.Assemble(context.Background(), r, source.Options{})
}

func paths(t *tree.Tree) []string {
	var list []string
	t.Each(func(path string, node *tree.Inode) {
		if !node.Mode.IsDir() || node.Len() == 0 {
			list = append(list, path)
		}
	})
	return list
}

func TestAssemble(t *testing.T) {
	p, err := assemble(t, recipe(t, map[string]string{
		"usr/bin/a": "a", "usr/empty/x/": "", "opt/b": "b", "etc/c": "c", "top": "d",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/opt/b", "/usr/bin/a", "/" + releaseDir + "extension-release.x"}
	if diff := cmp.Diff(want, paths(p.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	notice := "2 files outside /usr and /opt are left out, as a sysext cannot add them: /etc/c, /top"
	if diff := cmp.Diff([]string{notice}, p.Notices); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
	release := p.Tree.Lookup("/" + releaseDir + "extension-release.x")
	if value, _ := release.Xattr(extension.StrictXattr); string(value) != "0" {
		t.Errorf("%s = %q, want 0", extension.StrictXattr, value)
	}
	p.Tree.Each(func(path string, node *tree.Inode) {
		if node.ModTime.After(time.Unix(315532800, 0)) || node.UID != 0 {
			t.Errorf("%s: time %v, owner %d; want 1980 and root", path, node.ModTime, node.UID)
		}
	})
}

func TestKeepEmptyDirectories(t *testing.T) {
	r := recipe(t, map[string]string{"usr/bin/a": "a", "usr/empty/x/": ""})
	r.KeepEmptyDirectories = true
	p, err := assemble(t, r)
	if err != nil {
		t.Fatal(err)
	}
	if p.Tree.Lookup("/usr/empty/x") == nil {
		t.Error("the empty directory is gone")
	}
}

func TestConfextTakesEtc(t *testing.T) {
	r := recipe(t, map[string]string{"etc/c": "c", "usr/bin/a": "a"})
	r.Extension.Class = extension.Confext
	p, err := assemble(t, r)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/etc/c", "/etc/extension-release.d/extension-release.x"}
	if diff := cmp.Diff(want, paths(p.Tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

// TestUserRelease takes a release file of either name, and what it says.
func TestUserRelease(t *testing.T) {
	for _, name := range []string{"x", "x_1"} {
		p, err := assemble(t, recipe(t, map[string]string{
			"usr/bin/a": "a", releaseDir + "extension-release." + name: "ID=debian\nVERSION_ID=13",
		}))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want := "ID=debian\nVERSION_ID=13\nSYSEXT_ID=x\nSYSEXT_VERSION_ID=1\nSYSEXT_SCOPE=initrd system portable\nARCHITECTURE=x86-64\n"
		got := p.Tree.Lookup("/" + releaseDir + "extension-release.x").Content
		if diff := cmp.Diff(want, string(got.(tree.Bytes))); diff != "" {
			t.Errorf("%s: release file (-want +got):\n%s", name, diff)
		}
		if n := p.Tree.Lookup("/" + releaseDir).Len(); n != 1 {
			t.Errorf("%s: %d release files, want 1", name, n)
		}
	}
}

func TestAssembleRefusesNames(t *testing.T) {
	for _, name := range []string{"a/b", ".#x", strings.Repeat("n", 238)} {
		r := recipe(t, map[string]string{"usr/bin/a": "a"})
		r.Extension.ID = name
		if _, err := assemble(t, r); err == nil || !strings.Contains(err.Error(), "image name") {
			t.Errorf("Assemble of %.20q = %v, want an error about the image name", name, err)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  map[string]string
		remove []string
		want   string
	}{
		{"nothing to merge", map[string]string{"etc/a": ""}, nil, "nothing in /usr or /opt"},
		{"only empty directories", map[string]string{"usr/share/x/": ""}, nil, "nothing in /usr or /opt"},
		{"os-release", map[string]string{"usr/bin/a": "", "usr/lib/os-release": "ID=x\n"}, nil, "/usr/lib/os-release is in the tree"},
		{"release file removed", map[string]string{"usr/bin/a": ""}, []string{"/usr/lib/extension-release.d"}, "RemoveFiles= takes out"},
		{"bad release file", map[string]string{"usr/bin/a": "", releaseDir + "extension-release.x": "0=1\n"}, nil, "line 1"},
		{"for another architecture", map[string]string{"usr/bin/a": "", releaseDir + "extension-release.x": "ARCHITECTURE=arm64\n"}, nil, "built for x86-64"},
		{"release file of another image", map[string]string{"usr/bin/a": "", releaseDir + "extension-release.y": "ID=x\n"}, nil, "not called after the image"},
		{"two release files", map[string]string{"usr/bin/a": "", releaseDir + "extension-release.x": "", releaseDir + "extension-release.y": ""}, nil, "holds both"},
		{"release file is a directory", map[string]string{"usr/bin/a": "", releaseDir + "extension-release.x/y": ""}, nil, "is a dir"},
	} {
		r := recipe(t, c.files)
		r.RemoveFiles = c.remove
		if _, err := assemble(t, r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Assemble = %v, want %q", c.name, err, c.want)
		}
	}
}
