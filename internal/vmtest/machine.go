package vmtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"sextant/internal/vmtest/rootfs"
)

// machine is one start of QEMU.
type machine struct {
	kernel, initramfs string
	kernelArgs        []string
	disks             []disk
	console           string // file for what the machine prints
}

// kernelArgs: a panic ends the machine, as QEMU leaves on a reboot. Mitigations
// against speculation protect nobody here, and slow emulation down. On a busy
// host the emulated timers are late: the kernel must neither panic over the
// timer interrupt ("IO-APIC + timer doesn't work") nor give up the fast clock. A
// systemd that crashes turns the machine off instead of staying there frozen
// (systemd 257 on knows crash_action, older ones crash_reboot).
const kernelArgs = "console=ttyS0 quiet panic=-1 systemd.crash_reboot=yes systemd.crash_action=poweroff no_timer_check tsc=reliable mitigations=off nokaslr rcupdate.rcu_expedited=1 " +
	"systemd.unit=vmtest.target systemd.show_status=1 modprobe.blacklist=" + idleModules

// idleModules drive parts of the emulated board that no test uses. udev loads
// them in the background, next to the script, for several seconds.
const idleModules = "ata_piix,ata_generic,powernow_k8,kvm_amd,kvm_intel,evdev,serio_raw,button,psmouse,pcspkr,i2c_piix4,floppy"

// accelerator returns the arguments that say how the processor is emulated. A
// plain processor boots trixie in two thirds of the time that "max" takes, but
// without rdrand the guest waits some seconds for random numbers.
func accelerator() []string {
	if os.Getenv("SEXTANT_TEST_ACCEL") == "kvm" {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=single", "-cpu", "Nehalem,+rdrand"}
}

func (m machine) arguments() []string {
	args := append(accelerator(),
		"-smp", "1", "-m", "2048",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-serial", "file:"+m.console,
		"-kernel", m.kernel, "-initrd", m.initramfs,
		"-append", strings.Join(append([]string{kernelArgs}, m.kernelArgs...), " "),
	)
	for i, d := range m.disks {
		drive := fmt.Sprintf("if=none,id=disk%d,format=%s,cache=unsafe,file=%s", i, d.format, strings.ReplaceAll(d.path, ",", ",,"))
		if d.readOnly {
			drive += ",readonly=on"
		}
		args = append(args, "-drive", drive, "-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d,serial=%s", i, d.serial))
	}
	return args
}

// run waits for its turn, starts the machine and waits until it is off.
func (m machine) run(ctx context.Context, timeout time.Duration) error {
	release, err := takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("still running after %s", timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", m.arguments()...)
	out, err := runBound(cmd)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("qemu-system-x86_64: %w: %s", err, out)
	}
	return nil
}

// runBound runs cmd so that the kernel kills it when this process ends, even
// by SIGKILL. The kernel looks at the thread that started it, so that thread
// must stay.
func runBound(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd.CombinedOutput()
}

// turns is how many machines run at a time. More than that starve each other
// on two processors.
const turns = 2

// takeTurn waits until one of the turns is free, among all processes that
// share the cache directory.
func takeTurn(ctx context.Context) (release func() error, err error) {
	cache, err := rootfs.CacheDir()
	if err != nil {
		return nil, err
	}
	for {
		for i := range turns {
			f, err := os.OpenFile(filepath.Join(cache, fmt.Sprintf("turn-%d.lock", i)), os.O_RDWR|os.O_CREATE, 0o666)
			if err != nil {
				return nil, fmt.Errorf("wait for a turn: %w", err)
			}
			if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				return f.Close, nil
			}
			f.Close()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a turn: %w", context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
