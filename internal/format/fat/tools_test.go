package fat_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/format/fat"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// when is the time of all files in the tests.
var when = time.Date(2024, 2, 29, 13, 37, 42, 0, time.UTC)

// tool runs a program and gives what it printed.
func tool(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	testenv.Require(t, name)
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C.UTF-8", "MTOOLS_SKIP_CHECK=1", "MTOOLSRC=/dev/null")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := tool(t, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

// mkfs makes an empty file system of some KiB.
func mkfs(t testing.TB, kib int64, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, kib<<10); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.fat", append(args, "-i", "1234abcd", path)...)
	return path
}

// wantSound fails the test unless fsck.fat finds nothing at all.
func wantSound(t testing.TB, path string) {
	t.Helper()
	out, err := tool(t, "fsck.fat", "-n", path)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err != nil || len(lines) != 2 {
		t.Errorf("fsck.fat -n: %v\n%s", err, out)
	}
}

// image is an open image file.
type image struct {
	*os.File
	size int64
}

func openImage(t testing.TB, path string) image {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	return image{f, size}
}

func openFS(t testing.TB, path string) *fat.FS {
	t.Helper()
	i := openImage(t, path)
	f, err := fat.Open(i, i.size)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func edit(t testing.TB, path string) *fat.Editor {
	t.Helper()
	i := openImage(t, path)
	e, err := fat.Edit(i, i.size, fat.EditOptions{Time: when})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// must ends the test at the first error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func file(content string) *tree.Inode {
	return &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: when, Content: tree.Bytes(content)}
}

func dir() *tree.Inode {
	d := tree.NewDir(0o755)
	d.ModTime = when
	return d
}

// sound fails the test if our check finds anything.
func sound(t testing.TB, path string) {
	t.Helper()
	problems, err := openFS(t, path).Check(context.Background())
	if err != nil || len(problems) > 0 {
		t.Errorf("Check = %v, %v", problems, err)
	}
}

// ours lists all files with what is in them, by our reader.
func ours(t testing.TB, path string) map[string]string {
	t.Helper()
	tr, err := openFS(t, path).Tree()
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]string)
	err = tr.Walk(func(path string, n *tree.Inode) error {
		if path == "/" {
			return nil
		}
		list[path], err = describe(n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func describe(n *tree.Inode) (string, error) {
	if n.Mode.IsDir() {
		return "dir", nil
	}
	r, err := n.Content.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	return describeContent(io.NewSectionReader(r, 0, n.Size()), n.ModTime)
}

func describeContent(r io.Reader, modTime time.Time) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return fmt.Sprintf("%d bytes %x at %s", n, h.Sum(nil)[:6], modTime.UTC().Format(time.DateTime)), err
}

// theirs lists all files with what is in them, by mtools.
func theirs(t testing.TB, path string) map[string]string {
	t.Helper()
	out := t.TempDir()
	if listing := run(t, "mdir", "-i", path, "-b", "::/"); strings.TrimSpace(listing) == "" {
		return map[string]string{}
	}
	run(t, "mcopy", "-i", path, "-s", "-m", "-Q", "::/*", out)
	return listDir(t, out)
}

func listDir(t testing.TB, dir string) map[string]string {
	t.Helper()
	list := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name := strings.TrimPrefix(path, dir)
		if d.IsDir() {
			list[name] = "dir"
			return nil
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		list[name], err = describeContent(f, info.ModTime())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
