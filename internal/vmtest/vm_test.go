package vmtest_test

import (
	"testing"

	"sextant/internal/vmtest"
)

func TestBoot(t *testing.T) {
	vm := vmtest.New(t, vmtest.Trixie())
	r := vm.Run("systemctl --version; systemd-analyze; systemd-analyze blame | head -30; echo hi > x; systemctl list-units --failed")
	t.Logf("%d\n%s\n%s\n%s", r.Status, r.Stdout, r.Stderr, r.Console)
}
