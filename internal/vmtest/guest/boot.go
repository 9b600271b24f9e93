package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// Boot is process 1 of the initramfs. It returns only on a fault; the kernel
// panics then, which ends the virtual machine.
func Boot() error {
	if err := mountKernelFilesystems(); err != nil {
		return err
	}
	var config Config
	raw, err := os.ReadFile(ConfigPath)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return fmt.Errorf("read %s: %w", ConfigPath, err)
	}
	for _, path := range config.Modules {
		if err := loadModule(path); err != nil {
			return err
		}
	}
	if config.Program != nil {
		return runProgram(config)
	}
	if config.Initrd {
		return startInitrd(config.Mounts)
	}
	return switchRoot(config.Mounts)
}

func mountKernelFilesystems() error {
	for _, m := range [...]struct{ kind, dir string }{{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}} {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(m.kind, m.dir, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.dir, err)
		}
	}
	return nil
}

// unmountKernelFilesystems is for systemd, which mounts its own.
func unmountKernelFilesystems() error {
	for _, dir := range []string{"/dev", "/proc", "/sys"} {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", dir, err)
		}
	}
	return nil
}

// compressedFile is MODULE_INIT_COMPRESSED_FILE of linux/module.h.
const compressedFile = 4

// loadModule leaves decompression to the kernel: Debian's kernels that have
// compressed modules are built with CONFIG_MODULE_DECOMPRESS.
func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := uintptr(0)
	if !strings.HasSuffix(path, ".ko") {
		flags = compressedFile
	}
	noParameters := []byte{0}
	_, _, errno := syscall.Syscall(sysFinitModule, f.Fd(), uintptr(unsafe.Pointer(&noParameters[0])), flags)
	if errno != 0 && errno != syscall.EEXIST {
		return fmt.Errorf("load module %s: %w", filepath.Base(path), errno)
	}
	return nil
}

// sysFinitModule is missing from package syscall; the harness is x86-64 only.
const sysFinitModule = 313

// switchRoot replaces the initramfs by the root disk and this process by the
// init program there. It returns only on a fault.
func switchRoot(mounts []Mount) error {
	inputs, err := openDisk(InputSerial, os.O_RDONLY)
	if err != nil {
		return err
	}
	if err := mountRoot(mounts); err != nil {
		return err
	}
	if err := unmountKernelFilesystems(); err != nil {
		return err
	}
	if err := moveRoot("/sysroot"); err != nil {
		return err
	}
	if err := Unpack(inputs, "/"); err != nil {
		return fmt.Errorf("unpack inputs: %w", err)
	}
	if err := inputs.Close(); err != nil {
		return err
	}
	return start("/sbin/init")
}

// start replaces this process by an init program.
func start(init string) error {
	return syscall.Exec(init, append([]string{init}, os.Args[1:]...), []string{"HOME=/", "TERM=dumb"})
}

// startInitrd puts the inputs on the root disk and leaves the rest to the systemd
// of the initramfs. It returns only on a fault.
func startInitrd(mounts []Mount) error {
	inputs, err := openDisk(InputSerial, os.O_RDONLY)
	if err != nil {
		return err
	}
	if err := mountRoot(mounts); err != nil {
		return err
	}
	if err := Unpack(inputs, "/sysroot"); err != nil {
		return fmt.Errorf("unpack inputs: %w", err)
	}
	if err := errors.Join(inputs.Close(), syscall.Unmount("/sysroot", 0), unmountKernelFilesystems()); err != nil {
		return err
	}
	return start("/usr/lib/systemd/systemd")
}

// mountRoot mounts the root disk, or partitions of it, below /sysroot.
func mountRoot(mounts []Mount) error {
	root, err := waitForDisk(RootSerial)
	if err != nil {
		return err
	}
	if err := os.MkdirAll("/sysroot", 0o755); err != nil {
		return err
	}
	if len(mounts) == 0 {
		mounts = []Mount{{Dir: "/"}}
	}
	for _, m := range mounts {
		device := root
		if m.Partition > 0 {
			device = fmt.Sprintf("%s%d", root, m.Partition)
		}
		if err := syscall.Mount(device, filepath.Join("/sysroot", m.Dir), "ext4", 0, ""); err != nil {
			return fmt.Errorf("mount root disk %s on %s: %w", device, m.Dir, err)
		}
	}
	return nil
}

// moveRoot is what switch_root(8) does. The initramfs stays in memory, below
// the new root: it is a few megabytes and the machine is short-lived.
func moveRoot(dir string) error {
	if err := os.Chdir(dir); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move %s to /: %w", dir, err)
	}
	if err := syscall.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return os.Chdir("/")
}

// unpackInputs unpacks the input disk into the initramfs.
func unpackInputs() error {
	inputs, err := openDisk(InputSerial, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer inputs.Close()
	if err := Unpack(inputs, "/"); err != nil {
		return fmt.Errorf("unpack inputs: %w", err)
	}
	return nil
}

func openDisk(serial string, flags int) (*os.File, error) {
	path, err := waitForDisk(serial)
	if err != nil {
		return nil, err
	}
	return os.OpenFile(path, flags, 0)
}

// waitForDisk returns the device with the given serial number. Virtio disks
// are probed in the background, so it may take a moment to appear.
func waitForDisk(serial string) (string, error) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		files, err := filepath.Glob("/sys/block/*/serial")
		if err != nil {
			return "", err
		}
		for _, file := range files {
			if found, err := os.ReadFile(file); err == nil && strings.TrimSpace(string(found)) == serial {
				return "/dev/" + filepath.Base(filepath.Dir(file)), nil
			}
		}
	}
	return "", fmt.Errorf("no disk with serial number %s", serial)
}
