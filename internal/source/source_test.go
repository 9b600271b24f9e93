package source_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/imagetest"
	"sextant/internal/source"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// TestMain lets the test binary read a directory as somebody who is not root.
func TestMain(m *testing.M) {
	if path := os.Getenv("SOURCE_TEST_DIRECTORY"); path != "" {
		_, err := source.Directory(context.Background(), path, source.Options{})
		fmt.Print(err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func run(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plain makes a directory with all that needs no root.
func plain(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/usr/bin/tool", "#!/bin/sh\n")
	check(t, os.Chmod(dir+"/usr/bin/tool", 0o755))
	write(t, dir+"/usr/lib/"+strings.Repeat("n", 255), "long name")
	write(t, dir+"/usr/lib/empty", "")
	write(t, dir+"/usr/lib/bad\xff\nname", "x")
	check(t, os.Symlink("../bin/tool", dir+"/usr/lib/link"))
	check(t, os.Symlink("/nowhere", dir+"/usr/lib/dangling"))
	check(t, os.Link(dir+"/usr/bin/tool", dir+"/usr/bin/another"))
	check(t, os.Link(dir+"/usr/bin/tool", dir+"/opt-first"))
	check(t, syscall.Mkfifo(dir+"/usr/fifo", 0o600))
	check(t, os.MkdirAll(dir+"/usr/empty", 0o700))
	check(t, os.Chmod(dir+"/usr/empty", os.ModeSticky|os.ModeSetgid|0o777))
	holes(t, dir+"/usr/lib/sparse", 3<<20, 0, 1<<20, 2<<20)
	holes(t, dir+"/usr/lib/hole", 1<<20)
	check(t, os.Chtimes(dir+"/usr/lib/empty", time.Time{}, time.Unix(-1, 5)))
	check(t, os.Chtimes(dir+"/usr/lib", time.Time{}, time.Unix(1<<33, 999999999)))
	return dir
}

// holes makes a file of the given size with data at the given offsets.
func holes(t testing.TB, path string, size int64, data ...int64) {
	t.Helper()
	f, err := os.Create(path)
	check(t, err)
	defer f.Close()
	for _, at := range data {
		_, err := f.WriteAt([]byte(strings.Repeat("d", 4096)), at)
		check(t, err)
	}
	check(t, f.Truncate(size))
}

// everything is plain and what only root can make.
func everything(t testing.TB) string {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.Require(t, "setcap", "setfacl", "setfattr")
	dir := plain(t)
	write(t, dir+"/usr/bin/su", "su")
	check(t, os.Chown(dir+"/usr/bin/su", 0, 42))
	check(t, os.Chmod(dir+"/usr/bin/su", os.ModeSetuid|os.ModeSetgid|0o755))
	check(t, os.Lchown(dir+"/usr/lib/link", 1000, 4294967294))
	check(t, syscall.Mknod(dir+"/usr/null", syscall.S_IFCHR|0o666, 1<<8|3))
	check(t, syscall.Mknod(dir+"/usr/disk", syscall.S_IFBLK|0o660, 0xfff<<8|0xff|0xfff<<20))
	write(t, dir+"/usr/bin/ping", "ping")
	run(t, "setcap", "cap_net_raw+ep", dir+"/usr/bin/ping")
	write(t, dir+"/usr/share/acl", "acl")
	write(t, dir+"/usr/share/attrs", "attrs")
	run(t, "setfacl", "-m", "u:1234:rw,g:77:r,u:33:x", dir+"/usr/share/acl")
	run(t, "setfacl", "-m", "u:1234:rwx,d:u:1234:r", dir+"/usr/share")
	check(t, os.MkdirAll(dir+"/usr/share/dflt", 0o755))
	run(t, "setfacl", "-b", "-m", "d:u::rwx,d:g::r,d:o::-", dir+"/usr/share/dflt")
	for name, value := range map[string]string{
		"user.note": "hi", "user.empty": "", "user.a=b%c": "odd name", "user.binary": "a\x00b\nc", "user.large": strings.Repeat("v", 2000),
		"trusted.secret": "t", "security.other": "o",
	} {
		check(t, syscall.Setxattr(dir+"/usr/share/attrs", name, []byte(value), 0))
	}
	run(t, "setfattr", "-h", "-n", "trusted.onlink", "-v", "l", dir+"/usr/lib/link")
	return dir
}

func dump(t testing.TB, tr *tree.Tree) map[string]string {
	t.Helper()
	lines, err := imagetest.Dump(tr)
	check(t, err)
	return lines
}

func TestDirectoryAgainstScan(t *testing.T) {
	dir := everything(t)
	want, err := imagetest.DumpDir(dir)
	check(t, err)
	got, err := source.Directory(t.Context(), dir, source.Options{Xattrs: source.XattrsAll})
	check(t, err)
	if diff := cmp.Diff(want, dump(t, got)); diff != "" {
		t.Errorf("Directory (-imagetest.Scan +got):\n%s", diff)
	}
	foreign, err := imagetest.Scan(dir)
	check(t, err)
	for _, path := range []string{"/usr/lib/sparse", "/usr/lib/hole", "/usr/bin/tool", "/usr/lib/empty"} {
		if diff := cmp.Diff(foreign.Lookup(path).Content.Extents(), got.Lookup(path).Content.Extents()); diff != "" {
			t.Errorf("extents of %s (-want +got):\n%s", path, diff)
		}
	}
}

// TestDirectoryGolden says in full what a small tree is.
func TestDirectoryGolden(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/usr/bin/tool", "hello")
	check(t, os.Chmod(dir+"/usr/bin/tool", os.ModeSetuid|0o755))
	check(t, os.Link(dir+"/usr/bin/tool", dir+"/usr/bin/zz"))
	check(t, os.Symlink("tool", dir+"/usr/bin/link"))
	stamp := time.Unix(1700000000, 123456789)
	check(t, os.Chtimes(dir+"/usr/bin/tool", stamp, stamp))
	check(t, os.Chtimes(dir+"/usr/bin", stamp, stamp))
	tr, err := source.Directory(t.Context(), dir+"/", source.Options{})
	check(t, err)
	tr.SquashOwners()
	tr.ClampTimes(time.Unix(1700000000, 5))
	want := map[string]string{
		"/":             "dir 0755 0:0 1700000000.000000005",
		"/usr":          "dir 0755 0:0 1700000000.000000005",
		"/usr/bin":      "dir 0755 0:0 1700000000.000000005",
		"/usr/bin/link": `symlink 0777 0:0 1700000000.000000005 "tool"`,
		"/usr/bin/tool": "file 4755 0:0 1700000000.000000005 5 2cf24dba",
		"/usr/bin/zz":   "file 4755 0:0 1700000000.000000005 5 2cf24dba link=/usr/bin/tool",
	}
	if diff := cmp.Diff(want, dump(t, tr)); diff != "" {
		t.Errorf("Directory (-want +got):\n%s", diff)
	}
	if got, want := tr.Lookup("/usr/bin/zz").Origin, dir+"/usr/bin/tool"; got != want {
		t.Errorf("origin of a hard link = %s, want %s", got, want)
	}
}

func TestXattrChoices(t *testing.T) {
	dir := everything(t)
	for choice, want := range map[source.Xattrs][]string{
		source.XattrsNone:     nil,
		source.XattrsPortable: {"user.a=b%c", "user.binary", "user.empty", "user.large", "user.note"},
		source.XattrsAll:      {"security.other", "trusted.secret", "user.a=b%c", "user.binary", "user.empty", "user.large", "user.note"},
	} {
		tr, err := source.Directory(t.Context(), dir, source.Options{Xattrs: choice})
		check(t, err)
		var got []string
		for _, x := range tr.Lookup("/usr/share/attrs").Xattrs {
			got = append(got, x.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", choice, diff)
		}
		for path, name := range map[string]string{
			"/usr/bin/ping": "security.capability", "/usr/share/acl": "system.posix_acl_access", "/usr/share": "system.posix_acl_default",
		} {
			if _, ok := tr.Lookup(path).Xattr(name); ok != (choice != source.XattrsNone) {
				t.Errorf("%s: %s of %s is there: %v", choice, name, path, ok)
			}
		}
	}
}

func TestDirectoryBehindALink(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/real/f", "x")
	check(t, os.Chmod(dir+"/real", 0o711))
	check(t, os.Symlink("real", dir+"/link"))
	tr, err := source.Directory(t.Context(), dir+"/link", source.Options{})
	check(t, err)
	if tr.Root.Mode != tree.TypeDir|0o711 || tr.Lookup("/f") == nil {
		t.Errorf("Directory of a link has root %o and %d entries, want 0711 and 1", tr.Root.Mode, tr.Root.Len())
	}
}

func TestDirectoryErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "x")
	for path, want := range map[string]string{
		dir + "/missing":    "missing: no such file or directory",
		dir + "/file":       "file: not a directory",
		dir + "/missing/..": "no such file or directory",
	} {
		tr, err := source.Directory(t.Context(), path, source.Options{})
		if err == nil || !strings.Contains(err.Error(), want) || tr != nil {
			t.Errorf("Directory(%s) = %v, want %q", path, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.Directory(ctx, dir, source.Options{}); err != context.Canceled {
		t.Errorf("Directory = %v, want %v", err, context.Canceled)
	}
}

// TestUnreadable reads, as nobody, what only root may read. Of several faults
// it is always the same one that is reported.
func TestUnreadable(t *testing.T) {
	testenv.RequireRoot(t)
	dir, err := os.MkdirTemp("", "unreadable")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	for name, mode := range map[string]os.FileMode{"ok/f": 0o644, "fine/f": 0o600, "nodir/f": 0o644, "secret": 0o600} {
		write(t, dir+"/"+name, "x")
		check(t, os.Chmod(dir+"/"+name, mode))
	}
	check(t, os.Chmod(dir+"/nodir", 0o700))
	exe, err := os.Executable()
	check(t, err)
	data, err := os.ReadFile(exe)
	check(t, err)
	self := dir + "-test" // the test binary lies where only root can go
	check(t, os.WriteFile(self, data, 0o755))
	t.Cleanup(func() { os.Remove(self) })
	for path, want := range map[string]string{
		dir:            "open " + dir + "/secret: permission denied",
		dir + "/fine":  "open " + dir + "/fine/f: permission denied",
		dir + "/nodir": "open " + dir + "/nodir: permission denied",
		dir + "/ok":    "<nil>",
	} {
		for range 5 {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), "SOURCE_TEST_DIRECTORY="+path)
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			out, err := cmd.CombinedOutput()
			check(t, err)
			if string(out) != want {
				t.Errorf("Directory(%s) as nobody = %s, want %s", path, out, want)
			}
		}
	}
}

// TestChanged changes files after they were looked at: each way must be found
// out, either when the file is opened, read or closed.
func TestChanged(t *testing.T) {
	stamp := time.Unix(1700000000, 0)
	for name, change := range map[string]func(path string) error{
		"longer":   func(path string) error { return os.WriteFile(path, []byte("longer than before"), 0o644) },
		"shorter":  func(path string) error { return os.Truncate(path, 2) },
		"newer":    func(path string) error { return os.Chtimes(path, stamp, stamp.Add(1)) },
		"gone":     os.Remove,
		"a fifo":   func(path string) error { os.Remove(path); return syscall.Mkfifo(path, 0o644) },
		"a folder": func(path string) error { os.Remove(path); return os.Mkdir(path, 0o755) },
	} {
		path := t.TempDir() + "/file"
		write(t, path, "before")
		check(t, os.Chtimes(path, stamp, stamp))
		node, err := source.File(path, source.Options{})
		check(t, err)
		before, err := node.Content.Open()
		check(t, err)
		check(t, change(path))
		if r, err := node.Content.Open(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Open = %v, %v, want an error that names it", name, r, err)
		}
		_, readErr := before.ReadAt(make([]byte, 6), 0)
		closeErr := before.Close()
		if changed := name == "longer" || name == "shorter" || name == "newer"; changed && closeErr == nil {
			t.Errorf("%s: Close of the reader from before is no error", name)
		}
		if name == "shorter" && (readErr == nil || !strings.Contains(readErr.Error(), path)) {
			t.Errorf("%s: ReadAt = %v, want an error that names it", name, readErr)
		}
	}
}

// TestDirectoryThatChanges reads a directory while files come and go, become
// directories and links. That may fail, but only with an error that names what
// was there.
func TestDirectoryThatChanges(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/outside/secret", "secret")
	write(t, dir+"/in/usr/f", "x")
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			path := fmt.Sprintf("%s/in/usr/%d", dir, i%20)
			os.RemoveAll(path)
			switch i % 3 {
			case 0:
				os.WriteFile(path, []byte("x"), 0o644)
			case 1:
				os.MkdirAll(path+"/sub", 0o755)
			case 2:
				os.Symlink(dir+"/outside", path)
			}
		}
	}()
	faults := 0
	for range 300 {
		tr, err := source.Directory(t.Context(), dir+"/in", source.Options{})
		if err != nil {
			faults++
			if tr != nil || !strings.Contains(err.Error(), dir+"/in/usr/") {
				t.Errorf("Directory = %v, %v, want an error that names a file", tr, err)
			}
			continue
		}
		tr.Walk(func(path string, _ *tree.Inode) error {
			if strings.HasSuffix(path, "secret") {
				t.Errorf("Directory followed a link to %s", path)
			}
			return nil
		})
	}
	close(stop)
	<-stopped
	t.Logf("%d of 300 scans met a change", faults)
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/file", "x")
	check(t, os.Symlink("file", dir+"/link"))
	node, err := source.File(dir+"/link", source.Options{})
	if err != nil || node.Origin != dir+"/file" || !node.Mode.IsRegular() {
		t.Errorf("File of a link = %+v, %v, want the file", node, err)
	}
	for _, path := range []string{dir, dir + "/missing"} {
		if _, err := source.File(path, source.Options{}); err == nil {
			t.Errorf("File(%s) is no error", path)
		}
	}
}

// TestLargeDirectory reads 100,000 files, and holds the tree to what a file
// may take.
func TestLargeDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("LEFT OUT: 100,000 files, as -short is set")
	}
	dir := t.TempDir()
	const dirs, files = 100, 1000
	for d := range dirs {
		sub := fmt.Sprintf("%s/usr/share/some/longer/path/dir-%03d", dir, d)
		check(t, os.MkdirAll(sub, 0o755))
		for f := range files {
			fd, err := syscall.Open(fmt.Sprintf("%s/file-%06d.txt", sub, f), syscall.O_CREAT|syscall.O_WRONLY, 0o644)
			check(t, err)
			syscall.Close(fd)
		}
	}
	heap := heapSize()
	start := time.Now()
	tr, err := source.Directory(t.Context(), dir, source.Options{})
	check(t, err)
	took := time.Since(start)
	per := (heapSize() - heap) / (dirs * files)
	t.Logf("%d files in %v, %d bytes each", dirs*files, took, per)
	if per > 700 {
		t.Errorf("a file takes %d bytes of memory, want at most 700", per)
	}
	n := 0
	tr.Walk(func(string, *tree.Inode) error { n++; return nil })
	if want := dirs*files + dirs + 6; n != want {
		t.Errorf("Directory has %d files, want %d", n, want)
	}
}

// capability is the value of security.capability that setcap writes for
// cap_net_raw+ep (linux/capability.h, vfs_cap_data).
func capability() []byte {
	v := binary.LittleEndian.AppendUint32(nil, 0x02000001)
	v = binary.LittleEndian.AppendUint32(v, 1<<13)
	return append(v, make([]byte, 12)...)
}

func TestCapability(t *testing.T) {
	tr, err := source.Directory(t.Context(), everything(t), source.Options{})
	check(t, err)
	got, _ := tr.Lookup("/usr/bin/ping").Xattr("security.capability")
	if !slices.Equal(got, capability()) {
		t.Errorf("security.capability = %x, want %x", got, capability())
	}
}
