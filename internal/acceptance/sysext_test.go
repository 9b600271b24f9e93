package acceptance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// released builds the program as it is released and returns its path.
func released(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sextant")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "sextant/cmd/sextant")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// install puts the program in the place of systemd's.
func install(t *testing.T, vm *vmtest.VM) {
	t.Helper()
	vm.CopyIn(released(t), "/usr/bin/systemd-sysext")
	vm.Symlink("systemd-sysext", "/usr/bin/systemd-confext")
}

// ownCases are the cases of systemd's TEST-50-DISSECT.sysext.sh, which runs them
// on the running system and then on fake roots.
const ownCases = 2 * 59

// ownTest runs it. Its trace names each case as it begins; what is left after
// the last one is about mounts below /usr.
const ownTest = `
test=/usr/lib/systemd/tests/testdata/units/TEST-50-DISSECT.sysext.sh
systemd-sysext --version | grep -q sextant
status=0
bash $test >$RESULTS/log 2>&1 || status=$?
echo "status $status"
grep '^+ init_trap' $RESULTS/log >$RESULTS/cases || true
[ $status = 0 ] || tail -n 60 $RESULTS/log
`

var ownStatus = regexp.MustCompile(`(?m)^status (\d+)$`)

// TestSystemdsOwnSysextTest lets systemd's own test judge this program in the
// place of systemd-sysext and systemd-confext.
func TestSystemdsOwnSysextTest(t *testing.T) {
	t.Parallel()
	vm := vmtest.New(t, rootfs.Sid())
	vm.Timeout = 40 * time.Minute
	install(t, vm)
	dir := t.TempDir()
	sextant(t, dir, "genkey", "--algorithm=rsa:2048", "--key=mkosi.key", "--certificate=mkosi.crt")
	vm.CopyIn(filepath.Join(dir, "mkosi.key"), "/usr/share/mkosi.key")
	vm.CopyIn(filepath.Join(dir, "mkosi.crt"), "/usr/share/mkosi.crt")

	result := vm.Run(ownTest)
	cases := strings.Count(string(readFile(t, filepath.Join(result.Dir, "cases"))), "\n")
	passed, failed := cases, 0
	if m := ownStatus.FindStringSubmatch(result.Stdout); m == nil || m[1] != "0" {
		passed, failed = cases-1, 1
		t.Errorf("%s\n%s", result.Stdout, result.Stderr)
	}
	fmt.Printf("TEST-50-DISSECT.sysext.sh: %d of %d case runs passed, %d failed\n", passed, ownCases, failed)
	if passed != ownCases {
		t.Errorf("%d of %d case runs passed", passed, ownCases)
	}
}
