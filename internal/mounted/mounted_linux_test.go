package mounted_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/fault"
	"sextant/internal/imagetest"
	"sextant/internal/mounted"
	"sextant/internal/roottree"
	"sextant/internal/span"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

var when = time.Unix(1_700_000_000, 0)

// at is where the file system begins in the disk.
const at = 1 << 20

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	testenv.Require(t, name)
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// kind is a file system, how it is made and who checks it.
type kind struct {
	name  string
	size  string
	make  []string
	check []string
}

func kinds() []kind {
	return []kind{
		{"xfs", "320M", []string{"mkfs.xfs", "-q"}, []string{"xfs_repair", "-n"}},
		{"btrfs", "200M", []string{"mkfs.btrfs", "-q"}, []string{"btrfs", "check", "--readonly"}},
	}
}

// forEach runs a test for each kind that this kernel has.
func forEach(t *testing.T, test func(t *testing.T, k kind)) {
	testenv.RequireRoot(t)
	list, err := os.ReadFile("/proc/filesystems")
	must(t, err)
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		testenv.Missing(t, "loop", "no /dev/loop-control")
	}
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			if !strings.Contains(string(list), "\t"+k.name+"\n") {
				t.Skip("LEFT OUT: this kernel has no " + k.name)
			}
			test(t, k)
		})
	}
}

// disk makes a disk with a file system, and a root in that.
func (k kind) disk(t testing.TB) string {
	t.Helper()
	work := t.TempDir()
	bare, disk := filepath.Join(work, "bare"), filepath.Join(work, "disk")
	run(t, "truncate", "-s", k.size, bare)
	run(t, k.make[0], append(k.make[1:], bare)...)
	run(t, "dd", "if="+bare, "of="+disk, "bs=1M", "seek=1", "conv=sparse,notrunc", "status=none")
	must(t, os.Truncate(disk, at+sizeOf(t, bare)), os.Remove(bare))
	e, done := k.edit(t, disk, false)
	populate(t, e)
	must(t, e.Commit())
	done()
	return disk
}

func sizeOf(t testing.TB, path string) int64 {
	t.Helper()
	state, err := os.Stat(path)
	must(t, err)
	return state.Size()
}

func (k kind) edit(t testing.TB, disk string, readOnly bool) (*mounted.Editor, func()) {
	t.Helper()
	flag := os.O_RDWR
	if readOnly {
		flag = os.O_RDONLY
	}
	f, err := os.OpenFile(disk, flag, 0)
	must(t, err)
	e, err := mounted.Edit(mounted.Storage{File: f, Span: span.Between(at, sizeOf(t, disk))}, k.name, mounted.Options{Time: when.Add(time.Minute), ReadOnly: readOnly})
	must(t, err)
	return e, func() { must(t, e.Close(), f.Close()) }
}

func file(content string) *tree.Inode {
	n := &tree.Inode{Mode: tree.TypeRegular | 0o640, ModTime: when, Content: tree.Bytes(content), UID: 12, GID: 34}
	n.PutXattr("user.note", []byte("note"))
	n.PutXattr("trusted.note", []byte("note"))
	return n
}

func dir() *tree.Inode {
	d := tree.NewDir(0o2750)
	d.ModTime, d.GID = when, 7
	return d
}

func link(target string) *tree.Inode {
	return &tree.Inode{Mode: tree.TypeSymlink | 0o777, ModTime: when, Target: target}
}

// editor is what mounted and roottree have in common.
type editor interface {
	FS() fs.FS
	Put(string, *tree.Inode) error
	Set(string, *tree.Inode) error
	Remove(string) error
	RemoveAll(string) error
	Commit() error
}

// populate makes a small root.
func populate(t testing.TB, e editor) {
	t.Helper()
	for _, d := range []string{"etc", "usr", "usr/bin", "usr/lib", "var", "var/old", "var/old/deep"} {
		must(t, e.Put(d, dir()))
	}
	must(t,
		e.Put("etc/os-release", file("ID=test\n")),
		e.Put("usr/bin/tool", file("#!/bin/sh\n")),
		e.Put("outside", link("/etc")),
		e.Put("usr/up", link("../../../../../../etc")),
		e.Put("bin", link("usr/bin")),
		e.Put("var/old/deep/file", file("old")),
	)
}

// change makes about every kind of change.
func change(t testing.TB, e editor) {
	t.Helper()
	null := &tree.Inode{Mode: tree.TypeChar | 0o666, ModTime: when, Device: tree.Device{Major: 1, Minor: 3}}
	sparse := imagetest.Sparse(3, 8<<20, span.Between(1<<20, 1<<20+5000))
	must(t,
		e.Put("var/extensions", dir()),
		e.Put("/var/extensions/a.raw", &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: when, Content: imagetest.Noise{Seed: 1, Length: 3 << 20}}),
		e.Put("var/extensions/sparse", &tree.Inode{Mode: tree.TypeRegular | 0o4755, ModTime: when, Content: sparse}),
		e.Put("etc/os-release", file("ID=other\n")),
		e.Put("etc/link", link("/etc/passwd")),
		e.Put("etc/link", link("replaced")),
		e.Put("etc/null", null),
		e.Put("usr/lib", tree.NewDir(0o755)),
		e.RemoveAll("var/old"),
		e.RemoveAll("nothing/there"),
		e.Remove("bin"),
		e.Put("bin", dir()),
		e.Put("bin/x", file("x")),
		e.Set("usr/bin/tool", &tree.Inode{Mode: 0o700, ModTime: when, UID: 1}),
	)
}

// dump is what mount(8) shows of a disk.
func (k kind) dump(t testing.TB, disk string) map[string]string {
	t.Helper()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "tree")
	run(t, "unshare", "-m", "sh", "-c", fmt.Sprintf("mount -o loop,ro,offset=%d -t %s %s %s && cp -a --sparse=always %s %s", at, k.name, disk, dir, dir, out))
	return dumpDir(t, out)
}

func dumpDir(t testing.TB, dir string) map[string]string {
	t.Helper()
	list, err := imagetest.DumpDir(dir)
	must(t, err)
	return list
}

// checked fails the test unless the file system's own tool is content.
func (k kind) checked(t testing.TB, disk string) {
	t.Helper()
	bare := filepath.Join(t.TempDir(), "bare")
	run(t, "dd", "if="+disk, "of="+bare, "bs=1M", "skip=1", "conv=sparse", "status=none")
	must(t, os.Truncate(bare, sizeOf(t, disk)-at))
	run(t, k.check[0], append(k.check[1:], bare)...)
}

// TestEdit compares with the same changes in a directory.
func TestEdit(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		disk := k.disk(t)
		before := sum(t, disk)
		copied := filepath.Join(t.TempDir(), "copy")
		run(t, "cp", "--sparse=always", disk, copied)
		base, closeBase := k.edit(t, disk, true)
		e, closeCopy := k.edit(t, copied, false) // beside its original
		if e.Free() < 10<<20 || base.Free() < 10<<20 {
			t.Errorf("Free() = %d, in the base %d", e.Free(), base.Free())
		}
		change(t, e)
		looks(t, e)
		must(t, e.Commit())
		closeCopy()
		if err := base.Put("x", file("")); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Put into the base = %v, want ErrPermission", err)
		}
		if text, err := fs.ReadFile(base.FS(), "etc/os-release"); string(text) != "ID=test\n" {
			t.Errorf("os-release of the base: %q, %v", text, err)
		}
		closeBase()
		if sum(t, disk) != before {
			t.Error("the base changed")
		}
		k.checked(t, copied)
		if diff := imagetest.Diff(k.dump(t, copied), inDirectory(t)); len(diff) > 0 {
			t.Errorf("%s, and the same in a directory:\n%s", k.name, strings.Join(diff, "\n"))
		}
		if loops := run(t, "losetup", "-a"); strings.Contains(loops, copied) || strings.Contains(loops, disk) {
			t.Errorf("loop devices are left: %s", loops)
		}
	})
}

// inDirectory makes the same root and the same changes in a directory.
func inDirectory(t testing.TB) map[string]string {
	t.Helper()
	top := filepath.Join(t.TempDir(), "root")
	must(t, os.Mkdir(top, 0o755))
	for _, edits := range []func(testing.TB, editor){populate, change} {
		b, err := roottree.Open(t.Context(), top, "")
		must(t, err)
		e, err := b.InPlace(t.Context(), roottree.Options{Time: when.Add(time.Minute)})
		must(t, err)
		edits(t, e)
		must(t, e.Commit(), b.Close())
	}
	return dumpDir(t, top)
}

func sum(t testing.TB, path string) string {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	must(t, err)
	return fmt.Sprintf("%x", h.Sum(nil))
}

// looks reads through the editor's FS.
func looks(t testing.TB, e editor) {
	t.Helper()
	lstat := func(name string) *tree.Inode {
		state, err := fs.Lstat(e.FS(), name)
		must(t, err)
		return state.Sys().(*tree.Inode)
	}
	if n := lstat("etc/os-release"); n.UID != 12 || n.GID != 34 || len(n.Xattrs) != 2 || n.Size() != 9 {
		t.Errorf("etc/os-release: %+v", n)
	}
	if n := lstat("etc/null"); n.Device != (tree.Device{Major: 1, Minor: 3}) || n.Mode != tree.TypeChar|0o666 {
		t.Errorf("etc/null: %+v", n)
	}
	if n := lstat("outside"); n.Target != "/etc" {
		t.Errorf("outside: %+v", n)
	}
	if target, err := fs.ReadLink(e.FS(), "etc/link"); target != "replaced" {
		t.Errorf("etc/link: %q, %v", target, err)
	}
	list, err := fs.ReadDir(e.FS(), ".")
	if err != nil || len(list) != 5 {
		t.Errorf("ReadDir(.) = %v, %v", list, err)
	}
	for _, name := range []string{"outside/passwd", "usr/up/passwd"} {
		if _, err := fs.ReadFile(e.FS(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ReadFile(%s) = %v, want ErrNotExist", name, err)
		}
	}
	if _, err := e.FS().Open("etc/null"); err == nil {
		t.Error("Open of a device, want an error")
	}
}

func TestRefusals(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		e, done := k.edit(t, k.disk(t), false)
		defer done()
		for name, c := range map[string]struct{ err, want error }{
			"through a link":  {e.Put("outside/x", file("")), fs.ErrNotExist},
			"relative link":   {e.Put("usr/up/x", file("")), fs.ErrNotExist},
			"remove through":  {e.RemoveAll("outside/passwd"), nil},
			"up":              {e.Put("../x", file("")), fs.ErrInvalid},
			"no parent":       {e.Put("none/x", file("")), fs.ErrNotExist},
			"dir over file":   {e.Put("etc/os-release", dir()), fs.ErrExist},
			"file over dir":   {e.Put("etc", file("")), fs.ErrExist},
			"nothing":         {e.Remove("none"), fs.ErrNotExist},
			"set nothing":     {e.Set("none", dir()), fs.ErrNotExist},
			"remove the root": {e.RemoveAll("/"), fs.ErrInvalid},
			"set the root":    {e.Set("/", dir()), nil},
			"root again":      {e.Put("/", dir()), nil},
		} {
			if !errors.Is(c.err, c.want) || c.want == nil && c.err != nil {
				t.Errorf("%s: %v, want %v", name, c.err, c.want)
			}
		}
		if err := e.Remove("etc"); err == nil {
			t.Error("Remove of a full directory, want an error")
		}
		if _, err := os.Stat("/etc/x"); err == nil {
			t.Error("something was written to /etc of this system")
		}
		full := &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: when, Content: imagetest.Noise{Length: 1 << 30}}
		if err := e.Put("full", full); err == nil {
			t.Error("Put of more than fits, want an error")
		}
		if _, err := fs.Lstat(e.FS(), "full"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what did not fit is there: %v", err)
		}
	})
}

// TestSubvolume changes a subvolume of a btrfs, and another one inside that.
func TestSubvolume(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		if k.name != "btrfs" {
			return
		}
		disk := k.disk(t)
		dir := t.TempDir()
		run(t, "unshare", "-m", "sh", "-ec", fmt.Sprintf(
			"mount -o loop,offset=%d %s %s; cd %[3]s; btrfs subvolume create @; btrfs subvolume create @/var", at, disk, dir))
		f, err := os.OpenFile(disk, os.O_RDWR, 0)
		must(t, err)
		defer f.Close()
		where := mounted.Storage{File: f, Span: span.Between(at, sizeOf(t, disk))}
		e, err := mounted.Edit(where, "btrfs", mounted.Options{Subvolume: "@"})
		must(t, err, e.Put("file", file("x")), e.Put("var/file", file("y")), e.Remove("var/file"), e.Put("var/file", file("z")), e.Commit())
		k.checked(t, disk)
		list := k.dump(t, disk)
		if list["/@/file"] == "" || list["/@/var/file"] == "" || list["/file"] != "" {
			t.Errorf("files are not where they belong: %v", list)
		}
		if _, err := mounted.Edit(where, "btrfs", mounted.Options{Subvolume: "none"}); err == nil {
			t.Error("Edit of a subvolume that is not there, want an error")
		}
	})
}

// TestDamaged mounts what is none, and leaves no device behind.
func TestDamaged(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		path := filepath.Join(t.TempDir(), "disk")
		must(t, os.WriteFile(path, make([]byte, 8<<20), 0o644))
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		must(t, err)
		defer f.Close()
		if _, err := mounted.Edit(mounted.Storage{File: f, Span: span.Between(at, 8<<20)}, k.name, mounted.Options{}); err == nil {
			t.Error("Edit of zeros, want an error")
		}
		if loops := run(t, "losetup", "-a"); strings.Contains(loops, path) {
			t.Errorf("loop devices are left: %s", loops)
		}
	})
}

func TestUnsupported(t *testing.T) {
	if _, err := mounted.Edit(mounted.Storage{}, "f2fs", mounted.Options{}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Edit of f2fs = %v, want ErrUnsupported", err)
	}
	if os.Getuid() != 0 {
		if _, err := mounted.Edit(mounted.Storage{}, "xfs", mounted.Options{}); !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "root") {
			t.Errorf("Edit by a user = %v, want ErrUnsupported", err)
		}
		return
	}
	testenv.Require(t, "setpriv")
	exe, err := os.Executable()
	must(t, err)
	work, err := os.MkdirTemp("", "sextant-user")
	must(t, err, os.Chmod(work, 0o755))
	defer os.RemoveAll(work)
	binary := filepath.Join(work, "test")
	run(t, "cp", exe, binary)
	run(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary, "-test.run=TestUnsupported")
}
