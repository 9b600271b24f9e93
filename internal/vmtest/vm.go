package vmtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/guest"
	"sextant/internal/vmtest/rootfs"
)

// VM is a virtual machine that is off between runs. Its methods end the test
// where the harness itself meets a fault.
type VM struct {
	// Timeout is the time that the script or program has. The boot has a
	// time of its own.
	Timeout time.Duration

	t         testing.TB
	root      rootfs.Rootfs
	dir       string
	inputs    *archive
	kernelArg []string
	modules   []string
	disks     []disk
	runs      int

	initrd *initrd // nil where systemd starts on the disk

	base   disk // what the root disk is a layer over
	mounts []guest.Mount
}

// disk is an extra disk of the machine.
type disk struct {
	serial, path, format string
	readOnly             bool
}

// New returns a machine with the given release. It skips the test under -short
// and where something is missing; see rootfs.Require about the cache.
func New(t testing.TB, r rootfs.Release) *VM {
	t.Helper()
	if testing.Short() && !testenv.Required("vm") {
		t.Skip("LEFT OUT: virtual machines take too long for -short")
	}
	testenv.Require(t, "qemu-system-x86_64", "qemu-img")
	root := rootfs.Require(t, r)
	return &VM{Timeout: 10 * time.Minute, t: t, root: root, dir: t.TempDir(), base: disk{path: root.Disk, format: "raw"}}
}

// RootDisk replaces the disk of the machine, in a format of QEMU's; the kernel
// stays that of the release. Partitions says which of them to mount before
// systemd starts: "/", and "/usr" where that is apart. Without any the disk is
// a bare file system. The machine writes into a layer over it.
func (vm *VM) RootDisk(host, format string, partitions map[string]int) {
	vm.base = disk{path: host, format: format}
	for dir, number := range partitions {
		vm.mounts = append(vm.mounts, guest.Mount{Dir: dir, Partition: number})
	}
	slices.SortFunc(vm.mounts, func(a, b guest.Mount) int { return strings.Compare(a.Dir, b.Dir) })
}

// WriteFile gives the machine a file, owned by root. It is there before
// systemd starts in the next run.
func (vm *VM) WriteFile(path string, content []byte, mode fs.FileMode) {
	vm.t.Helper()
	vm.check("write "+path, vm.open().regular(path, content, mode))
}

// Mkdir gives the machine an empty directory.
func (vm *VM) Mkdir(path string, mode fs.FileMode) {
	vm.t.Helper()
	vm.check("make "+path, vm.open().directory(path, mode))
}

// Symlink gives the machine a symlink at path.
func (vm *VM) Symlink(target, path string) {
	vm.t.Helper()
	vm.check("link "+path, vm.open().symlink(target, path))
}

// Enable makes target want a unit of the system, as systemctl enable does:
// Debian enables neither systemd-sysext.service nor systemd-confext.service.
func (vm *VM) Enable(target, unit string) {
	vm.t.Helper()
	vm.Symlink("/usr/lib/systemd/system/"+unit, "/etc/systemd/system/"+target+".wants/"+unit)
}

// CopyIn gives the machine a file or directory tree of the host, with owners,
// modes, times and extended attributes.
func (vm *VM) CopyIn(host, path string) {
	vm.t.Helper()
	vm.check("copy in "+host, vm.open().copy(host, path))
}

// KernelArgs adds to the kernel's command line.
func (vm *VM) KernelArgs(args ...string) { vm.kernelArg = append(vm.kernelArg, args...) }

// Modules names kernel modules that RunProgram loads, with those they need,
// before the program, or before systemd where that starts in an initrd. A booted
// system loads what it needs itself.
func (vm *VM) Modules(names ...string) { vm.modules = append(vm.modules, names...) }

// AddDisk adds a disk with raw content; the machine writes to that very file.
// The guest finds it as /dev/disk/by-id/virtio-SERIAL; at most 20 bytes.
func (vm *VM) AddDisk(serial, host string) {
	vm.disks = append(vm.disks, disk{serial: serial, path: host, format: "raw"})
}

// Run boots the system, runs script with bash -eu -o pipefail after the boot,
// in the directory $RESULTS, and powers off. Runs of one VM keep the disk.
func (vm *VM) Run(script string) *Result {
	vm.t.Helper()
	return vm.start(func() (*Result, error) { return vm.boot(script) })
}

// MustRun is Run, and ends the test where the script's exit status is not 0.
func (vm *VM) MustRun(script string) *Result {
	vm.t.Helper()
	result := vm.Run(script)
	if result.Status != 0 {
		vm.t.Fatalf("script on %s: exit status %d\nstdout:\n%s\nstderr:\n%s", vm.root.Release, result.Status, result.Stdout, result.Stderr)
	}
	return result
}

// RunProgram starts only the kernel, with the static program at host as the
// one process, in the directory $RESULTS, as root in the initramfs. It is
// several times faster than Run. The environment has VMTEST=1.
func (vm *VM) RunProgram(host string, args ...string) *Result {
	vm.t.Helper()
	return vm.start(func() (*Result, error) { return vm.bootProgram(host, args) })
}

// RunTest is RunProgram with a test function of the calling package: what it
// does in the guest stands next to what the host expects. It ends the test
// where the one in the guest does not pass, and shows what that one printed.
//
//	func TestInGuest(t *testing.T) {
//		vmtest.SkipOnHost(t)
func (vm *VM) RunTest(name string) *Result {
	vm.t.Helper()
	binary, err := buildTest(vm.t.Context(), vm.dir)
	vm.check("build test program", err)
	result := vm.RunProgram(binary, "-test.v", "-test.run=^"+name+"$")
	if result.Status != 0 || !strings.Contains(result.Stdout, "\n--- PASS: "+name) {
		vm.t.Fatalf("%s in the guest: exit status %d\n%s%s", name, result.Status, result.Stdout, result.Stderr)
	}
	return result
}

// SkipOnHost skips t unless it runs in a machine.
func SkipOnHost(t testing.TB) {
	t.Helper()
	if os.Getenv("VMTEST") == "" {
		t.Skip("runs in a virtual machine, started by another test")
	}
}

// start does one run and turns its fault into the end of the test.
func (vm *VM) start(run func() (*Result, error)) *Result {
	vm.t.Helper()
	vm.runs++
	vm.t.Cleanup(vm.keepOrRemove(vm.consoleLog()))
	result, err := run()
	vm.inputs = nil
	if err != nil {
		vm.t.Fatalf("boot %s: %v\n%s", vm.root.Release, err, lastWords(vm.consoleLog()))
	}
	return result
}

// open returns the archive for the next run.
func (vm *VM) open() *archive {
	vm.t.Helper()
	if vm.inputs == nil {
		inputs, err := newArchive(filepath.Join(vm.dir, fmt.Sprintf("in-%d", vm.runs)))
		vm.check("create archive", err)
		vm.inputs = inputs
		vm.t.Cleanup(func() { os.Remove(inputs.path) })
	}
	return vm.inputs
}

func (vm *VM) check(act string, err error) {
	vm.t.Helper()
	if err != nil {
		vm.t.Fatalf("%s: %v", act, err)
	}
}
