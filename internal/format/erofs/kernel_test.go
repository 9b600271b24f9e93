package erofs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sextant/internal/imagetest"
	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// corners are the images that other kernels mount, by the serial numbers of
// their disks.
var corners = map[string]string{"corner": "corner", "small": "small", "root": "large-root"}

// TestOtherKernels has the kernels of two releases mount our images: 6.1, the
// oldest that an extension is for, and 6.12.
func TestOtherKernels(t *testing.T) {
	for _, release := range []rootfs.Release{rootfs.Bookworm(), rootfs.Trixie()} {
		t.Run(release.String(), func(t *testing.T) {
			vm := vmtest.New(t, release)
			vm.Modules("erofs")
			for serial, name := range corners {
				vm.AddDisk(serial, writeImage(t, cases()[name](), options()))
			}
			vm.RunTest("TestInGuest")
		})
	}
}

// TestInGuest is what TestOtherKernels runs in the machine.
func TestInGuest(t *testing.T) {
	vmtest.SkipOnHost(t)
	for serial, name := range corners {
		device, err := deviceOf(serial)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := syscall.Mount(device, dir, "erofs", syscall.MS_RDONLY, ""); err != nil {
			t.Fatalf("mount %s: %v", name, err)
		}
		got, err := imagetest.DumpDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range imagetest.Diff(got, dump(t, cases()[name]())) {
			t.Errorf("%s: %s", name, line)
		}
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}
}

// deviceOf returns the block device whose disk has the serial number.
func deviceOf(serial string) (string, error) {
	files, err := filepath.Glob("/sys/block/*/serial")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		if p, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(p)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(file)), nil
		}
	}
	return "", fmt.Errorf("no disk has the serial number %s", serial)
}
