//go:build linux

package extract_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/extract"
	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// TestCorner wants the corner tree, through an image, as a directory with all
// that the kernel can say about it.
func TestCorner(t *testing.T) {
	testenv.RequireRoot(t)
	want := throughImage(t, imagetest.Corner())
	want.Lookup("usr/times").Remove("1901") // before what ext4 can hold
	dir := filepath.Join(t.TempDir(), "new")
	result, err := extract.Extract(context.Background(), dir, want, extract.Options{Owners: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.LeftOut) > 0 {
		t.Errorf("Extract left out %v, want nothing", result.LeftOut)
	}
	compare(t, dir, want)
	holes(t, filepath.Join(dir, "usr/holes/all"))
}

// throughImage returns the tree as an EROFS image gives it.
func throughImage(t *testing.T, source *tree.Tree) *tree.Tree {
	t.Helper()
	source.Each(func(_ string, node *tree.Inode) {
		if node.ModTime.IsZero() {
			node.ModTime = time.Unix(1_700_000_000, 5)
		}
	})
	layout, err := erofs.Plan(source, erofs.Options{BuildTime: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	f, err := erofs.Open(layout.Open(), layout.Size())
	if err != nil {
		t.Fatal(err)
	}
	read, err := f.Tree()
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func compare(t *testing.T, dir string, want *tree.Tree) {
	t.Helper()
	got, err := imagetest.DumpDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	dump, err := imagetest.Dump(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range imagetest.Diff(got, dump) {
		t.Error(line)
	}
}

// holes wants a file that takes no space.
func holes(t *testing.T, path string) {
	t.Helper()
	node, err := imagetest.Scan(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	content := node.Lookup(filepath.Base(path)).Content
	if got := content.Extents(); len(got) > 0 {
		t.Errorf("%s has data at %v, want a hole of %d bytes", path, got, content.Size())
	}
}

// TestHostile extracts trees that try to get out of the directory.
func TestHostile(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := imagetest.NewBuilder()
	b.Symlink("absolute", outside)
	b.Symlink("up", "../../../../../../.."+outside)
	b.Symlink("dir/self", "..")
	b.Symlink("to-victim", victim)
	hard := b.Symlink("hard-a", victim)
	b.Put("hard-b", hard)
	b.File("dir/file", 0o4755, "x")
	b.File("new\nline", 0o644, "x")
	b.File("~root", 0o644, "x")
	b.File("\x1b]0;title\x07", 0o644, "x")
	b.Special("null", tree.TypeChar|0o666, tree.Device{Major: 1, Minor: 3})
	for depth, path := 0, "deep"; depth < 300; depth++ {
		path += "/d"
		if depth == 299 {
			b.File(path+"/file", 0o644, "deep")
		}
	}
	source := throughImage(t, b.Tree)

	dir := t.TempDir()
	for range 2 { // the second time over its own links
		if _, err := extract.Extract(context.Background(), dir, source, extract.Options{Force: true}); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(victim)
	if err != nil || string(content) != "untouched" {
		t.Errorf("victim has %q, %v", content, err)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside has %v, %v, want the victim alone", entries, err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "absolute")); err != nil || target != outside {
		t.Errorf("link to %q, %v, want %q", target, err, outside)
	}
	noRests(t, dir)
}

// TestThroughLinks puts links into the directory where the tree has
// directories: nothing goes through them.
func TestThroughLinks(t *testing.T) {
	b := imagetest.NewBuilder()
	b.File("etc/passwd", 0o644, "new")
	for _, force := range []bool{false, true} {
		outside, dir := t.TempDir(), t.TempDir()
		if err := os.Symlink(outside, filepath.Join(dir, "etc")); err != nil {
			t.Fatal(err)
		}
		_, err := extract.Extract(context.Background(), dir, b.Tree, extract.Options{Force: force})
		if !force && !errors.Is(err, extract.ErrExists) {
			t.Errorf("Extract over a link gave %v, want ErrExists", err)
		}
		if force && err != nil {
			t.Errorf("Extract by force over a link: %v", err)
		}
		if entries, _ := os.ReadDir(outside); len(entries) > 0 {
			t.Errorf("force %v: outside has %v, want nothing", force, entries)
		}
		noRests(t, dir)
	}
}

// noRests wants nothing in dir that we use on the way.
func noRests(t *testing.T, dir string) {
	t.Helper()
	rests, err := filepath.Glob(filepath.Join(dir, ".sextant*"))
	if err != nil || len(rests) > 0 {
		t.Errorf("left behind: %v, %v", rests, err)
	}
}

func TestExisting(t *testing.T) {
	b := imagetest.NewBuilder()
	b.File("usr/bin/tool", 0o755, "new")
	b.File("usr/bin/other", 0o755, "new")
	dir := t.TempDir()
	tool := filepath.Join(dir, "usr/bin/tool")
	if err := os.MkdirAll(filepath.Dir(tool), 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tool, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := extract.Extract(context.Background(), dir, b.Tree, extract.Options{})
	if !errors.Is(err, extract.ErrExists) || !strings.Contains(err.Error(), "usr/bin/tool") {
		t.Errorf("Extract gave %v, want ErrExists with the path", err)
	}
	if got, _ := os.ReadFile(tool); string(got) != "old" {
		t.Errorf("tool has %q, want what it had", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "usr/bin/other")); err == nil {
		t.Error("other is there, want nothing written")
	}
	if _, err := extract.Extract(context.Background(), dir, b.Tree, extract.Options{Force: true}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(tool); string(got) != "new" {
		t.Errorf("tool has %q, want new", got)
	}
	if info, err := os.Stat(filepath.Dir(tool)); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("directory that was there has mode %v, %v, want 0711", info.Mode(), err)
	}
	noRests(t, dir)
}

// TestDirectoryInTheWay wants a directory left alone where a file should go.
func TestDirectoryInTheWay(t *testing.T) {
	b := imagetest.NewBuilder()
	b.File("name", 0o644, "x")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "name"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := extract.Extract(context.Background(), dir, b.Tree, extract.Options{Force: true}); !errors.Is(err, extract.ErrExists) {
		t.Errorf("Extract gave %v, want ErrExists", err)
	}
	noRests(t, dir)
}

// TestInterrupted ends extractions half-way, by the context and by a file that
// cannot be read.
func TestInterrupted(t *testing.T) {
	b := imagetest.NewBuilder()
	for n := range 20 {
		b.Content(fmt.Sprintf("usr/%02d", n), 0o400, imagetest.Noise{Seed: 1, Length: 1 << 20})
	}
	b.Dir("usr/closed", 0)
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	_, err := extract.Extract(ctx, dir, b.Tree, extract.Options{Progress: func(done int64) {
		if done > 5<<20 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Extract gave %v, want Canceled", err)
	}
	empty(t, dir)

	b.Content("usr/99", 0o644, broken{})
	missing := filepath.Join(dir, "missing")
	if _, err := extract.Extract(context.Background(), missing, b.Tree, extract.Options{}); !errors.Is(err, errBroken) {
		t.Errorf("Extract gave %v, want what the reader says", err)
	}
	empty(t, dir)
}

var errBroken = errors.New("broken")

// broken is a content that is shorter than it says.
type broken struct{ imagetest.Noise }

func (broken) Size() int64                       { return 10 }
func (broken) Extents() []span.Span              { return []span.Span{{Length: 10}} }
func (broken) Open() (tree.Reader, error)        { return broken{}, nil }
func (broken) ReadAt([]byte, int64) (int, error) { return 0, errBroken }

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("%s has %v, %v, want nothing", dir, entries, err)
	}
}

// TestHugeHole wants a file of 4 TiB without data to take neither memory nor
// space.
func TestHugeHole(t *testing.T) {
	b := imagetest.NewBuilder()
	b.Content("huge", 0o644, imagetest.Sparse(1, 4<<40))
	dir := t.TempDir()
	_, err := extract.Extract(context.Background(), dir, b.Tree, extract.Options{})
	if err != nil {
		t.Skipf("this file system has no such files: %v", err)
	}
	holes(t, filepath.Join(dir, "huge"))
}

// TestUser extracts as a user without rights, and wants to hear once of what is
// not kept.
func TestUser(t *testing.T) {
	testenv.RequireRoot(t)
	source := throughImage(t, imagetest.Corner())
	dir := t.TempDir()
	result, err := asNobody(t, dir, func() (*extract.Result, error) {
		return extract.Extract(context.Background(), "out", source, extract.Options{})
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range result.LeftOut {
		got = append(got, l.What)
	}
	slices.Sort(got)
	want := []string{"device nodes", "extended attributes security.*", "extended attributes trusted.*",
		"owners", "setuid and setgid bits"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	info, err := os.Stat(filepath.Join(dir, "out/usr/bin/setuid"))
	if err != nil || info.Mode().Perm() != 0o755 || info.Mode()&os.ModeSetuid != 0 {
		t.Errorf("setuid file has mode %v, %v, want 0755", info.Mode(), err)
	}
}

// asNobody calls f in dir with the rights of nobody. It does so in a thread of
// its own, which ends with the goroutine.
func asNobody(t *testing.T, dir string, f func() (*extract.Result, error)) (result *extract.Result, err error) {
	t.Helper()
	const nobody = 65534
	if err := os.Chown(dir, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir) // the directories above are closed to nobody
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		for _, call := range [][4]uintptr{
			{syscall.SYS_SETGROUPS}, {syscall.SYS_SETRESGID, nobody, nobody, nobody}, {syscall.SYS_SETRESUID, nobody, nobody, nobody},
		} {
			if _, _, errno := syscall.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
				err = errno
				return
			}
		}
		result, err = f()
	}()
	<-done
	return result, err
}
