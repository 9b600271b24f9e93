package vmtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"sextant/internal/testenv"
	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// inspect looks at a system with the extension hello and ends with a status
// that the harness must bring back.
const inspect = `
systemctl --version | head -n1
systemctl show --property=ActiveState --property=Result systemd-sysext.service
findmnt --noheadings --output=FSTYPE /usr
hello
stat --format='%a %u %g' /etc/vmtest.secret
getfattr --only-values --name=user.note /etc/vmtest.tree/noted
mkdir sub
echo left behind > sub/file
exit 3
`

// TestReleases boots every release once, with an extension in a directory that
// the stock systemd-sysext.service merges at boot.
func TestReleases(t *testing.T) {
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			vm := vmtest.New(t, release)
			vm.WriteFile("/etc/vmtest.secret", []byte("x"), 0o640)
			vm.WriteFile("/var/lib/extensions/hello/usr/lib/extension-release.d/extension-release.hello", []byte("ID=_any\n"), 0o644)
			vm.WriteFile("/var/lib/extensions/hello/usr/bin/hello", []byte("#!/bin/sh\necho hello from the extension\n"), 0o755)
			vm.CopyIn(notedTree(t), "/etc/vmtest.tree")
			vm.Enable("sysinit.target", "systemd-sysext.service")
			result := vm.Run(inspect)
			checkInspected(t, release, result)
		})
	}
}

// notedTree makes a directory with a file that has an extended attribute.
func notedTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "noted")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setxattr(file, "user.note", []byte("kept"), 0); err != nil {
		testenv.Missing(t, "xattr", fmt.Sprintf("no extended attributes in %s: %v", dir, err)) // tmpfs before Linux 6.6
	}
	return dir
}

func checkInspected(t *testing.T, release rootfs.Release, result *vmtest.Result) {
	t.Helper()
	want := fmt.Sprintf(`^systemd %d \(.*\)
(Result=success\nActiveState=active|ActiveState=active\nResult=success)
overlay
hello from the extension
640 0 0
kept$`, release.Systemd)
	if !regexp.MustCompile(want).MatchString(result.Stdout) {
		t.Errorf("script printed\n%s\nwant\n%s\nstderr:\n%s\njournal:\n%s", result.Stdout, want, result.Stderr, result.Journal)
	}
	if result.Status != 3 {
		t.Errorf("exit status %d, want 3", result.Status)
	}
	if got, err := os.ReadFile(filepath.Join(result.Dir, "sub/file")); string(got) != "left behind\n" {
		t.Errorf("result file holds %q, %v", got, err)
	}
	if !strings.Contains(result.Console, "hello from the extension") {
		t.Error("the console does not show what the script printed")
	}
	if !strings.Contains(result.Journal, "systemd[1]") {
		t.Error("no journal came back with a script that did not end well")
	}
}

// TestSecondRun checks that the disk lasts from run to run, that files can be
// given in between, and that a script that never ends is ended.
func TestSecondRun(t *testing.T) {
	t.Parallel()
	vm := vmtest.New(t, rootfs.Bookworm())
	vm.MustRun("echo first > /root/kept")
	vm.WriteFile("/root/given", []byte("second\n"), 0o644)
	vm.Timeout = 2 * time.Second
	result := vm.Run("cat /root/kept /root/given; sleep 1000")
	if result.Stdout != "first\nsecond\n" || result.Status != 124 {
		t.Errorf("second run: status %d, stdout %q; want 124, %q", result.Status, result.Stdout, "first\nsecond\n")
	}
}

// TestRunTest sends TestInGuest into a machine that has only a kernel.
func TestRunTest(t *testing.T) {
	t.Parallel()
	vm := vmtest.New(t, rootfs.Trixie())
	vm.Modules("dm-verity", "overlay", "erofs", "loop")
	result := vm.RunTest("TestInGuest")
	if got, err := os.ReadFile(filepath.Join(result.Dir, "left")); string(got) != "here" {
		t.Errorf("result file holds %q, %v", got, err)
	}
}

func TestInGuest(t *testing.T) {
	vmtest.SkipOnHost(t)
	for _, path := range []string{"/sys/module/dm_verity", "/sys/module/overlay", "/sys/module/erofs", "/dev/mapper/control", "/dev/loop-control"} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("RESULTS"), "left"), []byte("here"), 0o644); err != nil {
		t.Error(err)
	}
}

// TestFailedBootNamesConsoleLog starts a kernel that has nothing to run.
func TestFailedBootNamesConsoleLog(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	vm := vmtest.New(r, rootfs.Trixie())
	vm.KernelArgs("rdinit=/nowhere")
	done := make(chan struct{})
	go func() {
		defer close(done)
		vm.RunTest("TestInGuest")
	}()
	<-done
	named := regexp.MustCompile(`console log: (\S+)`).FindStringSubmatch(r.fatal)
	if named == nil {
		t.Fatalf("the failure names no console log: %q", r.fatal)
	}
	for _, cleanup := range r.cleanups {
		cleanup()
	}
	defer os.Remove(named[1])
	log, err := os.ReadFile(named[1])
	if err != nil || !strings.Contains(string(log), "Kernel panic") {
		t.Errorf("console log: %v, %q", err, log)
	}
	if !strings.Contains(r.fatal, "Kernel panic") {
		t.Errorf("the failure does not show the end of the console log: %s", r.fatal)
	}
}

// recorder is a test that fails without failing the real one.
type recorder struct {
	testing.TB
	fatal    string
	cleanups []func()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.fatal = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Failed() bool     { return r.fatal != "" }
func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
