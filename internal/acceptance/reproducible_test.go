package acceptance_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sextant/internal/cli"
	"sextant/internal/golden"
	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
)

const reproducibleConf = `[Output]
Format=sysext
ImageId=golden
ImageVersion=1.0.0
OutputDirectory=out
[Distribution]
Architecture=x86-64
[Content]
ExtraTrees=tree
[Validation]
Verity=signed
VerityKey=%[1]s.pem
VerityCertificate=%[1]s.crt
`

// goldenTree needs no root to be made: it has what an extension has, with
// enough data for several workers.
func goldenTree() *tree.Tree {
	b := imagetest.NewBuilder()
	b.File("usr/bin/tool", 0o755, "#!/bin/sh\necho tool\n")
	b.Symlink("usr/bin/alias", "tool")
	b.Content("usr/lib/tool/big", 0o644, imagetest.Noise{Seed: 3, Length: 7_000_001})
	b.Put("usr/lib/tool/hard", b.File("usr/lib/tool/link", 0o644, "linked"))
	for n := range 500 {
		b.File(fmt.Sprintf("usr/share/tool/%03d", n), 0o644, strings.Repeat("x", n*17))
	}
	b.File("opt/tool/config", 0o600, "a=b\n")
	err := b.Tree.Walk(func(_ string, node *tree.Inode) error {
		node.UID, node.GID = uint32(os.Geteuid()), uint32(os.Getegid())
		return nil
	})
	if err != nil {
		panic(err)
	}
	return b.Tree
}

// buildGolden builds the image in a new directory and returns its bytes.
func buildGolden(t *testing.T, key string, change func(t *testing.T, dir string, env *cli.Env)) []byte {
	t.Helper()
	dir := project(t, fmt.Sprintf(reproducibleConf, key), goldenTree())
	var errs bytes.Buffer
	env := cli.Env{
		Stdin: strings.NewReader(""), Stdout: &bytes.Buffer{}, Stderr: &errs,
		Dir: dir, Environ: []string{"PATH=/usr/bin"}, Now: time.Now,
	}
	if change != nil {
		change(t, dir, &env)
	}
	if status := cli.Main(t.Context(), env, []string{"build"}); status != 0 {
		t.Fatalf("build: exit status %d: %s", status, &errs)
	}
	image, err := os.ReadFile(filepath.Join(env.Dir, "out/golden.raw"))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// TestGoldenImages compares whole images, as SHA-256, with what sextant made
// when the digests were written.
//
// They may change when what the image says changes: another layout of the file
// system, other ids, another release file. Each such change belongs in the
// changelog, as extensions that are built again get another root hash. They
// must not change with the Go release, the machine, or the code's shape.
func TestGoldenImages(t *testing.T) {
	for _, key := range []string{"rsa", "ecdsa"} {
		got := fmt.Sprintf("%x\n", sha256.Sum256(buildGolden(t, key, nil)))
		golden.Compare(t, filepath.Join("testdata", "golden-"+key+".sha256"), got)
	}
}

// TestSameBytes builds under circumstances that must not matter. It changes
// the process, so no other test may run beside it.
func TestSameBytes(t *testing.T) {
	changes := map[string]func(t *testing.T, dir string, env *cli.Env){
		"again": nil,
		"later clock": func(_ *testing.T, _ string, env *cli.Env) {
			env.Now = func() time.Time { return time.Now().AddDate(30, 1, 1) }
		},
		"umask 077": func(t *testing.T, _ string, _ *cli.Env) { umask(t, 0o077) },
		"umask 0":   func(t *testing.T, _ string, _ *cli.Env) { umask(t, 0) },
		"locale": func(_ *testing.T, _ string, env *cli.Env) {
			env.Environ = append(env.Environ, "LC_ALL=tr_TR.UTF-8", "LANG=de_DE", "TZ=Asia/Tokyo")
		},
		"local time":   func(t *testing.T, _ string, _ *cli.Env) { localTime(t) },
		"1 processor":  func(t *testing.T, _ string, _ *cli.Env) { processors(t, 1) },
		"2 processors": func(t *testing.T, _ string, _ *cli.Env) { processors(t, 2) },
		"8 processors": func(t *testing.T, _ string, _ *cli.Env) { processors(t, 8) },
		"directory":    func(t *testing.T, dir string, env *cli.Env) { env.Dir = moved(t, dir) },
		"file order":   func(t *testing.T, dir string, _ *cli.Env) { recreated(t, dir) },
		"other output": func(t *testing.T, dir string, _ *cli.Env) {
			writeFiles(t, dir, map[string]string{"out/golden_0.9.raw": "older"})
		},
		"newer than now": func(t *testing.T, dir string, _ *cli.Env) { touched(t, dir) },
	}
	for _, key := range []string{"rsa", "ecdsa"} {
		want := sha256.Sum256(buildGolden(t, key, nil))
		for name, change := range changes {
			t.Run(key+" "+name, func(t *testing.T) {
				if got := sha256.Sum256(buildGolden(t, key, change)); got != want {
					t.Errorf("other bytes: %x, want %x", got, want)
				}
			})
		}
	}
}

// TestCornerSameBytes does the same for a tree that only root can make, which
// has all that a file system can have, on other file systems.
func TestCornerSameBytes(t *testing.T) {
	testenv.RequireRoot(t)
	var want [32]byte
	for i, dir := range []string{t.TempDir(), memoryDir(t)} {
		content := imagetest.Corner()
		content.Lookup("usr/times").Remove("1901") // ext4 does not keep it
		fillProject(t, dir, fmt.Sprintf(reproducibleConf, "rsa"), content)
		sextant(t, dir, "build", "--preserve-owner", "--preserve-xattrs=all", "--keep-empty-directories")
		image, err := os.ReadFile(filepath.Join(dir, "out/golden.raw"))
		if err != nil {
			t.Fatal(err)
		}
		got := sha256.Sum256(image)
		if i > 0 && got != want {
			t.Errorf("other bytes in %s: %x, want %x", dir, got, want)
		}
		want = got
	}
}

func umask(t *testing.T, mask int) {
	old := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(old) })
}

func localTime(t *testing.T) {
	old := time.Local
	time.Local = time.FixedZone("east", 9*3600)
	t.Cleanup(func() { time.Local = old })
}

func processors(t *testing.T, n int) {
	old := runtime.GOMAXPROCS(n)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// moved gives the project another path, with another length.
func moved(t *testing.T, dir string) string {
	to := filepath.Join(t.TempDir(), "a much longer name", "than before")
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// recreated makes all files of the tree again, the last one first, so that the
// directories list them in another order and inode numbers go the other way.
func recreated(t *testing.T, dir string) {
	t.Helper()
	umask(t, 0o022)
	var paths []string
	content, err := imagetest.Scan(filepath.Join(dir, "tree"))
	if err != nil {
		t.Fatal(err)
	}
	err = content.Walk(func(path string, node *tree.Inode) error {
		if !node.Mode.IsDir() {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "tree"), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(paths)
	place(t, dir, paths, content)
}

// place copies the files in the order of paths.
func place(t *testing.T, dir string, paths []string, content *tree.Tree) {
	t.Helper()
	made := make(map[*tree.Inode]string)
	for _, path := range paths {
		node, at := content.Lookup(path), filepath.Join(dir, "tree", path)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		if err != nil {
			t.Fatal(err)
		}
		switch old := filepath.Join(dir, "old", path); {
		case made[node] != "":
			err = os.Link(made[node], at)
		case node.Mode.IsRegular():
			var text []byte
			if text, err = os.ReadFile(old); err == nil {
				err = os.WriteFile(at, text, 0o600)
			}
		default:
			err = os.Symlink(node.Target, at)
		}
		if err == nil && node.Mode.IsRegular() {
			err = os.Chmod(at, node.Mode.FileMode().Perm())
		}
		if err != nil {
			t.Fatal(err)
		}
		made[node] = at
	}
}

// touched gives every file the time of now, which SourceDateEpoch= levels.
func touched(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, "tree"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type() == os.ModeSymlink {
			return err
		}
		return os.Chtimes(path, time.Now(), time.Now().Add(time.Hour))
	})
	if err != nil {
		t.Fatal(err)
	}
}
