package acceptance_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
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

// trials merges by hand what must be taken and what must be refused. Every
// trial prints a line "NAME: STATUS WHAT". They use an image of their own: what
// runs since the boot keeps the device of the first one busy, and systemd takes
// a device that is there without another look at the signature.
const trials = `
policy=${policy:-}
verity() { dmsetup ls --target verity | grep -vc "No devices found" || true; }
mv /var/lib/extensions/custom-tools.raw /run/good.raw
systemd-sysext unmerge >/dev/null 2>&1
before=$(verity)
trial() {
	status=0
	systemd-sysext merge $policy >/dev/null 2>/run/trial.log || status=$?
	echo "$1: $status $(custom-tool 2>/dev/null || echo absent) blob $(cksum </usr/share/blob 2>/dev/null | cut -d' ' -f1)"
	cat /run/trial.log >&2
	systemd-sysext unmerge >/dev/null 2>&1 || true
	for _ in $(seq 20); do
		[ "$(verity)" -gt "$before" ] || return 0
		sleep 0.2
	done
	echo "$1: its verity device stays"
}
image=/var/lib/extensions/trial.raw
cp /root/trial.raw $image
trial right
mv /etc/verity.d/verity_cert.crt /run/right.crt
cp /root/other.crt /etc/verity.d/
trial wrong-certificate
rm /etc/verity.d/other.crt
trial no-certificate
mv /run/right.crt /etc/verity.d/verity_cert.crt
cp /root/flipped-superblock.raw $image
trial flipped-superblock
cp /root/flipped-blob.raw $image
trial flipped-blob
rm $image
mv /run/good.raw /var/lib/extensions/custom-tools_1.0.0.raw
`

// confext merges a configuration extension, which 252 does not know.
const confext = `
systemd-confext merge --image-policy=root=signed+absent 2>&1
cat /etc/custom-tools.conf
systemd-confext unmerge
`

// TestMergedAtBoot is the seed document's promise: the image and its
// certificate on a system, and a stock systemd-sysext.service merges it at
// boot, under both names. Between the two boots the same system is asked for
// what it must refuse.
func TestMergedAtBoot(t *testing.T) {
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			dir := example(t)
			root := rootHash(t, sextant(t, dir, "build", "--json"))

			vm := vmtest.New(t, release)
			vm.Enable("sysinit.target", "systemd-sysext.service")
			vm.CopyIn(filepath.Join(dir, "verity_cert.crt"), "/etc/verity.d/verity_cert.crt")
			image := filepath.Join(dir, "mkosi.output/custom-tools_1.0.0.raw")
			vm.CopyIn(image, "/var/lib/extensions/custom-tools.raw")
			copyTrials(t, vm, dir)

			script := merged + trials
			if release.Systemd > 252 {
				script = merged + "policy=--image-policy=root=signed+absent\n" + trials + confext
			}
			first := vm.MustRun(script)
			checkMerged(t, first, root)
			checkTrials(t, first, release)
			if release.Systemd > 252 && !strings.Contains(first.Stdout, "\nfrom the confext\n") {
				t.Errorf("confext is not merged:\n%s%s", first.Stdout, first.Stderr)
			}
			checkMerged(t, vm.MustRun(merged), root)
		})
	}
}

// copyTrials gives the machine another image, good and broken.
func copyTrials(t *testing.T, vm *vmtest.VM, dir string) {
	t.Helper()
	sextant(t, dir, "genkey", "--algorithm=rsa:2048", "--key=other.pem", "--certificate=other.crt")
	vm.CopyIn(filepath.Join(dir, "other.crt"), "/root/other.crt")

	blob := bytes.Repeat([]byte("the sextant measures angles\n"), 40_000)
	writeFile(t, filepath.Join(dir, "mkosi.extra/usr/share/blob"), blob)
	sextant(t, dir, "build", "--image-id=trial", "--image-version=")
	writeFile(t, filepath.Join(dir, "conf"), []byte("from the confext\n"))
	sextant(t, dir, "build", "--image-id=conf", "--image-version=", "--format=confext", "--extra-tree=conf:/etc/custom-tools.conf")
	vm.CopyIn(filepath.Join(dir, "mkosi.output/conf.raw"), "/var/lib/confexts/conf.raw")
	good := readFile(t, filepath.Join(dir, "mkosi.output/trial.raw"))
	vm.WriteFile("/root/trial.raw", good, 0o644)
	at := bytes.Index(good, blob[:4096])
	if at < 0 {
		t.Fatal("the blob is not in the image")
	}
	for name, offset := range map[string]int{"flipped-superblock": 1<<20 + 1024 + 16, "flipped-blob": at + 1000} {
		bad := bytes.Clone(good)
		bad[offset] ^= 1
		vm.WriteFile("/root/"+name+".raw", bad, 0o644)
	}
}

// checkTrials wants the verdicts of systemd. 252 has no policies: it refuses
// wrong certificates by itself, but ends with status 0, as it does after most
// failures. A broken block is found when the image is mounted or when the file
// is read, as it happens; nobody ever sees its bytes.
func checkTrials(t *testing.T, r *vmtest.Result, release rootfs.Release) {
	t.Helper()
	failed := "1"
	if release.Systemd == 252 {
		failed = "[01]"
	}
	for _, want := range []string{
		"right: 0 hello from custom-tools blob 1658174362",
		"wrong-certificate: " + failed + " absent blob ",
		"no-certificate: " + failed + " absent blob ",
		"flipped-superblock: " + failed + " absent blob ",
		"flipped-blob: (0 hello from custom-tools|" + failed + " absent) blob ",
	} {
		if !regexp.MustCompile("(?m)^" + want + "$").MatchString(r.Stdout) {
			t.Errorf("trials printed no %q:\n%s%s", want, r.Stdout, r.Stderr)
		}
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

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
