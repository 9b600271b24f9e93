package ext4_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sextant/internal/format/ext4"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

// These make the test binary list or fill a directory instead of running tests:
// inside the mount namespace where the kernel shows an image.
const (
	listVariable = "SEXTANT_EXT4_LIST"
	fillVariable = "SEXTANT_EXT4_FILL"
	editVariable = "SEXTANT_EXT4_EDIT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(fillVariable); dir != "" {
		fill := maker{func(err error) { fmt.Fprintln(os.Stderr, err); os.Exit(1) }, dir}
		fill.everything()
		fill.byKernel()
		os.Exit(0)
	}
	if file := os.Getenv(editVariable); file != "" {
		if err := applyFile(file, "."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir := os.Getenv(listVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	l, err := listDir(dir)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(l)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// attributes is all of a file that a reader must get right.
type attributes struct {
	Mode     string
	UID, GID uint32
	Links    uint32 `json:",omitempty"`
	Inode    uint32 `json:",omitempty"`
	Size     int64
	Time     string
	Device   string   `json:",omitempty"`
	Target   string   `json:",omitempty"`
	Hash     string   `json:",omitempty"`
	Xattrs   []string `json:",omitempty"`
}

// listing maps paths, "/" and "/a/b", to attributes. Bytes of names that are not
// UTF-8 are escaped.
type listing map[string]attributes

func key(path string) string { return fmt.Sprintf("%+q", path) }

// listDir lists a directory as the kernel shows it.
func listDir(dir string) (listing, error) {
	l := make(listing)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		a, err := kernelAttributes(path)
		l[key("/"+strings.TrimPrefix(strings.TrimPrefix(path, dir), "/"))] = a
		return err
	})
	return l, err
}

func kernelAttributes(path string) (attributes, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return attributes{}, err
	}
	st := fi.Sys().(*syscall.Stat_t)
	a := attributes{
		Mode: fmt.Sprintf("%o", st.Mode), UID: st.Uid, GID: st.Gid,
		Links: uint32(st.Nlink), Inode: uint32(st.Ino), Size: st.Size,
		Time: time.Unix(st.Mtim.Sec, st.Mtim.Nsec).UTC().Format(time.RFC3339Nano),
	}
	switch fi.Mode().Type() {
	case 0:
		f, err := os.Open(path)
		if err != nil {
			return a, err
		}
		defer f.Close()
		a.Hash, err = hashOf(f)
		if err != nil {
			return a, err
		}
	case fs.ModeSymlink:
		if a.Target, err = os.Readlink(path); err != nil {
			return a, err
		}
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		a.Device = fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	a.Xattrs, err = kernelXattrs(path)
	return a, err
}

func kernelXattrs(path string) ([]string, error) {
	b := make([]byte, 1<<16)
	n, err := unix.Llistxattr(path, b)
	if err != nil {
		return nil, fmt.Errorf("listxattr %s: %w", path, err)
	}
	var list []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(b[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 1<<16)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return nil, fmt.Errorf("getxattr %s of %s: %w", name, path, err)
		}
		list = append(list, xattrLine(name, value[:n]))
	}
	slices.Sort(list)
	return list, nil
}

func xattrLine(name string, value []byte) string {
	if len(value) > 64 {
		return fmt.Sprintf("%s: %d bytes %x", name, len(value), sha256.Sum256(value))
	}
	return fmt.Sprintf("%s: %x", name, value)
}

func hashOf(r io.Reader) (string, error) {
	h := sha256.New()
	_, err := io.Copy(h, r)
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), err
}

// listImage lists a file system as we see it, through its tree, its io/fs view
// and its attributes.
func listImage(t testing.TB, f *ext4.FS) listing {
	t.Helper()
	tr, err := f.Tree()
	if err != nil {
		t.Fatal(err)
	}
	l := make(listing)
	err = tr.Walk(func(path string, n *tree.Inode) error {
		a := attributes{
			Mode: fmt.Sprintf("%o", n.Mode), UID: n.UID, GID: n.GID,
			Size: n.Size(), Time: n.ModTime.Format(time.RFC3339Nano), Target: n.Target,
		}
		if n.Mode.IsDevice() {
			a.Device = fmt.Sprintf("%d:%d", n.Device.Major, n.Device.Minor)
		}
		for _, x := range n.Xattrs {
			a.Xattrs = append(a.Xattrs, xattrLine(x.Name, x.Value))
		}
		slices.Sort(a.Xattrs)
		if n.Mode.IsRegular() {
			var err error
			if a.Hash, err = hashContent(n.Content); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		l[key(path)] = a
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// hashContent reads only the extents of a content: the rest must be zeros.
func hashContent(c tree.Content) (string, error) {
	r, err := c.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	h, at := sha256.New(), int64(0)
	for _, e := range c.Extents() {
		if err := writeZeros(h, e.Offset-at); err != nil {
			return "", err
		}
		if _, err := io.Copy(h, io.NewSectionReader(r, e.Offset, e.Length)); err != nil {
			return "", err
		}
		at = e.End()
	}
	if err := writeZeros(h, c.Size()-at); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

func writeZeros(w io.Writer, n int64) error {
	if n < 0 {
		return fmt.Errorf("%d bytes of zeros", n)
	}
	zeros := make([]byte, 1<<16)
	for ; n > 0; n -= min(n, int64(len(zeros))) {
		if _, err := w.Write(zeros[:min(n, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return nil
}

// addStat adds what a tree does not hold: inode numbers and links.
func addStat(t testing.TB, f *ext4.FS, l listing) {
	t.Helper()
	err := fs.WalkDir(f, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		k := key("/" + strings.TrimPrefix(path, "."))
		if path != "." {
			k = key("/" + path)
		}
		a, ok := l[k]
		if !ok {
			return fmt.Errorf("%s is not in the tree", path)
		}
		s := fi.Sys().(*ext4.Stat)
		a.Links, a.Inode = s.Links, s.Inode
		if a.Mode != fmt.Sprintf("%o", s.Mode) || !s.Mode.IsDir() && a.Size != s.Size {
			return fmt.Errorf("%s: stat is %+v", path, s)
		}
		if s.Mode.IsDir() {
			a.Size = s.Size
		}
		l[k] = a
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// kernelList lists an image as the kernel shows it, mounted read-only in a mount
// namespace of its own.
func kernelList(t testing.TB, image string) listing {
	t.Helper()
	out := inMount(t, image, "ro", listVariable+"=$PWD exec "+self(t))
	l := make(listing)
	if err := json.Unmarshal(out, &l); err != nil {
		t.Fatal(err)
	}
	return l
}

// self returns the path of the test binary.
func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// inMount runs a shell script in the root of an image that the kernel mounts,
// and returns what it prints.
func inMount(t testing.TB, image, options, script string) []byte {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare", "mount", "losetup")
	dir := t.TempDir()
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc", `
		mount -t ext4 -o loop,"$3" "$1" "$2"
		(cd "$2"; `+script+`)
		umount "$2"`, "sh", image, dir, options)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("in a mount of %s: %v\n%s", image, err, stderr.String())
	}
	return out
}

// openImage opens an image that has to be there as long as the test.
func openImage(t testing.TB, path string) *ext4.FS {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	fi, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f, err := ext4.Open(file, fi.Size())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs a program that has to succeed, or to end with one of the given codes.
func run(t testing.TB, program string, args ...string) string {
	t.Helper()
	testenv.Require(t, program)
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return string(out)
}
