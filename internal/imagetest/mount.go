package imagetest

import (
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"sextant/internal/span"
	"sextant/internal/testenv"
)

// Mount mounts the image file through a loop device, read-only, in a mount
// namespace that only visit sees, which it calls with the mount point.
func Mount(t testing.TB, image, fsType string, visit func(dir string) error) error {
	t.Helper()
	return mount(t, image, fsType, "loop,ro", visit)
}

// MountAt is Mount for a file system in a part of the image file.
func MountAt(t testing.TB, image string, at span.Span, fsType string, visit func(dir string) error) error {
	t.Helper()
	return mount(t, image, fsType, fmt.Sprintf("loop,ro,offset=%d,sizelimit=%d", at.Offset, at.Length), visit)
}

func mount(t testing.TB, image, fsType, options string, visit func(dir string) error) error {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.Require(t, "mount", "umount")
	dir := t.TempDir()
	done := make(chan error)
	go func() {
		// The thread has a namespace of its own from here on. It is never
		// unlocked, so that it ends together with the goroutine.
		runtime.LockOSThread()
		done <- mountVisit(image, fsType, options, dir, visit)
	}()
	return <-done
}

func mountVisit(image, fsType, options, dir string, visit func(dir string) error) (err error) {
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if out, err := exec.Command("mount", "-t", fsType, "-o", options, image, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount: %w: %s", err, out)
	}
	defer func() {
		if out, e := exec.Command("umount", dir).CombinedOutput(); e != nil && err == nil {
			err = fmt.Errorf("umount: %w: %s", e, out)
		}
	}()
	return visit(dir)
}

// MountWritable is Mount for a file system that visit may write to.
func MountWritable(t testing.TB, image, fsType string, visit func(dir string) error) error {
	t.Helper()
	return mount(t, image, fsType, "loop", visit)
}
