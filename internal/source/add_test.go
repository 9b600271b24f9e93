package source_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/source"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// add adds the extras, "source:target" below dir, to an empty tree.
func add(t testing.TB, dir string, extras ...string) (*tree.Tree, []string, error) {
	t.Helper()
	tr := tree.New()
	var all []string
	for _, e := range extras {
		src, target, _ := strings.Cut(e, ":")
		notices, err := source.Add(t.Context(), tr, source.Extra{Source: dir + "/" + src, Target: target}, source.Options{Spool: spool(t)})
		if err != nil {
			return nil, nil, err
		}
		all = append(all, notices...)
	}
	return tr, all, nil
}

// shelf makes a directory with sources of every kind.
func shelf(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/tree/usr/bin/tool", "tool")
	check(t, os.Chmod(dir+"/tree/usr/bin/tool", 0o750))
	check(t, os.Chmod(dir+"/tree/usr/bin", 0o711))
	write(t, dir+"/more/usr/bin/tool", "better tool")
	write(t, dir+"/more/usr/bin/other", "other")
	check(t, os.Chmod(dir+"/more/usr/bin", 0o700))
	check(t, os.Chmod(dir+"/more", 0o700))
	write(t, dir+"/conflict/usr/bin", "a file")
	write(t, dir+"/file.conf", "a=b")
	check(t, os.Symlink("file.conf", dir+"/link.conf"))
	check(t, os.Symlink("tree", dir+"/linktree"))
	check(t, os.WriteFile(dir+"/a.tar", pack(t, folder("usr/share/", 0o755), file("usr/share/x")), 0o644))
	check(t, os.WriteFile(dir+"/noname", pack(t, file("opt/y")), 0o644))
	write(t, dir+"/broken.tar", "no tar at all")
	write(t, dir+"/disk.raw", "no disk")
	write(t, dir+"/text.gz", "no gzip")
	check(t, syscall.Mkfifo(dir+"/fifo", 0o644))
	return dir
}

func TestAdd(t *testing.T) {
	dir := shelf(t)
	for _, c := range []struct {
		extras []string
		want   []string // path, kind, mode and size, without the parents
	}{
		{[]string{"tree"}, []string{"/ dir 0755", "/usr dir 0755", "/usr/bin dir 0711", "/usr/bin/tool file 0750 4"}},
		{[]string{"linktree:/"}, []string{"/ dir 0755", "/usr dir 0755", "/usr/bin dir 0711", "/usr/bin/tool file 0750 4"}},
		// Who comes first says what a directory is like, who comes last what a
		// file is.
		{[]string{"tree", "more"}, []string{"/ dir 0755", "/usr dir 0755", "/usr/bin dir 0711", "/usr/bin/other file 0644 5", "/usr/bin/tool file 0644 11"}},
		{[]string{"more:/opt/app"}, []string{"/ dir 0755", "/opt dir 0755", "/opt/app dir 0700", "/opt/app/usr dir 0755",
			"/opt/app/usr/bin dir 0700", "/opt/app/usr/bin/other file 0644 5", "/opt/app/usr/bin/tool file 0644 11"}},
		{[]string{"file.conf:/etc/app.conf"}, []string{"/ dir 0755", "/etc dir 0755", "/etc/app.conf file 0644 3"}},
		{[]string{"file.conf:etc/new/"}, []string{"/ dir 0755", "/etc dir 0755", "/etc/new dir 0755", "/etc/new/file.conf file 0644 3"}},
		{[]string{"file.conf:/"}, []string{"/ dir 0755", "/file.conf file 0644 3"}},
		{[]string{"file.conf"}, []string{"/ dir 0755", "/file.conf file 0644 3"}},
		{[]string{"link.conf"}, []string{"/ dir 0755", "/file.conf file 0644 3"}},
		{[]string{"tree", "file.conf:/usr/bin"}, []string{"/ dir 0755", "/usr dir 0755", "/usr/bin dir 0711", "/usr/bin/file.conf file 0644 3", "/usr/bin/tool file 0750 4"}},
		{[]string{"tree", "file.conf:/usr/bin/tool"}, []string{"/ dir 0755", "/usr dir 0755", "/usr/bin dir 0711", "/usr/bin/tool file 0644 3"}},
		{[]string{"a.tar"}, []string{"/ dir 0755", "/usr dir 0755", "/usr/share dir 0755", "/usr/share/x file 0644 11"}},
		{[]string{"noname"}, []string{"/ dir 0755", "/opt dir 0755", "/opt/y file 0644 5"}},
		{[]string{"broken.tar:/usr/x"}, []string{"/ dir 0755", "/usr dir 0755", "/usr/x file 0644 13"}},
		{[]string{"disk.raw:/usr/disk"}, []string{"/ dir 0755", "/usr dir 0755", "/usr/disk file 0644 7"}},
		{[]string{"text.gz"}, []string{"/ dir 0755", "/text.gz file 0644 7"}},
	} {
		tr, _, err := add(t, dir, c.extras...)
		if err != nil {
			t.Errorf("Add(%v): %v", c.extras, err)
			continue
		}
		var got []string
		for path, line := range sketch(tr, time.Time{}) {
			f := strings.Fields(line)
			short := path + " " + f[0] + " " + f[1]
			if f[0] == "file" {
				short += " " + f[len(f)-1]
			}
			got = append(got, short)
		}
		if diff := cmp.Diff(c.want, got, sorted()); diff != "" {
			t.Errorf("Add(%v) (-want +got):\n%s", c.extras, diff)
		}
	}
}

func TestAddArchiveWithATarget(t *testing.T) {
	dir := shelf(t)
	tr, notices, err := add(t, dir, "a.tar:/usr/lib/a.tar")
	check(t, err)
	if tr.Lookup("/usr/lib/a.tar") == nil || !tr.Lookup("/usr/lib/a.tar").Mode.IsRegular() {
		t.Error("an archive with a target is not copied as a file, as mkosi does")
	}
	if len(notices) != 1 || !strings.Contains(notices[0], "a.tar") || !strings.Contains(notices[0], "/usr/lib/a.tar") {
		t.Errorf("notices = %q, want one that says so", notices)
	}
	tr = tree.New()
	notices, err = source.Add(t.Context(), tr, source.Extra{Source: dir + "/a.tar", Target: "/opt/app", Unpack: true}, source.Options{})
	if err != nil || notices != nil || tr.Lookup("/opt/app/usr/share/x") == nil {
		t.Errorf("Add with Unpack = %v, %v, want what is in the archive at the target", notices, err)
	}
}

func TestAddErrors(t *testing.T) {
	dir := shelf(t)
	for _, c := range []struct {
		extras []string
		want   error
		text   []string
	}{
		{[]string{"missing"}, fs.ErrNotExist, []string{"add " + dir + "/missing"}},
		{[]string{"missing:/usr"}, fs.ErrNotExist, []string{"add " + dir + "/missing:/usr"}},
		{[]string{"tree", "conflict"}, tree.ErrConflict, []string{dir + "/tree/usr/bin", dir + "/conflict/usr/bin"}},
		{[]string{"conflict", "tree"}, tree.ErrConflict, []string{dir + "/tree/usr/bin", dir + "/conflict/usr/bin"}},
		{[]string{"file.conf:/usr", "tree"}, tree.ErrConflict, []string{dir + "/file.conf", dir + "/tree/usr"}},
		{[]string{"file.conf:/usr/x", "tree:/usr/x"}, tree.ErrConflict, []string{dir + "/file.conf"}},
		{[]string{"tree", "a.tar", "tree:/usr/share/x"}, tree.ErrConflict, []string{"a.tar: usr/share/x"}},
		{[]string{"file.conf:/usr/x", "file.conf:/usr/x/y"}, nil, []string{"not a directory", dir + "/file.conf"}},
		{[]string{"file.conf:../x"}, tree.ErrOutside, []string{"../x"}},
		{[]string{"file.conf:/usr/../../x"}, tree.ErrOutside, []string{"/usr/../../x"}},
		{[]string{"tree:/.."}, tree.ErrOutside, []string{"/.."}},
		{[]string{"file.conf:/usr/" + strings.Repeat("n", 256)}, nil, []string{"256 bytes"}},
		{[]string{"fifo:/usr/fifo"}, nil, []string{"not a fifo"}},
		{[]string{"broken.tar"}, fault.ErrCorrupt, []string{"broken.tar"}},
		{[]string{"disk.raw"}, fault.ErrUnsupported, []string{"disk.raw"}},
	} {
		tr, _, err := add(t, dir, c.extras...)
		if err == nil || tr != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("Add(%v) = %v, want %v", c.extras, err, c.want)
			continue
		}
		for _, text := range c.text {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("Add(%v) = %v, does not say %q", c.extras, err, text)
			}
		}
	}
	extra := source.Extra{Source: dir + "/file.conf", Target: "/usr", Unpack: true}
	if _, err := source.Add(t.Context(), tree.New(), extra, source.Options{}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Add of a file with Unpack = %v, want %v", err, fault.ErrUnsupported)
	}
}

// TestAddThroughLinks has an image whose /lib is a link, as all have.
func TestAddThroughLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/base/usr/lib/a", "a")
	check(t, os.Symlink("usr/lib", dir+"/base/lib"))
	check(t, os.Symlink("/etc", dir+"/base/out"))
	write(t, dir+"/more/lib/b", "b")
	write(t, dir+"/bad/out/passwd", "p")
	check(t, os.WriteFile(dir+"/c.tar", pack(t, file("lib/c")), 0o644))
	check(t, os.WriteFile(dir+"/bad.tar", pack(t, file("out/passwd")), 0o644))
	tr, _, err := add(t, dir, "base", "more", "c.tar")
	check(t, err)
	for _, path := range []string{"/usr/lib/a", "/usr/lib/b", "/usr/lib/c"} {
		if tr.Lookup(path) == nil {
			t.Errorf("%s is not there", path)
		}
	}
	for _, bad := range []string{"bad", "bad.tar", "bad/out/passwd:/out/passwd"} {
		if _, _, err := add(t, dir, "base", bad); !errors.Is(err, tree.ErrOutside) {
			t.Errorf("Add(%s) = %v, want %v", bad, err, tree.ErrOutside)
		}
	}
}

// TestAddAgainstCp compares with the command that mkosi 27 runs for a tree
// and with what it does around it: it puts the modes of the directories that
// were there back (its mkosi/tree.py, copy_tree).
func TestAddAgainstCp(t *testing.T) {
	testenv.Require(t, "cp")
	dir := shelf(t)
	root := t.TempDir()
	check(t, os.Chmod(root, 0o755))
	cp := func(src string) {
		run(t, "cp", "--recursive", "--no-dereference", "--preserve=mode,links", "--copy-contents", "--no-target-directory", dir+"/"+src, root)
	}
	cp("tree")
	cp("more")
	check(t, os.Chmod(root, 0o755))
	check(t, os.Chmod(root+"/usr/bin", 0o711))
	want, err := source.Directory(t.Context(), root, source.Options{})
	check(t, err)
	got, _, err := add(t, dir, "tree", "more")
	check(t, err)
	for _, tr := range []*tree.Tree{want, got} {
		tr.SquashOwners()
		tr.ClampTimes(time.Unix(1, 0))
	}
	if diff := cmp.Diff(dump(t, want), dump(t, got)); diff != "" {
		t.Errorf("(-cp +Add):\n%s", diff)
	}
}

func TestIsTar(t *testing.T) {
	dir := shelf(t)
	write(t, dir+"/dir.tar.gz.sig", "signature")
	write(t, dir+"/empty", "")
	for name, want := range map[string]bool{
		"a.tar": true, "noname": true, "broken.tar": true, "file.conf": false, "text.gz": false, "dir.tar.gz.sig": false, "empty": false,
	} {
		if got, err := source.IsTar(dir + "/" + name); got != want || err != nil {
			t.Errorf("IsTar(%s) = %v, %v, want %v", name, got, err, want)
		}
	}
	if _, err := source.IsTar(dir + "/missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("IsTar of nothing = %v, want %v", err, fs.ErrNotExist)
	}
}

func sorted() cmp.Option {
	return cmp.Transformer("sorted", func(s []string) map[string]bool {
		m := make(map[string]bool)
		for _, x := range s {
			m[x] = true
		}
		return m
	})
}
