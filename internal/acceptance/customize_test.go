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

// nobody is a user without any rights.
const nobody = 65534

// user is somebody who works with the program in a directory of their own.
type user struct {
	t      *testing.T
	dir    string
	binary string
}

// newUser gives an ordinary user a directory with the program, the example of
// the seed document, of which config.yaml is word for word what it shows, a pair
// of keys and the image built from it.
func newUser(t *testing.T) user {
	t.Helper()
	testenv.RequireRoot(t)
	u := user{t: t, dir: t.TempDir()}
	u.binary = filepath.Join(u.dir, "sextant")
	if err := os.Chmod(filepath.Dir(u.dir), 0o755); err != nil { // it is the test's alone
		t.Fatal(err)
	}
	// The test binary is the program; where it lies nobody else may look.
	shell(t, `cp "$FROM" "$TO" && chmod 755 "$TO"`, "FROM="+os.Args[0], "TO="+u.binary)
	if err := os.CopyFS(u.dir, os.DirFS(filepath.Join("..", "..", "examples", "custom-tools"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(u.dir, "custom-tool"), 0o755); err != nil {
		t.Fatal(err)
	}
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
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + u.dir, "TMPDIR=" + u.dir, "SEXTANT_MAIN=1"}
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
findmnt --noheadings --output=TARGET,SOURCE /boot/efi || true
findmnt --noheadings --output=TARGET,SOURCE /var || true
` + merged

// TestSeedFromEndToEnd is the seed document from end to end, by an ordinary user
// and on a stock system: keys, image, the base customized with the config word
// for word, and the boot that merges. install gives the same bytes.
func TestSeedFromEndToEnd(t *testing.T) {
	for _, release := range rootfs.Releases() {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			baseDisk(t, release, filepath.Join(u.dir, "base.raw"))
			u.own()
			u.run("customize", "--image-file", "base.raw", "--config-file", "config.yaml", "--output-image-file", "out.raw")
			u.run("install", "--image-file", "base.raw", "--output-image-file", "installed.raw", "--certificate", "verity_cert.crt", "mkosi.output/custom-tools_1.0.0.raw")
			u.sh("cmp out.raw installed.raw && rm installed.raw")

			script, more := booted, []string{"/boot/efi /dev/vda1\n"}
			if release.Systemd >= 254 {
				// The same with the policy, which must take what is signed, and
				// nothing else.
				u.run("install", "--image-file", "base.raw", "--output-image-file", "out.raw", "--certificate", "verity_cert.crt", "--require-signed", "custom-tools.raw")
				script, more = script+strict, append(more, "unsigned: refused\n", "unsigned: absent\n")
			}
			vm := vmtest.New(t, release)
			vm.RootDisk(filepath.Join(u.dir, "out.raw"), "raw", map[string]int{"/": 2})
			u.run("build", "--image-id=unsigned", "--image-version=", "--verity=no", "--extra-tree=custom-tool:/usr/bin/unsigned-tool")
			vm.CopyIn(filepath.Join(u.dir, "mkosi.output/unsigned.raw"), "/root/unsigned.raw")
			checkBooted(t, vm.MustRun(script), more...)
		})
	}
}

// strict adds an extension without a signature to a system that merges only
// what is signed.
const strict = `
cp /root/unsigned.raw /var/lib/extensions/unsigned.raw
systemctl restart systemd-sysext.service 2>/dev/null && echo "unsigned: taken" || echo "unsigned: refused"
unsigned-tool 2>/dev/null || echo "unsigned: absent"
`

func checkBooted(t *testing.T, r *vmtest.Result, more ...string) {
	t.Helper()
	for _, want := range append(more,
		"enabled\n",
		"/var/lib/extensions/custom-tools.raw -rw-r--r-- 0:0 1980-01-01",
		"/etc/verity.d/verity_cert.crt -rw-r--r-- 0:0 1980-01-01",
		"active\n", "hello from custom-tools\n", "overlay\n", "/usr custom-tools",
	) {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("the system printed no %q:\n%s%s", want, r.Stdout, r.Stderr)
		}
	}
}

// TestPartitionsAndContainers customizes a base in a qcow2 with /usr and /var on
// partitions of their own: what belongs there goes there. Written as a vhdx, it
// is the same disk.
func TestPartitionsAndContainers(t *testing.T) {
	release := rootfs.Trixie()
	u := newUser(t)
	testenv.Require(t, "qemu-img", "sfdisk", "mke2fs", "debugfs", "unshare")
	splitDisk(t, release, filepath.Join(u.dir, "base.raw"))
	u.own()
	u.sh("qemu-img convert -f raw -O qcow2 -c base.raw base.qcow2 && rm base.raw")
	u.run("customize", "--image-file", "base.qcow2", "--config-file", "config.yaml", "--output-image-file", "out.qcow2")
	u.run("customize", "--image-file", "base.qcow2", "--config-file", "config.yaml", "--output-image-file", "out.vhdx", "--output-image-format", "vhdx")
	u.sh("qemu-img check -q out.qcow2 && qemu-img check -q out.vhdx && qemu-img compare -q out.qcow2 out.vhdx")
	// A vhdx is a base as well.
	u.run("install", "--image-file", "out.vhdx", "--output-image-file", "again.vhdx", "--certificate", "verity_cert.crt", "custom-tools.raw")
	u.sh("qemu-img check -q again.vhdx && rm again.vhdx out.vhdx")

	vm := vmtest.New(t, release)
	vm.RootDisk(filepath.Join(u.dir, "out.qcow2"), "qcow2", map[string]int{"/": 1, "/usr": 2})
	checkBooted(t, vm.MustRun(booted), "/var /dev/vda3\n")
}

// splitDisk makes a disk with the root, /usr and /var apart.
func splitDisk(t *testing.T, release rootfs.Release, path string) {
	t.Helper()
	root := rootfs.Require(t, release)
	fstab := filepath.Join(t.TempDir(), "fstab")
	writeFile(t, fstab, []byte("PARTLABEL=usr /usr ext4 defaults 0 2\nPARTLABEL=var /var ext4 defaults 0 2\n"))
	shell(t, `
truncate -s 2050M "$DISK"
printf 'label: gpt\nstart=1MiB, size=512MiB, name=root\nstart=513MiB, size=1024MiB, name=usr\nstart=1537MiB, size=512MiB, name=var\n' | sfdisk -q "$DISK"
part() { mke2fs -q -t ext4 -d "$1" -E offset=$(($2 << 20)) "$DISK" "$3"; }
part "$TREE/usr" 513 1024M
part "$TREE/var" 1537 512M
unshare -m sh -euc 'mount --bind "$TREE" /mnt; mount -t tmpfs none /mnt/usr; mount -t tmpfs none /mnt/var
	mke2fs -q -t ext4 -d /mnt -E offset=1048576 "$DISK" 512M'
dd if="$DISK" of="$DISK.root" bs=1M skip=1 count=512 conv=sparse status=none
printf 'rm /etc/fstab\nwrite %s /etc/fstab\n' "$FSTAB" | debugfs -w -f - "$DISK.root" >/dev/null 2>&1
dd if="$DISK.root" of="$DISK" bs=1M seek=1 conv=notrunc status=none
rm "$DISK.root"
`, "TREE="+root.Tree, "DISK="+path, "FSTAB="+fstab)
}

// overlayConfig has an overlay below a hierarchy that the extension has files
// for too.
const overlayConfig = `
os:
  additionalFiles:
  - source: local.raw
    destination: /var/lib/extensions/local.raw
  - source: verity_cert.crt
    destination: /etc/verity.d/verity_cert.crt
  - content: "#!/bin/sh\necho from the overlay\n"
    destination: /var/overlays/local/upper/bin/overlay-tool
    permissions: "755"
  services:
    enable: [systemd-sysext]
  overlays:
  - mountPoint: /usr/local
    lowerDirs: [/usr/local]
    upperDir: /var/overlays/local/upper
    workDir: /var/overlays/local/work
`

// TestOverlayFromConfig boots with an overlay on /usr/local and an extension
// that has files there, and finds what the checks said: up to 256 the overlay
// is hidden, later it hides the files of the extension.
func TestOverlayFromConfig(t *testing.T) {
	for _, c := range []struct {
		release  rootfs.Release
		flags    []string
		warning  string
		overlay  string
		extended string
	}{
		{rootfs.Bookworm(), nil, "hides what is mounted below it", "absent", "from the extension"},
		{rootfs.Sid(), []string{"--force"}, "/usr/local/bin/local-tool", "from the overlay", "absent"},
	} {
		t.Run(c.release.String(), func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			writeFile(t, filepath.Join(u.dir, "overlay.yaml"), []byte(overlayConfig))
			writeFile(t, filepath.Join(u.dir, "local-tool"), []byte("#!/bin/sh\necho from the extension\n"))
			u.own()
			u.sh("chmod 755 local-tool")
			u.run("build", "--image-id=local", "--image-version=", "--extra-tree=local-tool:/usr/local/bin/local-tool")
			u.sh("cp mkosi.output/local.raw local.raw")
			disk := rootfs.Require(t, c.release).Disk
			shell(t, `cp --sparse=always "$FROM" "$TO" && chown 65534 "$TO"`, "FROM="+disk, "TO="+filepath.Join(u.dir, "base.raw"))
			args := append([]string{"customize", "--image-file", "base.raw", "--config-file", "overlay.yaml", "--output-image-file", "out.raw"}, c.flags...)
			_, said := u.run(args...)
			if !strings.Contains(said, "overlay.yaml:14:5: overlay on /usr/local") || !strings.Contains(said, c.warning) {
				t.Errorf("the warning is %q, want it to say %q", said, c.warning)
			}
			vm := vmtest.New(t, c.release)
			vm.RootDisk(filepath.Join(u.dir, "out.raw"), "raw", nil)
			r := vm.MustRun(`
systemctl is-active systemd-sysext.service usr-local.mount
echo "overlay: $(overlay-tool 2>/dev/null || echo absent)"
echo "extension: $(local-tool 2>/dev/null || echo absent)"
systemd-sysext unmerge >/dev/null 2>&1
echo "unmerged: $(overlay-tool 2>/dev/null || echo absent)"
`)
			for _, want := range []string{"active\nactive\n", "overlay: " + c.overlay + "\n", "extension: " + c.extended + "\n", "unmerged: from the overlay\n"} {
				if !strings.Contains(r.Stdout, want) {
					t.Errorf("the system printed no %q:\n%s%s", want, r.Stdout, r.Stderr)
				}
			}
		})
	}
}
