//go:build linux

package merge_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// A test that merges needs a system to merge into. It is run once more, as root
// of a world of its own: a mount namespace whose root is a small tree, or
// Debian's with its systemd. What a test leaves there is gone with the namespace.
const (
	worldVariable = "SEXTANT_MERGE_WORLD" // the root file system, "small" for one with nothing
	smallWorld    = "small"
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(killVariable); spec != "" {
		if err := killed(spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	world := os.Getenv(worldVariable)
	if world == "" {
		os.Exit(m.Run())
	}
	if err := enterWorld(world); err != nil {
		fmt.Fprintln(os.Stderr, "world:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// inWorld reports whether the test runs in the world. Outside it runs the test
// there and fails with it.
func inWorld(t *testing.T, root string) bool {
	t.Helper()
	if os.Getenv(worldVariable) != "" {
		return true
	}
	testenv.RequireRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$", "-test.v"}
	if deadline, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+time(deadline))
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), worldVariable+"="+root, "TMPDIR=/tmp")
	cmd.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("in its world: %v\n%s", err, out)
	} else if testing.Verbose() || strings.Contains(string(out), "--- SKIP") {
		t.Logf("in its world:\n%s", out)
	}
	return false
}

// inSmallWorld is inWorld with a root that has nothing but an os-release.
func inSmallWorld(t *testing.T) bool { return inWorld(t, smallWorld) }

// inSystem is inWorld with the root of a Debian release.
func inSystem(t *testing.T, release rootfs.Release) bool {
	t.Helper()
	if os.Getenv(worldVariable) != "" {
		return true
	}
	testenv.RequireRoot(t)
	return inWorld(t, rootfs.Require(t, release).Tree)
}

// enterWorld makes the world and makes it the root of the process.
func enterWorld(root string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	top, err := os.MkdirTemp("", "world")
	if err != nil {
		return err
	}
	// The directory is empty again when all is mounted in another namespace.
	if err := unix.Mount("world", top, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	if root != smallWorld {
		if err := mountSystem(root, top); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := bindFile(self, filepath.Join(top, "test")); err != nil {
		return err
	}
	for _, dir := range []string{"etc", "usr/lib", "usr/bin", "opt", "var/lib/extensions", "var/lib/confexts", "run", "proc", "dev", "sys", "tmp", "old", "images"} {
		if err := os.MkdirAll(filepath.Join(top, dir), 0o755); err != nil {
			return err
		}
	}
	if root == smallWorld {
		// The test program may be linked with the host's libraries.
		for _, dir := range []string{"/lib", "/lib64"} {
			if _, err := os.Stat(dir); err != nil {
				continue
			}
			if err := os.Mkdir(top+dir, 0o755); err != nil {
				return err
			}
			if err := unix.Mount(dir, top+dir, "", unix.MS_BIND, ""); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(top, "etc/os-release"), []byte("ID=debian\nVERSION_ID=99\n"), 0o644); err != nil {
			return err
		}
	}
	if err := bindSystem(top); err != nil {
		return err
	}
	if err := moveRoot(top); err != nil {
		return err
	}
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

// moveRoot makes top the root of the namespace. The root of an initramfs cannot
// be moved away, only covered.
func moveRoot(top string) error {
	err := unix.PivotRoot(top, filepath.Join(top, "old"))
	if errors.Is(err, unix.EINVAL) {
		if err := os.Chdir(top); err != nil {
			return err
		}
		if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
			return err
		}
		if err := unix.Chroot("."); err != nil {
			return err
		}
		return os.Chdir("/")
	}
	if err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/old", unix.MNT_DETACH); err != nil {
		return err
	}
	os.Remove(top)
	return nil
}

// mountSystem lays a layer in memory over a Debian tree.
func mountSystem(tree, top string) error {
	for _, dir := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(top, dir), 0o755); err != nil {
			return err
		}
	}
	return unix.Mount("world", top, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", tree, top, top))
}

// bindFile shows a file in the world.
func bindFile(path, target string) error {
	f, err := os.Create(target)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return unix.Mount(path, target, "", unix.MS_BIND, "")
}

func bindSystem(top string) error {
	for _, m := range []struct{ source, target, fstype string }{
		{"/images", "images", ""}, {"/dev", "dev", ""}, {"/sys", "sys", ""}, {"proc", "proc", "proc"}, {"run", "run", "tmpfs"}, {"tmp", "tmp", "tmpfs"},
	} {
		flags := uintptr(0)
		if _, err := os.Stat("/images"); err != nil && m.source == "/images" {
			continue
		}
		if m.fstype == "" {
			flags = unix.MS_BIND | unix.MS_REC
		}
		if err := unix.Mount(m.source, filepath.Join(top, m.target), m.fstype, flags, ""); err != nil {
			return fmt.Errorf("%s: %w", m.target, err)
		}
	}
	return nil
}
