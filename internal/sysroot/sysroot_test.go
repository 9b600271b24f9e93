package sysroot_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/sysroot"
	"sextant/internal/tree"
)

func base() fstest.MapFS {
	link := func(target string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
	}
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text), Mode: 0o644} }
	return fstest.MapFS{
		"etc/fstab":       file("root"),
		"etc/machine-id":  file(""),
		"usr/bin/sh":      file("sh"),
		"usr/lib/os":      file("os"),
		"bin":             link("usr/bin"),
		"etc/os":          link("../usr/lib/os"),
		"etc/dangling":    link("/nowhere/at/all"),
		"etc/round":       link("round"),
		"etc/up":          link("../../../../usr/lib"),
		"etc/state":       link("/var/lib/state"),
		"var/hidden":      file("covered by the partition"),
		"srv/www/index":   file("index"),
		"xfs/file":        file("covered"),
		"dirlink":         link("/srv/www/"),
		"usr/lib/to-var":  link("../../var/lib"),
		"usr/lib/to-self": link("."),
	}
}

func varFS() fstest.MapFS {
	return fstest.MapFS{
		"lib/state/one": &fstest.MapFile{Data: []byte("one"), Mode: 0o600},
		"lib/back":      &fstest.MapFile{Data: []byte("/etc/fstab"), Mode: fs.ModeSymlink | 0o777},
		"run":           &fstest.MapFile{Data: []byte("../run"), Mode: fs.ModeSymlink | 0o777},
	}
}

var errXFS = errors.New("xfs")

func newRoot(t *testing.T) *sysroot.Root {
	t.Helper()
	r, err := sysroot.New([]sysroot.Mount{{Dir: "/", FS: base()}, {Dir: "/var", FS: varFS()}, {Dir: "/xfs", Err: errXFS}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestResolve(t *testing.T) {
	r := newRoot(t)
	for _, c := range []struct{ path, at, kind string }{
		{"/etc/fstab", "/etc/fstab", "file"},
		{"/bin/sh", "/usr/bin/sh", "file"},
		{"/etc/os", "/usr/lib/os", "file"},
		{"/etc/up/os", "/usr/lib/os", "file"},
		{"/etc/state/one", "/var/lib/state/one", "file"},
		{"/etc/state/new/file", "/var/lib/state/new/file", ""},
		{"/etc/dangling", "/nowhere/at/all", ""},
		{"/usr/lib/to-var/back", "/etc/fstab", "file"},
		{"/usr/lib/to-self/to-self/os", "/usr/lib/os", "file"},
		{"/dirlink/index", "/srv/www/index", "file"},
		{"/var", "/var", "dir"},
		{"/var/hidden", "/var/hidden", ""},
		{"/var/run/x", "/run/x", ""},
		{"/var/../etc/../..", "/", "dir"},
		{"/etc/round", "", "more than 40 symbolic links"},
		{"/etc/fstab/x", "", "/etc/fstab is a file, not a directory"},
		{"/xfs/file", "", "xfs"},
		{"/etc/" + strings.Repeat("x", 256), "", "has 256 bytes"},
	} {
		at, node, err := r.Resolve(c.path)
		kind := ""
		if node != nil {
			kind = node.Mode.Kind()
		}
		if err != nil {
			if c.at != "" || !strings.Contains(err.Error(), c.kind) {
				t.Errorf("Resolve(%s): %v, want %s", c.path, err, c.at)
			}
			continue
		}
		if at != c.at || kind != c.kind {
			t.Errorf("Resolve(%s) = %s, %q, want %s, %q", c.path, at, kind, c.at, c.kind)
		}
	}
	if at, node, err := r.ResolveLink("/etc/os"); err != nil || at != "/etc/os" || node.Target != "../usr/lib/os" {
		t.Errorf("ResolveLink(/etc/os) = %s, %v, %v", at, node, err)
	}
}

// TestBind goes through directories that show others, in a circle too.
func TestBind(t *testing.T) {
	r, err := sysroot.New([]sysroot.Mount{
		{Dir: "/", FS: base()}, {Dir: "/var", FS: varFS()},
		{Dir: "/srv/www", Bind: "/var/lib"}, {Dir: "/data", Bind: "/etc/state"}, {Dir: "/usr/bin", Bind: "/usr/bin"},
		{Dir: "/a", Bind: "/b"}, {Dir: "/b", Bind: "/a"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/srv/www/state/one": "/var/lib/state/one", "/data/one": "/var/lib/state/one", "/data": "/var/lib/state",
		"/dirlink/new": "/var/lib/new", "/bin/sh": "/usr/bin/sh",
	} {
		if at, _, err := r.Resolve(path); err != nil || at != want {
			t.Errorf("Resolve(%s) = %s, %v, want %s", path, at, err, want)
		}
	}
	if _, _, err := r.Resolve("/a/x"); err == nil {
		t.Error("Resolve(/a/x) in a circle = nil")
	}
	if text, err := r.ReadFile("data/one"); err != nil || string(text) != "one" {
		t.Errorf("ReadFile(data/one) = %q, %v", text, err)
	}
}

func TestMount(t *testing.T) {
	r := newRoot(t)
	for at, want := range map[string]string{"/": "/ .", "/var": "/var .", "/var/lib": "/var lib", "/varnish": "/ varnish", "/xfs/a/b": "/xfs a/b"} {
		dir, name := r.Mount(at)
		if got := dir + " " + name; got != want {
			t.Errorf("Mount(%s) = %s, want %s", at, got, want)
		}
	}
}

// dump lists everything that can be read below dir.
func dump(t *testing.T, r *sysroot.Root, dir string) (list []string) {
	t.Helper()
	err := fs.WalkDir(r, dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%s %s", p, tree.ModeOf(d.Type()).Kind())
		switch {
		case d.Type().IsRegular():
			text, err := r.ReadFile(p)
			if err != nil {
				return err
			}
			line += " " + string(text)
		case d.Type() == fs.ModeSymlink:
			target, err := r.ReadLink(p)
			if err != nil {
				return err
			}
			line += " " + target
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestChanges(t *testing.T) {
	r := newRoot(t)
	file := func(text string) *tree.Inode {
		return &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: tree.Bytes(text)}
	}
	put := func(p string, node *tree.Inode) {
		t.Helper()
		at, _, err := r.ResolveLink(p)
		if err != nil {
			t.Fatal(err)
		}
		r.Put(at, node, "test")
	}
	put("/srv/www/index", file("new index"))
	put("/srv/www/more", file("more"))
	r.Remove("/srv/www/index", "test")
	put("/srv/new", tree.NewDir(0o755))
	put("/srv/new/a", file("a"))
	put("/srv/new/link", &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "/srv/www"})
	put("/srv/new/link/through", file("through"))
	want := []string{
		"srv dir", "srv/new dir", "srv/new/a file a", "srv/new/link symlink /srv/www",
		"srv/www dir", "srv/www/more file more", "srv/www/through file through",
	}
	if diff := cmp.Diff(want, dump(t, r, "srv")); diff != "" {
		t.Errorf("after changes (-want +got):\n%s", diff)
	}

	// A directory that was removed and comes back is empty.
	r.Remove("/srv", "test")
	put("/srv", tree.NewDir(0o755))
	if diff := cmp.Diff([]string{"srv dir"}, dump(t, r, "srv")); diff != "" {
		t.Errorf("after Remove and Put (-want +got):\n%s", diff)
	}

	// What has another type is removed first.
	before := len(r.Edits())
	put("/etc/fstab", tree.NewDir(0o755))
	edits := r.Edits()[before:]
	if len(edits) != 2 || edits[0].Node != nil || edits[0].Path != "/etc/fstab" || edits[1].Node == nil {
		t.Errorf("Put of a directory over a file gave %v", edits)
	}
	if entries, err := r.ReadDir("etc/fstab"); err != nil || len(entries) != 0 {
		t.Errorf("the new directory has %v, %v", entries, err)
	}
}

// TestFS lets the standard library check the rules of io/fs, before and after
// changes.
func TestFS(t *testing.T) {
	r, err := sysroot.New([]sysroot.Mount{{Dir: "/", FS: fstest.MapFS{
		"etc/fstab": {Data: []byte("x")}, "usr/bin/sh": {Data: []byte("y")}, "var/x": {},
	}}, {Dir: "/var", FS: varFS()}})
	if err != nil {
		t.Fatal(err)
	}
	r.Remove("/var/run", "its target is missing")
	r.Put("/usr/new", tree.NewDir(0o755), "")
	r.Put("/usr/new/file", &tree.Inode{Mode: tree.TypeRegular | 0o600, Content: tree.Bytes("text")}, "")
	if err := fstest.TestFS(r, "etc/fstab", "usr/new/file", "var/lib/state/one", "var/lib/back"); err != nil {
		t.Error(err)
	}
}

func TestNew(t *testing.T) {
	for name, mounts := range map[string][]sysroot.Mount{
		"none":    nil,
		"no root": {{Dir: "/var", FS: varFS()}},
		"twice":   {{Dir: "/", FS: base()}, {Dir: "/var", FS: varFS()}, {Dir: "/var", FS: varFS()}},
	} {
		if _, err := sysroot.New(mounts); err == nil {
			t.Errorf("%s: New = nil, want an error", name)
		}
	}
}

func ExampleRoot_Resolve() {
	r, _ := sysroot.New([]sysroot.Mount{{Dir: "/", FS: base()}, {Dir: "/var", FS: varFS()}})
	at, _, _ := r.Resolve("/etc/state/new")
	dir, name := r.Mount(at)
	fmt.Println(at, dir, path.Clean(name))
	// Output: /var/lib/state/new /var lib/state/new
}
