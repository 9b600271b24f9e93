package vmtest

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sextant/internal/vmtest/guest"
)

// bootTime is what a machine may take beside the script. It is generous: boots
// of 20 s were seen to take two minutes on a machine busy with other things.
const bootTime = 8 * time.Minute

// outputSize is the size of the output disk, a sparse file.
const outputSize = 2 << 30

// boot runs script in the full system.
func (vm *VM) boot(script string) (*Result, error) {
	program, err := buildGuest(vm.t.Context(), vm.dir)
	if err != nil {
		return nil, fmt.Errorf("build guest program: %w", err)
	}
	root, err := vm.rootDisk()
	if err != nil {
		return nil, err
	}
	in := vm.open()
	err = errors.Join(
		in.copy(program, guest.SelfPath),
		in.regular(guest.ScriptPath, []byte(script), 0o755),
		addUnits(in, strings.Fields(maskedUnits), vm.Timeout),
	)
	if vm.runs == 1 {
		err = errors.Join(err, addIdentity(in))
	}
	if err != nil {
		return nil, fmt.Errorf("prepare inputs: %w", err)
	}
	modules := bootModules()
	if vm.initrd != nil {
		modules = append(modules, vm.modules...)
	}
	return vm.emulate(program, guest.Config{Mounts: vm.mounts, Initrd: vm.initrd != nil}, modules, []disk{root})
}

// bootProgram runs only the kernel and a program.
func (vm *VM) bootProgram(host string, args []string) (*Result, error) {
	if err := checkStatic(host); err != nil {
		return nil, err
	}
	program, err := buildGuest(vm.t.Context(), vm.dir)
	if err != nil {
		return nil, fmt.Errorf("build guest program: %w", err)
	}
	if err := vm.open().copy(host, guest.ProgramPath); err != nil {
		return nil, fmt.Errorf("prepare inputs: %w", err)
	}
	config := guest.Config{Program: append([]string{}, args...), Seconds: int(vm.Timeout.Seconds())}
	return vm.emulate(program, config, append(bootModules(), vm.modules...), nil)
}

// checkStatic says what is wrong in words: the guest would only know that a
// file does not exist.
func checkStatic(program string) error {
	file, err := elf.Open(program)
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is not a static program; build it with CGO_ENABLED=0", program)
		}
	}
	return nil
}

// emulate runs the machine until it powers off and reads what it left.
func (vm *VM) emulate(program string, config guest.Config, modules []string, disks []disk) (*Result, error) {
	if err := vm.inputs.close(); err != nil {
		return nil, fmt.Errorf("prepare inputs: %w", err)
	}
	boot := filepath.Join(vm.root.Tree, "boot")
	kernel, version, err := findKernel(boot)
	if err != nil {
		return nil, err
	}
	initramfs := filepath.Join(vm.dir, "initramfs")
	modulesDir := filepath.Join(vm.root.Tree, "usr/lib/modules", version)
	if err := createInitramfs(initramfs, program, modulesDir, config, modules); err != nil {
		return nil, fmt.Errorf("write initramfs: %w", err)
	}
	if vm.initrd != nil && config.Initrd {
		if err := vm.initrd.appendTo(initramfs, vm.root.Tree); err != nil {
			return nil, fmt.Errorf("write initrd: %w", err)
		}
	}
	output := filepath.Join(vm.dir, "out")
	defer os.Remove(output)
	disks = append(disks,
		disk{serial: guest.InputSerial, path: vm.inputs.path, format: "raw", readOnly: true},
		disk{serial: guest.OutputSerial, path: output, format: "raw"})
	m := machine{kernel: kernel, initramfs: initramfs, kernelArgs: vm.kernelArg, disks: append(disks, vm.disks...), console: vm.consoleLog()}
	result, err := vm.once(m, output)
	if errors.Is(err, errNoResult) {
		// On a starved host systemd itself can give up before the first unit
		// ("Freezing execution"). What is really broken fails again.
		vm.t.Logf("boot %s: %v; once more", vm.root.Release, err)
		result, err = vm.once(m, output)
	}
	return result, err
}

// once runs the machine and reads the output disk.
func (vm *VM) once(m machine, output string) (*Result, error) {
	if err := createSparse(output, outputSize); err != nil {
		return nil, err
	}
	if err := m.run(vm.t.Context(), bootTime+vm.Timeout); err != nil {
		return nil, err
	}
	return readResult(output, filepath.Join(vm.dir, fmt.Sprintf("results-%d", vm.runs)), vm.consoleLog())
}

// rootDisk returns the disk of this machine: what it writes goes into a layer
// over the cached image.
func (vm *VM) rootDisk() (disk, error) {
	layer := disk{serial: guest.RootSerial, path: filepath.Join(vm.dir, "root.qcow2"), format: "qcow2"}
	if _, err := os.Stat(layer.path); err == nil {
		return layer, nil
	}
	cmd := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-F", vm.base.format, "-b", vm.base.path, layer.path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return disk{}, fmt.Errorf("create root disk: %w: %s", err, out)
	}
	return layer, nil
}

// buildGuest builds the static program that runs in the machine. The build
// cache makes it a matter of a moment after the first time.
func buildGuest(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "guest")
	return path, goCommand(ctx, "build", "-trimpath", "-ldflags=-s -w", "-o", path, "sextant/internal/vmtest/cmd/guest")
}

// buildTest builds the tests of the package whose test is running, statically:
// the binary that runs may need the C library for looking up users. A test
// runs in the directory of its package.
func buildTest(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "guest.test")
	return path, goCommand(ctx, "test", "-c", "-trimpath", "-o", path, ".")
}

func goCommand(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w: %s", args[0], err, out)
	}
	return nil
}

// findKernel returns the one kernel in boot with its version.
func findKernel(boot string) (path, version string, err error) {
	found, err := filepath.Glob(filepath.Join(boot, "vmlinuz-*"))
	if err != nil || len(found) != 1 {
		return "", "", fmt.Errorf("find kernel in %s: %d files named vmlinuz-*", boot, len(found))
	}
	return found[0], strings.TrimPrefix(filepath.Base(found[0]), "vmlinuz-"), nil
}

func createInitramfs(path, program, modulesDir string, config guest.Config, modules []string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(writeInitramfs(f, program, modulesDir, config, modules), f.Close())
}

func createSparse(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Close())
}
