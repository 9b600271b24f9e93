package acceptance_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"sextant/internal/testenv"
	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// seedConfig is the config of the seed document, word for word.
const seedConfig = `# config.yaml
os:
  additionalFiles:
  - source: custom-tools.raw
    destination: /var/lib/extensions/custom-tools.raw
  - source: verity_cert.crt
    destination: /etc/verity.d/verity_cert.crt

  services:
    enable:
    - systemd-sysext
`

// nobody is a user without any rights.
const nobody = 65534

// user is somebody who works with the program in a directory of their own.
type user struct {
	t      *testing.T
	dir    string
	binary string
}

// newUser builds the program, and gives an ordinary user a directory with the
// example of the seed document, a pair of keys and the image built from it.
func newUser(t *testing.T) user {
	t.Helper()
	testenv.RequireRoot(t)
	u := user{t: t, dir: t.TempDir()}
	u.binary = filepath.Join(u.dir, "sextant")
	if err := os.Chmod(filepath.Dir(u.dir), 0o755); err != nil { // it is the test's alone
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", u.binary, "sextant/cmd/sextant")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.CopyFS(u.dir, os.DirFS(filepath.Join("..", "..", "examples", "custom-tools"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(u.dir, "custom-tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(u.dir, "config.yaml"), []byte(seedConfig))
	u.own()
	u.run("genkey", "--algorithm", "rsa:2048")
	u.run("build")
	u.sh("cp mkosi.output/custom-tools_1.0.0.raw custom-tools.raw")
	return u
}

// own gives everything in the directory to the user.
func (u user) own() {
	u.t.Helper()
	err := filepath.WalkDir(u.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		u.t.Fatal(err)
	}
}

// try runs the program as the user.
func (u user) try(args ...string) (stdout, stderr string, err error) {
	u.t.Helper()
	return u.exec(u.binary, args...)
}

func (u user) exec(name string, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = u.dir, &out, &errs
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.dir, "TMPDIR=" + u.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// run is try, and ends the test where the program fails.
func (u user) run(args ...string) (stdout, stderr string) {
	u.t.Helper()
	stdout, stderr, err := u.try(args...)
	if err != nil {
		u.t.Fatalf("sextant %s: %v\n%s%s", strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout, stderr
}

// sh runs a script as the user.
func (u user) sh(script string) {
	u.t.Helper()
	if out, errs, err := u.exec("sh", "-ec", script); err != nil {
		u.t.Fatalf("%s: %v\n%s%s", script, err, out, errs)
	}
}

// baseDisk makes a disk with a release of Debian in it: an EFI system partition
// and the root, which mounts it by its UUID.
func baseDisk(t *testing.T, release rootfs.Release, path string) {
	t.Helper()
	testenv.Require(t, "sfdisk", "mkfs.vfat", "debugfs")
	root := rootfs.Require(t, release)
	fstab := filepath.Join(t.TempDir(), "fstab")
	writeFile(t, fstab, []byte("UUID=CAFE-F00D /boot/efi vfat umask=0077 0 2\n"))
	shell(t, `
size=$(stat -c %s "$ROOT")
truncate -s $((size + (68 << 20))) "$DISK"
printf 'label: gpt\nstart=1MiB, size=64MiB, type=U\nstart=65MiB, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709, name=root\n' | sfdisk -q "$DISK"
mkfs.vfat -F 32 -i CAFEF00D --offset 2048 "$DISK" 65536 >/dev/null
cp --sparse=always "$ROOT" "$ROOT_COPY"
printf 'rm /etc/fstab\nwrite %s /etc/fstab\nmkdir /boot/efi\n' "$FSTAB" | debugfs -w -f - "$ROOT_COPY" >/dev/null 2>&1
dd if="$ROOT_COPY" of="$DISK" bs=1M seek=65 conv=sparse,notrunc status=none
rm "$ROOT_COPY"
`, "ROOT="+root.Disk, "DISK="+path, "ROOT_COPY="+path+".root", "FSTAB="+fstab)
}

// shell runs a script as root.
func shell(t *testing.T, script string, environ ...string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Env = append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// booted looks at a system that was customized.
const booted = `
systemctl is-enabled systemd-sysext.service
stat -c '%n %A %u:%g %y' /var/lib/extensions/custom-tools.raw /etc/verity.d/verity_cert.crt
findmnt --noheadings --output=TARGET /boot/efi
` + merged

// TestSeedFromEndToEnd is the seed document from end to end, by an ordinary user
// and on a stock system: keys, image, the base customized with the config word
// for word, and the boot that merges.
func TestSeedFromEndToEnd(t *testing.T) {
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			base, out := filepath.Join(u.dir, "base.raw"), filepath.Join(u.dir, "out.raw")
			baseDisk(t, release, base)
			u.own()
			u.run("customize", "--image-file", "base.raw", "--config-file", "config.yaml", "--output-image-file", "out.raw")

			vm := vmtest.New(t, release)
			vm.RootDisk(out, "raw", map[string]int{"/": 2})
			checkBooted(t, vm.MustRun(booted))
		})
	}
}

func checkBooted(t *testing.T, r *vmtest.Result) {
	t.Helper()
	for _, want := range []string{
		"enabled\n",
		"/var/lib/extensions/custom-tools.raw -rw-r--r-- 0:0 1980-01-01",
		"/etc/verity.d/verity_cert.crt -rw-r--r-- 0:0 1980-01-01",
		"/boot/efi\n", "active\n", "hello from custom-tools\n", "overlay\n", "/usr custom-tools",
	} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("the system printed no %q:\n%s%s", want, r.Stdout, r.Stderr)
		}
	}
}
