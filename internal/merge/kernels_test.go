//go:build linux

package merge_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	gotime "time"

	"sextant/internal/testenv"
	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// TestOnKernels runs what depends on the kernel, dm-verity above all, on 6.1, 6.12
// and 7.2.
func TestOnKernels(t *testing.T) {
	testenv.RequireRoot(t)
	images, certificate := signedImages(t)
	for _, c := range []struct {
		release rootfs.Release
		tests   []string
		faults  bool
	}{
		{rootfs.Bookworm(), []string{"TestMergeDirectories", "TestSubmounts", "TestClassicGap", "TestLimit", "TestForeign", "TestVerityInGuest", "TestSidecarsInGuest"}, false},
		{rootfs.Trixie(), []string{"TestMergeDirectories", "TestSubmounts", "TestNoGap", "TestForeign", "TestVerityInGuest", "TestSidecarsInGuest"}, true},
		{rootfs.Sid(), []string{"TestMergeDirectories", "TestSubmounts", "TestNoGap", "TestGapWithUpper", "TestForeign", "TestVerityInGuest", "TestSidecarsInGuest"}, long()},
	} {
		t.Run(c.release.String(), func(t *testing.T) {
			t.Parallel()
			vm := vmtest.New(t, c.release)
			vm.Modules("dm-verity", "erofs", "overlay", "loop")
			for name, b := range images {
				vm.WriteFile("/images/"+name, b, 0o644)
			}
			vm.WriteFile("/images/ours.crt", certificate, 0o644)
			vm.WriteFile("/images/tests", []byte("^("+strings.Join(c.tests, "|")+")$"), 0o644)
			if c.faults {
				vm.WriteFile("/images/faults", nil, 0o644)
			}
			if long() {
				vm.WriteFile("/images/long", nil, 0o644)
				vm.Timeout = gotime.Hour
			}
			t.Log(vm.RunTest("TestThoseInGuest").Stdout)
		})
	}
}

// TestGapOnKernels has the thousand refreshes of the long run in machines that do
// nothing else.
func TestGapOnKernels(t *testing.T) {
	testenv.RequireRoot(t)
	if !long() {
		t.Skip("LEFT OUT: SEXTANT_TEST_LONG is not set")
	}
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			vm := vmtest.New(t, release)
			vm.Modules("erofs", "overlay", "loop")
			vm.WriteFile("/images/tests", []byte("^TestNoGap$"), 0o644)
			vm.WriteFile("/images/refreshes", []byte("1000"), 0o644)
			vm.Timeout = gotime.Hour
			t.Log(vm.RunTest("TestThoseInGuest").Stdout)
		})
	}
}

// TestThoseInGuest runs the tests that the host asks for, each in its world.
func TestThoseInGuest(t *testing.T) {
	vmtest.SkipOnHost(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.v", "-test.run="+read("/images/tests"))
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		fmt.Println(lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
