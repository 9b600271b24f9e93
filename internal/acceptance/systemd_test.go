package acceptance_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// merged looks at a system that should have merged the extension at boot.
const merged = `
systemctl is-active systemd-sysext.service
custom-tool
findmnt --noheadings --output=FSTYPE /usr
dmsetup table --target verity
systemd-sysext status --no-legend --no-pager
`

// TestMergedAtBoot is the seed document's promise: the image and its
// certificate on a system, and a stock systemd-sysext.service merges it at
// boot, under both names.
func TestMergedAtBoot(t *testing.T) {
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			dir := example(t)
			root := rootHash(t, sextant(t, dir, "build", "--json"))

			vm := vmtest.New(t, release)
			vm.Enable("sysinit.target", "systemd-sysext.service")
			vm.CopyIn(filepath.Join(dir, "verity_cert.crt"), "/etc/verity.d/verity_cert.crt")
			vm.CopyIn(filepath.Join(dir, "mkosi.output/custom-tools_1.0.0.raw"), "/var/lib/extensions/custom-tools.raw")
			checkMerged(t, vm.MustRun(merged+"mv /var/lib/extensions/custom-tools.raw /var/lib/extensions/custom-tools_1.0.0.raw\n"), root)
			checkMerged(t, vm.MustRun(merged), root)
		})
	}
}

func rootHash(t *testing.T, result string) string {
	t.Helper()
	var r struct{ RootHash string }
	if err := json.Unmarshal([]byte(result), &r); err != nil || len(r.RootHash) != 64 {
		t.Fatalf("build --json: root hash %q, %v", r.RootHash, err)
	}
	return r.RootHash
}

func checkMerged(t *testing.T, r *vmtest.Result, root string) {
	t.Helper()
	for _, want := range []string{"active\n", "hello from custom-tools\n", "overlay\n", root, "/usr custom-tools"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("merged system printed no %q:\n%s%s", want, r.Stdout, r.Stderr)
		}
	}
}
