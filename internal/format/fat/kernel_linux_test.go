package fat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/imagetest"
	"sextant/internal/tree"
	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// kernelShapes are the file systems that a kernel mounts, by the serial numbers
// of their disks.
var kernelShapes = map[string]string{
	"fat12": "-F 12 -s 32", "fat16": "-F 16 -s 2 -r 64", "fat32": "-F 32 -s 1", "sectors": "-F 32 -S 4096 -s 1",
}

// TestKernel has a kernel with vfat mount what we edited, and edits what that
// kernel wrote.
func TestKernel(t *testing.T) {
	vm := vmtest.New(t, rootfs.Trixie())
	vm.Modules("vfat", "nls_cp437", "nls_ascii")
	images := make(map[string]string)
	for serial, args := range kernelShapes {
		images[serial] = mkfs(t, 34<<10, strings.Fields(args)...)
		e := edit(t, images[serial])
		loaders(t, e, 100000)
		must(t, e.Put("𝄞.txt", file("two units")), e.Commit())
		vm.AddDisk(serial, images[serial])
	}
	vm.RunTest("TestKernelInGuest")
	for _, path := range images {
		sound(t, path)
		if out, err := tool(t, "fsck.fat", "-n", path); err != nil {
			t.Errorf("fsck.fat -n: %v\n%s", err, out)
		}
	}
}

// TestKernelInGuest is what TestKernel runs in the machine.
func TestKernelInGuest(t *testing.T) {
	vmtest.SkipOnHost(t)
	for serial := range kernelShapes {
		t.Run(serial, func(t *testing.T) {
			device := deviceOf(t, serial)
			compareKernel(t, device)
			onMount(t, device, 0, kernelEdits)
			sound(t, device)
			compareKernel(t, device)
			ourEdits(t, device)
			compareKernel(t, device)
			onMount(t, device, 0, kernelEdits)
			compareKernel(t, device)
			sound(t, device)
		})
	}
}

// deviceOf returns the block device whose disk has the serial number.
func deviceOf(t *testing.T, serial string) string {
	t.Helper()
	files, err := filepath.Glob("/sys/block/*/serial")
	must(t, err)
	for _, file := range files {
		if p, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(p)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(file))
		}
	}
	t.Fatalf("no disk has the serial number %s", serial)
	return ""
}

func onMount(t *testing.T, device string, flags uintptr, do func(t *testing.T, dir string)) {
	t.Helper()
	dir := t.TempDir()
	flush(t, device)
	must(t, syscall.Mount(device, dir, "vfat", flags, "utf8=1,iocharset=ascii,tz=UTC"))
	do(t, dir)
	must(t, syscall.Unmount(dir, 0))
	flush(t, device)
}

// flush writes what the kernel keeps of a device, and forgets it: a mounted file
// system reads and writes its files past that.
func flush(t *testing.T, device string) {
	t.Helper()
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	const blkFlsBuf = 0x1261
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), blkFlsBuf, 0); errno != 0 {
		t.Fatalf("BLKFLSBUF: %v", errno)
	}
}

func compareKernel(t *testing.T, device string) {
	t.Helper()
	mine := ours(t, device)
	onMount(t, device, syscall.MS_RDONLY, func(t *testing.T, dir string) {
		if diff := cmp.Diff(listDir(t, dir), mine); diff != "" {
			t.Errorf("kernel (-), ours (+):\n%s", diff)
		}
		for path := range mine { // found in another case too
			if _, err := os.Stat(dir + strings.ToUpper(path)); err != nil && isASCII(path) {
				t.Error(err)
			}
		}
	})
}

func isASCII(s string) bool { return strings.IndexFunc(s, func(r rune) bool { return r > '~' }) < 0 }

// kernelEdits are changes that leave holes among the entries and clusters.
func kernelEdits(t *testing.T, dir string) {
	for n := range 30 {
		name := fmt.Sprintf("%s/loader/Kernel file number %d.text", dir, n)
		must(t, os.WriteFile(name, noise(uint64(n), int64(n)*97), 0o644))
	}
	for n := 0; n < 30; n += 3 {
		must(t, os.Remove(fmt.Sprintf("%s/loader/Kernel file number %d.text", dir, n)))
	}
	must(t, os.RemoveAll(dir+"/EFI/moved"), os.Rename(dir+"/EFI/BOOT", dir+"/EFI/moved"), os.MkdirAll(dir+"/EFI/BOOT/deep", 0o755),
		os.WriteFile(dir+"/EFI/BOOT/naïve résumé.txt", []byte("é"), 0o644), os.WriteFile(dir+"/UPPER.TXT", []byte("u"), 0o644))
}

// ourEdits go on with what the kernel left.
func ourEdits(t *testing.T, device string) {
	e := edit(t, device)
	for n := range 40 {
		must(t, e.Put(fmt.Sprintf("loader/Kernel file number %d.text", n), &tree.Inode{
			Mode: tree.TypeRegular | 0o644, ModTime: when, Content: imagetest.Noise{Seed: uint64(n), Length: int64(n) * 31},
		}))
	}
	must(t, e.RemoveAll("EFI/BOOT"), e.Put("EFI/boot", dir()), e.Put("EFI/boot/new.efi", file("new")), e.Remove("upper.txt"), e.Commit())
}
