package tree_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/tree"
)

// plant makes a tree of lines such as
//
//	usr/bin/x 4755
//	usr/lib/
//	usr/lib64 -> lib
//
// A slash at the end makes a directory, all else is a file of mode 0644
// unless the line ends in a mode. The origin of each is name: path.
func plant(t *testing.T, name string, lines ...string) *tree.Tree {
	t.Helper()
	tr := tree.New()
	for _, line := range lines {
		path, target, link := strings.Cut(line, " -> ")
		path, mode, hasMode := strings.Cut(path, " ")
		node := &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: tree.Bytes(name)}
		switch {
		case link:
			node = &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: target}
		case strings.HasSuffix(path, "/"):
			node = tree.NewDir(0o755)
		}
		if hasMode {
			var perm tree.Mode
			fmt.Sscanf(mode, "%o", &perm)
			node.Mode = node.Mode.Type() | perm
		}
		path = strings.Trim(path, "/")
		node.Origin = name + ": " + path
		dir, base := "", path
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			dir, base = path[:i], path[i+1:]
		}
		parent, err := tr.MakeDirs(dir, 0o755, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if err := parent.Put(base, node); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// sketch returns a line for each path: its mode, and the content or target.
func sketch(tr *tree.Tree) []string {
	var lines []string
	tr.Walk(func(path string, node *tree.Inode) error {
		line := fmt.Sprintf("%s %s %o", path, node.Mode.Kind(), node.Mode.Perm())
		if b, ok := node.Content.(tree.Bytes); ok {
			line += " " + string(b)
		}
		if node.Target != "" {
			line += " " + node.Target
		}
		lines = append(lines, line)
		return nil
	})
	return lines
}

func paths(tr *tree.Tree) []string {
	var list []string
	tr.Walk(func(path string, node *tree.Inode) error {
		if path != "/" {
			list = append(list, path)
		}
		return nil
	})
	return list
}

func TestClampTimes(t *testing.T) {
	epoch := time.Unix(1000, 500)
	for _, c := range []struct{ have, want time.Time }{
		{time.Unix(1000, 501), epoch},
		{time.Unix(1000, 500), epoch},
		{time.Unix(1000, 499), time.Unix(1000, 499)},
		{time.Unix(-5, 0), time.Unix(-5, 0)},
		{time.Unix(1<<40, 0), epoch},
		{time.Time{}, epoch},
	} {
		tr := plant(t, "a", "usr/x")
		tr.Lookup("/usr/x").ModTime = c.have
		tr.ClampTimes(epoch)
		if got := tr.Lookup("/usr/x").ModTime; !got.Equal(c.want) {
			t.Errorf("ClampTimes(%v) of %v = %v, want %v", epoch, c.have, got, c.want)
		}
		if got := tr.Root.ModTime; !got.Equal(epoch) {
			t.Errorf("ClampTimes: root has %v, want %v", got, epoch)
		}
	}
}

func TestSquashOwners(t *testing.T) {
	tr := plant(t, "a", "usr/x")
	for _, path := range []string{"/", "/usr", "/usr/x"} {
		tr.Lookup(path).UID, tr.Lookup(path).GID = 1000, 100
	}
	tr.SquashOwners()
	tr.Walk(func(path string, node *tree.Inode) error {
		if node.UID != 0 || node.GID != 0 {
			t.Errorf("SquashOwners: %s belongs to %d:%d, want 0:0", path, node.UID, node.GID)
		}
		return nil
	})
}

func TestSetID(t *testing.T) {
	tr := plant(t, "a", "usr/su 4755", "usr/wall 2755", "usr/both 6755", "usr/plain 755", "usr/games/ 2775", "tmp/ 1777")
	want := []string{"/usr/both", "/usr/su", "/usr/wall"}
	if diff := cmp.Diff(want, tr.SetID()); diff != "" {
		t.Errorf("SetID (-want +got):\n%s", diff)
	}
}

func TestPruneEmptyDirs(t *testing.T) {
	for _, c := range []struct{ have, pruned, left []string }{
		{[]string{"usr/a/b/c/", "usr/a/d/", "usr/x"}, []string{"/usr/a"}, []string{"/usr", "/usr/x"}},
		{[]string{"usr/a/b/c/", "opt/d/"}, []string{"/opt", "/usr"}, nil},
		{[]string{"usr/a/b/", "usr/a/link -> b"}, []string{"/usr/a/b"}, []string{"/usr", "/usr/a", "/usr/a/link"}},
		{[]string{"usr/x"}, nil, []string{"/usr", "/usr/x"}},
		{nil, nil, nil},
	} {
		tr := plant(t, "a", c.have...)
		if diff := cmp.Diff(c.pruned, tr.PruneEmptyDirs()); diff != "" {
			t.Errorf("PruneEmptyDirs of %v (-want +got):\n%s", c.have, diff)
		}
		if diff := cmp.Diff(c.left, paths(tr)); diff != "" {
			t.Errorf("PruneEmptyDirs of %v leaves (-want +got):\n%s", c.have, diff)
		}
	}
}

func TestRestrict(t *testing.T) {
	have := []string{"usr/x", "usr/e/", "usr/local/y", "opt/z", "etc/shadow", "etc/ssh/key", "var/empty/", "link -> usr", "usrx"}
	for _, c := range []struct{ hierarchies, removed, left []string }{
		{
			[]string{"/usr", "/opt/"},
			[]string{"/etc/shadow", "/etc/ssh/key", "/link", "/usrx", "/var/empty"},
			[]string{"/opt", "/opt/z", "/usr", "/usr/e", "/usr/local", "/usr/local/y", "/usr/x"},
		},
		{
			[]string{"/usr/local", "/etc/ssh"},
			[]string{"/etc/shadow", "/link", "/opt/z", "/usr/e", "/usr/x", "/usrx", "/var/empty"},
			[]string{"/etc", "/etc/ssh", "/etc/ssh/key", "/usr", "/usr/local", "/usr/local/y"},
		},
		{
			[]string{"/link", "/usrx", "/etc/shadow/x"}, // none is a directory
			[]string{"/etc/shadow", "/etc/ssh/key", "/link", "/opt/z", "/usr/e", "/usr/local/y", "/usr/x", "/usrx", "/var/empty"},
			[]string{"/etc"},
		},
	} {
		tr := plant(t, "a", have...)
		if diff := cmp.Diff(c.removed, tr.Restrict(c.hierarchies)); diff != "" {
			t.Errorf("Restrict(%v) (-want +got):\n%s", c.hierarchies, diff)
		}
		if diff := cmp.Diff(c.left, paths(tr)); diff != "" {
			t.Errorf("Restrict(%v) leaves (-want +got):\n%s", c.hierarchies, diff)
		}
	}
}

func TestResolveDir(t *testing.T) {
	tr := plant(t, "a", "usr/lib/sub/x", "usr/lib64 -> lib", "lib -> usr/lib64", "usr/up -> ../usr/./lib/sub",
		"abs -> /usr", "climb -> usr/../../etc", "loop -> loop2", "loop2 -> loop", "dangling -> nowhere", "usr/file", "tofile -> usr/file",
		"usr/lib/back -> ../..")
	for _, c := range []struct {
		path string
		want string // a path that Lookup finds
		err  error
	}{
		{"", "/", nil},
		{"/", "/", nil},
		{"/usr/lib/", "/usr/lib", nil},
		{"/usr/lib64", "/usr/lib", nil},
		{"lib/sub", "/usr/lib/sub", nil},
		{"usr/up", "/usr/lib/sub", nil},
		{"lib/back/lib/back", "/", nil},
		{"abs", "", tree.ErrOutside},
		{"abs/lib", "", tree.ErrOutside},
		{"climb", "", tree.ErrOutside},
		{"usr/../usr", "", tree.ErrOutside},
		{"dangling", "", fs.ErrNotExist},
		{"nowhere", "", fs.ErrNotExist},
	} {
		got, err := tr.ResolveDir(c.path, false)
		if !errors.Is(err, c.err) || err != nil && got != nil {
			t.Errorf("ResolveDir(%q) = %v, %v, want error %v", c.path, got, err, c.err)
		}
		if c.err == nil && got != tr.Lookup(c.want) {
			t.Errorf("ResolveDir(%q) is not %s", c.path, c.want)
		}
	}
	for path, want := range map[string]string{
		"loop":      "symbolic links",
		"usr/file":  "/usr/file is a file from a: usr/file, not a directory",
		"tofile":    "not a directory",
		"tofile/x":  "not a directory",
		"usr/file/": "not a directory",
	} {
		if _, err := tr.ResolveDir(path, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ResolveDir(%q) = %v, want %q in it", path, err, want)
		}
	}
}

func TestResolveDirCreates(t *testing.T) {
	tr := plant(t, "a", "usr/lib/", "lib -> usr/lib", "dangling -> usr/nowhere")
	dir, err := tr.ResolveDir("lib/new/deep", true)
	if err != nil || dir != tr.Lookup("/usr/lib/new/deep") || dir.Mode != tree.TypeDir|0o755 {
		t.Errorf("ResolveDir = %v, %v, want /usr/lib/new/deep", dir, err)
	}
	if _, err := tr.ResolveDir("dangling/x", true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ResolveDir behind a dangling link = %v, want %v", err, fs.ErrNotExist)
	}
	deep := strings.Repeat("d/", tree.DepthMax)
	if _, err := tr.ResolveDir(deep, true); err != nil {
		t.Errorf("ResolveDir of %d names = %v", tree.DepthMax, err)
	}
	if _, err := tr.ResolveDir(deep+"d", true); err == nil {
		t.Errorf("ResolveDir of %d names is no error", tree.DepthMax+1)
	}
}

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		name   string
		first  []string
		target string
		second []string
		want   []string
	}{
		{
			"directories unite, the first one's mode stays", []string{"usr/ 700", "usr/a"}, "/", []string{"usr/ 711", "usr/b", "opt/ 711"},
			[]string{"/ dir 755", "/opt dir 711", "/usr dir 700", "/usr/a file 644 first", "/usr/b file 644 second"},
		},
		{
			"a file replaces a file", []string{"usr/a 600"}, "", []string{"usr/a 755"},
			[]string{"/ dir 755", "/usr dir 755", "/usr/a file 755 second"},
		},
		{
			"into a new target", []string{"usr/a"}, "/opt/x/", []string{"b"},
			[]string{"/ dir 755", "/opt dir 755", "/opt/x dir 755", "/opt/x/b file 644 second", "/usr dir 755", "/usr/a file 644 first"},
		},
		{
			"a link in the way of a directory", []string{"usr/lib/a", "lib -> usr/lib"}, "", []string{"lib/b"},
			[]string{"/ dir 755", "/lib symlink 777 usr/lib", "/usr dir 755", "/usr/lib dir 755", "/usr/lib/a file 644 first", "/usr/lib/b file 644 second"},
		},
		{
			"a target behind a link", []string{"usr/lib/a", "lib -> usr/lib"}, "lib", []string{"b"},
			[]string{"/ dir 755", "/lib symlink 777 usr/lib", "/usr dir 755", "/usr/lib dir 755", "/usr/lib/a file 644 first", "/usr/lib/b file 644 second"},
		},
		{
			"a link replaces a link", []string{"a -> b"}, "", []string{"a -> c"},
			[]string{"/ dir 755", "/a symlink 777 c"},
		},
	} {
		tr := plant(t, "first", c.first...)
		if err := tr.Merge(c.target, plant(t, "second", c.second...).Root); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, sketch(tr)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestMergeConflicts(t *testing.T) {
	for _, c := range []struct {
		first, target, second string
		err                   error
	}{
		{"usr/a", "", "usr/a/", tree.ErrConflict},
		{"usr/a/", "", "usr/a", tree.ErrConflict},
		{"usr/a", "", "usr/a -> b", tree.ErrConflict},
		{"usr/a -> b", "", "usr/a", tree.ErrConflict},
		{"usr/a/", "", "usr/a -> b", tree.ErrConflict},
		{"lib -> /usr/lib", "", "lib/", tree.ErrConflict},
		{"lib -> /usr/lib", "", "lib/", tree.ErrOutside},
		{"lib -> ../lib", "", "lib/", tree.ErrOutside},
		{"lib -> usr/lib", "", "lib/", fs.ErrNotExist},
	} {
		tr := plant(t, "first", c.first)
		err := tr.Merge(c.target, plant(t, "second", c.second).Root)
		if !errors.Is(err, c.err) {
			t.Errorf("Merge(%q, %s) over %s = %v, want %v", c.target, c.second, c.first, err, c.err)
			continue
		}
		for _, origin := range []string{"first: ", "second: "} {
			if !strings.Contains(err.Error(), origin) {
				t.Errorf("Merge(%s) over %s = %q, does not name %q", c.second, c.first, err, origin)
			}
		}
	}
}

func TestMergeTargets(t *testing.T) {
	for target, want := range map[string]error{
		"usr/a":  tree.ErrConflict,
		"../x":   tree.ErrOutside,
		"usr/..": tree.ErrOutside,
		"out":    tree.ErrOutside,
		"out/x":  tree.ErrOutside,
	} {
		tr := plant(t, "first", "usr/a", "out -> /tmp")
		if err := tr.Merge(target, plant(t, "second", "b").Root); !errors.Is(err, want) {
			t.Errorf("Merge(%q) = %v, want %v", target, err, want)
		}
	}
}

func TestMergeFile(t *testing.T) {
	tr := plant(t, "first", "usr/bin/a", "usr/bin/dir/")
	file := &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: tree.Bytes("x"), Origin: "/src/x"}
	for _, target := range []string{"/", "usr/bin/dir"} {
		if err := tr.Merge(target, file); !errors.Is(err, tree.ErrConflict) {
			t.Errorf("Merge(%q, file) = %v, want %v", target, err, tree.ErrConflict)
		}
	}
	if err := tr.Merge("/opt/app/x", file); err != nil || tr.Lookup("/opt/app/x") != file {
		t.Errorf("Merge(/opt/app/x, file) = %v", err)
	}
}

func TestRemoveGlobs(t *testing.T) {
	have := []string{"usr/lib/a.so", "usr/lib/b.so.1", "usr/lib/.hidden", "usr/lib/x/a.so", "usr/share/doc/p/README", "usr/share/man/",
		"lib -> usr/lib", "out -> /usr/lib", "usr/file[1]", "usr/é", "usr/bad\xff"}
	tr := func() *tree.Tree { return plant(t, "a", have...) }
	for _, c := range []struct {
		pattern string
		want    []string
	}{
		{"/usr/lib/*.so", []string{"/usr/lib/a.so"}},
		{"usr/lib/*", []string{"/usr/lib/.hidden", "/usr/lib/a.so", "/usr/lib/b.so.1", "/usr/lib/x"}},
		{"/usr/lib/?.so", []string{"/usr/lib/a.so"}},
		{"/**/*.so", []string{"/usr/lib/a.so", "/usr/lib/x/a.so"}},
		{"/usr/**/a.so", []string{"/usr/lib/a.so", "/usr/lib/x/a.so"}},
		{"/usr/**/**/**/a.so", []string{"/usr/lib/a.so", "/usr/lib/x/a.so"}},
		{"/usr/share/**", []string{"/usr/share"}},
		{"/usr/share/doc", []string{"/usr/share/doc"}},
		{"/usr/share/doc/", []string{"/usr/share/doc"}},
		{"/usr/lib/a.so/", nil},
		{"/usr/lib/*/", []string{"/usr/lib/x"}},
		{"/lib", []string{"/lib"}},
		{"/lib/", []string{"/lib"}},
		{"/lib/*.so", []string{"/lib/a.so"}},
		{"/out/*", nil},
		{"/*/lib/a.so", []string{"/usr/lib/a.so"}},
		{"/usr/lib/[ab].so*", []string{"/usr/lib/a.so", "/usr/lib/b.so.1"}},
		{"/usr/lib/[!a].so*", []string{"/usr/lib/b.so.1"}},
		{"/usr/lib/[b-a].so*", nil},
		{"/usr/lib/[!b-a].so*", []string{"/usr/lib/a.so", "/usr/lib/b.so.1"}},
		{"/usr/file[[]1]", []string{"/usr/file[1]"}},
		{"/usr/file[1", nil},
		{"/usr/file[1]", nil},
		{"/usr/[]f]ile[[]*", []string{"/usr/file[1]"}},
		{"/usr/[^f]*", []string{"/usr/file[1]"}},
		{"/usr/?", []string{"/usr/é"}},
		{"/usr/[à-ü]", []string{"/usr/é"}},
		{"/usr/bad?", []string{"/usr/bad\xff"}},
		{"/usr/bad*", []string{"/usr/bad\xff"}},
		{"/none/*", nil},
		{"/usr/lib/a.so/x", nil},
		{"/.", nil},
	} {
		tr := tr()
		got, err := tr.RemoveGlobs([]string{c.pattern})
		if c.pattern == "/." {
			if err == nil {
				t.Errorf("RemoveGlobs(%q) is no error", c.pattern)
			}
			continue
		}
		if err != nil {
			t.Errorf("RemoveGlobs(%q): %v", c.pattern, err)
		}
		if diff := cmp.Diff(c.want, got, cmp.Transformer("nil", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
			t.Errorf("RemoveGlobs(%q) (-want +got):\n%s", c.pattern, diff)
		}
		for _, path := range got {
			if strings.HasPrefix(path, "/lib/") {
				path = "/usr" + path
			}
			if tr.Lookup(path) != nil {
				t.Errorf("RemoveGlobs(%q) left %s", c.pattern, path)
			}
		}
	}
}

func TestRemoveGlobsOfTheRoot(t *testing.T) {
	tr := plant(t, "a", "usr/x", "opt/y")
	if _, err := tr.RemoveGlobs([]string{"/**"}); err != nil || tr.Root.Len() != 0 {
		t.Errorf("RemoveGlobs(/**) = %v, leaves %v", err, paths(tr))
	}
	for _, bad := range []string{"", "/", "../x", "/usr/../../x", "a/..", "/usr/\xff"} {
		tr := plant(t, "a", "usr/x")
		if _, err := tr.RemoveGlobs([]string{"/usr/x", bad}); err == nil {
			t.Errorf("RemoveGlobs(%q) is no error", bad)
		}
		if tr.Lookup("/usr/x") == nil {
			t.Errorf("RemoveGlobs(%q) removed something before its error", bad)
		}
	}
}

// TestRemoveGlobsIsNotSlow has a pattern that would take ages if every way to
// match were tried.
func TestRemoveGlobsIsNotSlow(t *testing.T) {
	tr := plant(t, "a", strings.Repeat("a/", 200)+"end", "loop -> .")
	if _, err := tr.RemoveGlobs([]string{strings.Repeat("**/a/", 30) + "nothing", strings.Repeat("*/", 100) + "x", strings.Repeat("*a", 100) + "b"}); err != nil {
		t.Error(err)
	}
}
