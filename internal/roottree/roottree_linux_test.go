package roottree_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sextant/internal/fault"
	"sextant/internal/imagetest"
	"sextant/internal/roottree"
	"sextant/internal/source"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

var when = time.Unix(1_700_000_000, 0)

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	testenv.Require(t, name)
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func file(content string) *tree.Inode {
	n := &tree.Inode{Mode: tree.TypeRegular | 0o640, ModTime: when, Content: tree.Bytes(content), UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	n.PutXattr("user.note", []byte("new"))
	return n
}

func dir() *tree.Inode {
	d := tree.NewDir(0o750)
	d.ModTime, d.UID, d.GID = when, uint32(os.Getuid()), uint32(os.Getgid())
	return d
}

// root makes a small root directory with what can go wrong in it: links that lead
// out, hard links, holes, attributes, a mode that keeps others out.
func root(t testing.TB) string {
	t.Helper()
	top := filepath.Join(t.TempDir(), "root")
	for _, d := range []string{"etc", "usr/bin", "usr/lib/systemd", "var/lib/old/deep"} {
		must(t, os.MkdirAll(filepath.Join(top, d), 0o755))
	}
	at := func(name string) string { return filepath.Join(top, name) }
	must(t,
		os.WriteFile(at("etc/os-release"), []byte("ID=test\n"), 0o644),
		os.WriteFile(at("usr/bin/tool"), []byte("#!/bin/sh\n"), 0o755),
		os.Link(at("usr/bin/tool"), at("usr/bin/tool2")),
		os.Mkdir(beyond(top), 0o755),
		os.WriteFile(filepath.Join(beyond(top), "file"), nil, 0o644),
		os.Symlink(beyond(top), at("outside")),
		os.Symlink("../../..", at("usr/up")),
		os.Symlink("usr/bin", at("bin")),
		os.WriteFile(at("var/lib/old/deep/file"), []byte("old"), 0o644),
		os.WriteFile(at("usr/lib/secret"), []byte("s"), 0o600),
		os.WriteFile(at("sparse"), []byte("begin"), 0o644),
		os.Truncate(at("sparse"), 8<<20),
	)
	must(t, filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return unix.Lutimes(path, []unix.Timeval{{Sec: when.Unix()}, {Sec: when.Unix() - 3600}})
	}))
	return top
}

// beyond is a directory outside the root, to which a link in it leads.
func beyond(top string) string { return filepath.Join(filepath.Dir(top), "beyond") }

// change makes about every kind of change.
func change(t testing.TB, e *roottree.Editor) {
	t.Helper()
	device := &tree.Inode{Mode: tree.TypeFIFO | 0o600, ModTime: when, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
	must(t,
		e.Put("var/lib/extensions", dir()),
		e.Put("/var/lib/extensions/a.raw", &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: when, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), Content: imagetest.Noise{Seed: 1, Length: 1 << 20}}),
		e.Put("etc/hostname", file("host\n")),
		e.Put("etc/os-release", file("ID=other\n")),
		e.Put("etc/link", &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "/etc/passwd", ModTime: when, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}),
		e.Put("etc/pipe", device),
		e.Put("usr/lib/systemd", dir()), // stays, with other attributes
		e.RemoveAll("var/lib/old"),
		e.RemoveAll("nothing/there"),
		e.Remove("bin"),
		e.Put("bin", dir()), // a link becomes a directory
		e.Put("bin/x", file("x")),
		e.RemoveAll("usr/lib/secret"),
		e.Set("usr/bin/tool", &tree.Inode{Mode: 0o700, ModTime: when, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}),
	)
}

// dump gives what imagetest says of a directory.
func dump(t testing.TB, path string) map[string]string {
	t.Helper()
	list, err := imagetest.DumpDir(path)
	must(t, err)
	delete(list, "/outside") // leads to another place in each test
	return list
}

// wanted is the changed tree, made by the editor's FS alone.
func wanted(t testing.TB, e *roottree.Editor) []string {
	t.Helper()
	var list []string
	must(t, fs.WalkDir(e.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		list = append(list, path+" "+d.Type().String())
		return nil
	}))
	return list
}

func open(t testing.TB, path string) *roottree.Base {
	t.Helper()
	b, err := roottree.Open(t.Context(), path, "")
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	return b
}

var options = roottree.Options{Time: when.Add(time.Minute)}

// TestInPlaceAndCopy compares the two ways to change a directory.
func TestInPlaceAndCopy(t *testing.T) {
	top := root(t)
	before := dump(t, top)
	outside := dump(t, beyond(top))
	copied := filepath.Join(t.TempDir(), "copy")
	into, err := open(t, top).Into(t.Context(), copied, options)
	must(t, err)
	change(t, into)
	must(t, into.Commit())
	if diff := cmp.Diff(before, dump(t, top)); diff != "" {
		t.Errorf("the base changed:\n%s", diff)
	}
	place, err := open(t, top).InPlace(t.Context(), options)
	must(t, err)
	change(t, place)
	if diff := cmp.Diff(before, dump(t, top)); diff != "" {
		t.Errorf("the base changed before Commit:\n%s", diff)
	}
	must(t, place.Commit())
	got := dump(t, copied)
	if diff := imagetest.Diff(dump(t, top), got); len(diff) > 0 {
		t.Errorf("in place and as a copy:\n%s", strings.Join(diff, "\n"))
	}
	if list := wanted(t, into); len(list) != len(got)+1 {
		t.Errorf("%d files, %d are wanted: %v", len(got), len(list), list)
	}
	if diff := cmp.Diff(outside, dump(t, beyond(top))); diff != "" {
		t.Errorf("something changed outside:\n%s", diff)
	}
	if len(place.Notices()) > 0 || roottree.Interrupted(top) {
		t.Errorf("notices %q, interrupted: %t", place.Notices(), roottree.Interrupted(top))
	}
	if err := place.Put("x", file("")); err == nil {
		t.Error("Put after Commit, want an error")
	}
	if state, err := os.Stat(filepath.Join(top, "usr/bin/tool2")); err != nil || state.Mode().Perm() != 0o700 {
		t.Errorf("the second name of a file: %v, %v, want the new mode", state.Mode(), err)
	}
	again, err := open(t, top).Into(t.Context(), copied, options)
	must(t, err)
	if err := again.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Commit over a directory = %v, want ErrExist", err)
	}
}

// TestArchives compares with what tar(1) makes and unpacks.
func TestArchives(t *testing.T) {
	testenv.RequireRoot(t) // for owners and the temporary directory's labels
	for name, flag := range map[string]string{"base.tar": "", "base.tar.gz": "--gzip", "base.tar.zst": "--zstd", "base.tar.xz": "--xz"} {
		t.Run(name, func(t *testing.T) {
			top := root(t)
			work := t.TempDir()
			archive, out := filepath.Join(work, name), filepath.Join(work, "out-"+name)
			args := []string{"-C", top, "--xattrs", "--xattrs-include=*", "-cSf", archive, "."}
			if flag != "" {
				args = append([]string{flag}, args...)
			}
			run(t, "tar", args...)
			base := open(t, archive)
			e, err := base.Into(t.Context(), out, options)
			must(t, err)
			change(t, e)
			below, err := fs.Sub(e.FS(), "var") // without links and pipes, that TestFS does not like
			must(t, err, fstest.TestFS(below, "lib/extensions/a.raw"), e.Commit())
			compression, err := source.Compression(out)
			if err != nil || compression != base.Compression {
				t.Errorf("written with %q, %v, read with %q", compression, err, base.Compression)
			}
			unpacked := filepath.Join(work, "unpacked")
			must(t, os.Mkdir(unpacked, 0o755))
			run(t, "tar", "-C", unpacked, "--xattrs", "--xattrs-include=*", "-xpf", out)
			place, err := open(t, top).InPlace(t.Context(), options)
			must(t, err)
			change(t, place)
			must(t, place.Commit())
			if diff := imagetest.Diff(dump(t, unpacked), dump(t, top)); len(diff) > 0 {
				t.Errorf("unpacked, and changed in place:\n%s", strings.Join(diff, "\n"))
			}
			sameAgain(t, archive, out)
		})
	}
}

// sameAgain makes the same changes once more, in place, and wants the same bytes.
func sameAgain(t *testing.T, archive, out string) {
	t.Helper()
	e, err := open(t, archive).InPlace(t.Context(), options)
	must(t, err)
	change(t, e)
	must(t, e.Commit())
	first, err := os.ReadFile(out)
	must(t, err)
	second, err := os.ReadFile(archive)
	must(t, err)
	if string(first) != string(second) {
		t.Error("the same changes gave different bytes")
	}
}

// TestInterrupted stops a change at each step of its journal, by leaving the
// stage as it is at that moment, and recovers.
func TestInterrupted(t *testing.T) {
	var want map[string]string
	for stop := 0; ; stop++ {
		top := root(t)
		e, err := open(t, top).InPlace(t.Context(), options)
		must(t, err)
		change(t, e)
		stopped := roottree.StopAfter(e, stop)
		err = e.Commit()
		if !*stopped {
			must(t, err)
			if stop < 10 || len(imagetest.Diff(dump(t, top), want)) > 0 {
				t.Errorf("only %d steps", stop)
			}
			return
		}
		if !roottree.Interrupted(top) {
			t.Fatalf("after step %d: not interrupted", stop)
		}
		if _, err := roottree.Open(t.Context(), top, ""); err == nil {
			t.Error("Open of an interrupted directory, want an error")
		}
		completed, err := roottree.Recover(top)
		must(t, err)
		after := dump(t, top)
		if want == nil {
			want = after
		}
		if diff := imagetest.Diff(after, want); !completed || len(diff) > 0 {
			t.Errorf("after step %d: completed: %t\n%s", stop, completed, strings.Join(diff, "\n"))
		}
		if roottree.Interrupted(top) {
			t.Errorf("after step %d: still interrupted", stop)
		}
	}
}

// TestNoJournal forgets a change that was being prepared.
func TestNoJournal(t *testing.T) {
	top := root(t)
	before := dump(t, top)
	must(t, os.MkdirAll(filepath.Join(top, ".sextant-customize/new/0"), 0o700), os.WriteFile(filepath.Join(top, ".sextant-customize/journal.tmp"), []byte("["), 0o600))
	completed, err := roottree.Recover(top)
	must(t, err, os.Chtimes(top, when, when.Add(-time.Hour)))
	if diff := cmp.Diff(before, dump(t, top)); completed || diff != "" {
		t.Errorf("completed: %t\n%s", completed, diff)
	}
	if completed, err := roottree.Recover(top); completed || err != nil {
		t.Errorf("Recover where nothing is = %t, %v", completed, err)
	}
}

// TestHostileJournal recovers what somebody else prepared, to get at what lies
// outside.
func TestHostileJournal(t *testing.T) {
	for name, journal := range map[string]string{
		"no JSON":       `[{"path":`,
		"up":            `[{"path":"../beyond"}]`,
		"through link":  `[{"path":"outside/file"}]`,
		"place outside": `[{"path":"outside/new","from":"0"}]`,
		"from outside":  `[{"path":"etc/new","from":"../../../beyond/file"}]`,
		"mark outside":  `[{"path":"outside","is":{"mode":16895}}]`,
		"mark up":       `[{"path":"usr/up","is":{"mode":16895}}]`,
		"the root":      `[{"path":"."}]`,
	} {
		top := root(t)
		outside := dump(t, beyond(top))
		must(t, os.MkdirAll(filepath.Join(top, ".sextant-customize/new/0"), 0o700), os.WriteFile(filepath.Join(top, ".sextant-customize/journal"), []byte(journal), 0o600))
		_, err := roottree.Recover(top)
		if name == "no JSON" && !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s: Recover = %v, want ErrCorrupt", name, err)
		}
		if diff := cmp.Diff(outside, dump(t, beyond(top))); diff != "" {
			t.Errorf("%s: Recover = %v, and outside:\n%s", name, err, diff)
		}
	}
}

func TestRefusals(t *testing.T) {
	top := root(t)
	e := open(t, top).Scratch(options)
	for name, c := range map[string]struct{ err, want error }{
		"through a link":   {e.Put("outside/x", file("")), fs.ErrNotExist},
		"up":               {e.Put("../x", file("")), fs.ErrInvalid},
		"up behind":        {e.Put("etc/../../x", file("")), fs.ErrInvalid},
		"no parent":        {e.Put("none/x", file("")), fs.ErrNotExist},
		"dir over file":    {e.Put("etc/os-release", dir()), fs.ErrExist},
		"file over dir":    {e.Put("etc", file("")), fs.ErrExist},
		"full directory":   {e.Remove("etc"), fs.ErrExist},
		"nothing":          {e.Remove("none"), fs.ErrNotExist},
		"root":             {e.RemoveAll("/"), fs.ErrInvalid},
		"a file as root":   {e.Put("/", file("")), fs.ErrExist},
		"set nothing":      {e.Set("none", dir()), fs.ErrNotExist},
		"root's attribute": {e.Put(".", dir()), nil},
	} {
		if !errors.Is(c.err, c.want) || c.want == nil && c.err != nil {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if err := e.Commit(); err == nil {
		t.Error("Commit of a scratch copy, want an error")
	}
	plain := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(plain, []byte("no archive"), 0o644))
	if _, err := roottree.Open(t.Context(), plain, ""); !errors.Is(err, roottree.ErrNoTree) || !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Open of a file = %v, want ErrNoTree", err)
	}
	if is, err := roottree.Is(plain); is || err != nil {
		t.Errorf("Is(file) = %t, %v", is, err)
	}
}

func TestBzip2(t *testing.T) {
	work := t.TempDir()
	archive := filepath.Join(work, "base.tar.bz2")
	testenv.Require(t, "bzip2")
	run(t, "tar", "-C", root(t), "--bzip2", "-cf", archive, ".")
	b := open(t, archive)
	if _, err := b.Into(t.Context(), filepath.Join(work, "out"), options); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Into = %v, want ErrUnsupported", err)
	}
}

// TestFailedContent leaves nothing behind.
func TestFailedContent(t *testing.T) {
	top := root(t)
	before := dump(t, top)
	parent := filepath.Dir(top)
	for name, editor := range map[string]func() (*roottree.Editor, error){
		"in place": func() (*roottree.Editor, error) { return open(t, top).InPlace(t.Context(), options) },
		"copy": func() (*roottree.Editor, error) {
			return open(t, top).Into(t.Context(), filepath.Join(parent, "copy"), options)
		},
	} {
		e, err := editor()
		must(t, err, e.Put("etc/broken", &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: when, Content: broken{imagetest.Noise{Length: 100}}}))
		if err := e.Commit(); !errors.Is(err, errBroken) {
			t.Errorf("%s: Commit = %v, want %v", name, err, errBroken)
		}
		if diff := cmp.Diff(before, dump(t, top)); diff != "" {
			t.Errorf("%s: the base changed:\n%s", name, diff)
		}
		if list, _ := os.ReadDir(parent); len(list) != 2 {
			t.Errorf("%s: left behind: %v", name, list)
		}
	}
}

var errBroken = errors.New("content is broken")

type broken struct{ imagetest.Noise }

func (b broken) Open() (tree.Reader, error)      { return b, nil }
func (broken) ReadAt([]byte, int64) (int, error) { return 0, errBroken }
func (broken) WriteTo(io.Writer) (int64, error)  { return 0, errBroken }

// TestUser changes a directory that belongs to a user.
func TestUser(t *testing.T) {
	if os.Getuid() == 0 {
		testenv.Require(t, "setpriv")
		exe, err := os.Executable()
		must(t, err)
		work, err := os.MkdirTemp("", "sextant-user")
		must(t, err)
		t.Cleanup(func() { os.RemoveAll(work) })
		must(t, os.Chmod(work, 0o777))
		binary := filepath.Join(work, "test")
		run(t, "cp", exe, binary)
		cmd := exec.CommandContext(context.Background(), "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary, "-test.run=TestUser|TestInPlaceAndCopy", "-test.v")
		cmd.Env = append(os.Environ(), "TMPDIR="+work)
		cmd.Dir = work
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestUser") {
			t.Errorf("as nobody: %v\n%s", err, out)
		}
		return
	}
	top := root(t)
	e, err := open(t, top).InPlace(t.Context(), options)
	must(t, err)
	roots := file("x")
	roots.UID, roots.GID = 0, 0
	must(t, e.Put("etc/of-root", roots), e.Commit())
	if len(e.Notices()) != 1 || !strings.Contains(e.Notices()[0], "owners of 1 files") || !strings.Contains(e.Notices()[0], "/etc/of-root") {
		t.Errorf("Notices() = %q", e.Notices())
	}
}

// TestRealRoot changes the root of a Debian, as a copy and as an archive.
func TestRealRoot(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.RequireLong(t)
	cache, err := os.UserCacheDir()
	must(t, err)
	roots, _ := filepath.Glob(filepath.Join(cache, "sextant-test", "rootfs", "trixie-*", "tree"))
	if len(roots) == 0 {
		t.Skip("LEFT OUT: no root file system in the cache of vmtest")
	}
	work := t.TempDir()
	archive := filepath.Join(work, "root.tar.zst")
	run(t, "tar", "-C", roots[0], "--zstd", "--xattrs", "--xattrs-include=*", "-cSf", archive, ".")
	want := dump(t, roots[0])
	want["/etc/hostname"], want["/etc"] = "new", "changed"
	for _, base := range []string{roots[0], archive} {
		out := filepath.Join(work, "out")
		e, err := open(t, base).Into(t.Context(), out, roottree.Options{})
		must(t, err, e.Put("etc/hostname", file("host")), e.Commit())
		if base == archive {
			run(t, "sh", "-c", "cd "+work+" && mv out out.tar.zst && mkdir out && tar -C out --xattrs --xattrs-include=* -xpf out.tar.zst")
		}
		got := dump(t, out)
		got["/etc/hostname"], got["/etc"] = "new", "changed"
		if diff := imagetest.Diff(got, want); len(diff) > 0 {
			t.Errorf("%s:\n%s", base, strings.Join(diff, "\n"))
		}
		must(t, os.RemoveAll(out))
	}
}
