package symlink_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sextant/internal/symlink"
)

// host reads a directory of this machine.
type host string

func (h host) Child(way []string, name string) (string, symlink.Kind, error) {
	at := filepath.Join(way[len(way)-1], name)
	state, err := os.Lstat(string(h) + at)
	if err != nil {
		return "", symlink.Other, err
	}
	return at, symlink.KindOf(state.IsDir(), state.Mode()&os.ModeSymlink != 0), nil
}

func (h host) Target(link string) (string, error) { return os.Readlink(string(h) + link) }

// TestAgainstKernel walks through random directories as openat2(2) does with
// RESOLVE_IN_ROOT.
func TestAgainstKernel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		root := randomSystem(t, random)
		fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			path, stay := randomPath(random), random.IntN(2) == 0
			want, wantErr := kernel(t, root, fd, path, stay)
			got, _, gotErr := symlink.Follow(host(root), "/", path, symlink.Rules{Links: 40, Stay: stay})
			if !errors.Is(gotErr, wantErr) || gotErr == nil && got != want {
				t.Errorf("Follow(%q, stay %t) = %q, %v, the kernel has %q, %v", path, stay, got, gotErr, want, wantErr)
			}
		}
		unix.Close(fd)
	}
}

// kernel returns where a path leads below root.
func kernel(t *testing.T, root string, dir int, path string, stay bool) (string, error) {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	if stay {
		how.Flags |= unix.O_NOFOLLOW
	}
	fd, err := unix.Openat2(dir, path, how)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	real, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		t.Fatal(err)
	}
	return "/" + strings.TrimPrefix(strings.TrimPrefix(real, root), "/"), nil
}

// randomSystem makes directories, files and links that are called by few names,
// so that many paths lead somewhere, and one chain as long as the kernel allows
// it and one more.
func randomSystem(t *testing.T, random *rand.Rand) string {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dirs := []string{root}
	for range 30 {
		at := filepath.Join(dirs[random.IntN(len(dirs))], randomName(random))
		switch random.IntN(4) {
		case 0:
			if os.Mkdir(at, 0o755) == nil {
				dirs = append(dirs, at)
			}
		case 1:
			if _, err := os.Lstat(at); err != nil {
				os.WriteFile(at, nil, 0o644)
			}
		default:
			os.Symlink(randomPath(random), at)
		}
	}
	os.Symlink("/", filepath.Join(root, "chain0"))
	for i := range 40 {
		os.Symlink("chain"+strconv.Itoa(i), filepath.Join(root, "chain"+strconv.Itoa(i+1)))
	}
	return root
}

func randomName(random *rand.Rand) string { return string("abcd"[random.IntN(4)]) }

func randomPath(random *rand.Rand) string {
	parts := []string{"a", "b", "c", "d", "a", "b", "c", "d", ".", "..", "", "chain39", "chain40"}
	var b strings.Builder
	if random.IntN(3) == 0 {
		b.WriteByte('/')
	}
	for i := range 1 + random.IntN(5) {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(parts[random.IntN(len(parts))])
	}
	if b.Len() == 0 {
		return "."
	}
	return b.String()
}
