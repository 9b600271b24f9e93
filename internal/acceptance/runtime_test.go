package acceptance_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// bootedStrict looks at a system whose boot merged what is signed, with a good
// image among bad ones.
const bootedStrict = `
say() { echo "$1: $(shift; "$@" 2>&1 | tr '\n' ' ')"; }
say active systemctl is-active systemd-sysext.service
say exit systemctl show -P ExecMainStatus systemd-sysext.service
say tool custom-tool
say restarted systemctl show -P ActiveState from-extension.service
say ours sextant status --json
say theirs systemd-sysext status --no-legend --no-pager
say verity dmsetup table --target verity
for name in wrong tampered unsigned directory; do
	say "journal $name" journalctl -b -q -o cat -p err SEXTANT_IMAGE=$name
done
sextant list
`

// handedOver lets each program show, refresh and take away what the other
// merged, and looks for what stays.
const handedOver = `
always=--always-refresh=yes
systemd-sysext --help | grep -q always-refresh || always=
trace() {
	{ losetup -a; dmsetup ls; ls -AR /run/systemd/sysext /run/systemd/confext || true; cut -d' ' -f5 /proc/self/mountinfo | grep -v '^/proc\|^/sys' | sort; } >$RESULTS/$1 2>/dev/null
}
# Loop devices and verity devices go a moment after the last mount. udev keeps its
# database of hardware open, from the /usr that it found.
settle() {
	udevadm control --reload
	for _ in $(seq 20); do
		[ -n "$(cat /sys/block/loop*/loop/backing_file /sys/block/dm-*/dm/name 2>/dev/null)" ] || break
		sleep 0.3
	done
}
mkdir -p /root/bad
mv /var/lib/extensions/{wrong,tampered,unsigned,unit}.raw /var/lib/extensions/directory /root/bad/
say "without the unit" sextant refresh
say "theirs skips ours" systemd-sysext refresh
say "theirs unmerges ours" systemd-sysext unmerge
# The service manager keeps the program that starts services open from reload to
# reload, and so an overlay that it was reloaded on. udev may have been started from
# one, as nothing orders it before the merge.
systemctl daemon-reload
systemctl restart systemd-udevd
settle
trace clean
say gone "sh" "-c" "custom-tool || true"
systemd-sysext merge 2>&1
say "ours shows theirs" sextant status --json
say "ours skips theirs" sextant refresh
say "ours unmerges theirs" sextant unmerge
settle
trace after-ours
sextant merge --require-signed
systemd-sysext refresh $always 2>&1
say "theirs again" custom-tool
sextant refresh --always-refresh
say "ours again" custom-tool
sextant unmerge
settle
trace end
`

// overVarlink asks our program through systemd's socket, as root and as nobody.
const overVarlink = `
systemctl start systemd-sysext.socket
ask() { timeout 60 "$@" 2>&1 | tr -d '\n' || true; echo; }
call="varlinkctl call /run/systemd/io.systemd.sysext io.systemd.sysext"
echo "varlink list: $(ask ${call/call/call --more}.List '{}')"
echo "varlink merge: $(ask $call.Merge '{}')"
echo "varlink tool: $(ask custom-tool)"
echo "varlink nobody: $(ask setpriv --reuid 65534 $call.Unmerge '{}')"
echo "varlink unmerge: $(ask $call.Unmerge '{}')"
echo "varlink server: $(journalctl -b -q -o cat -u 'systemd-sysext@*' _COMM=sextant | tr '\n' ' ')"
`

// inTurn times both programs with one signed image. It prints; nothing is
// asserted of it.
const inTurn = `
TIMEFORMAT=%R
for program in systemd-sysext sextant systemd-sysext sextant; do
	echo "time of $program: $( { time { $program merge; $program unmerge; } >/dev/null 2>&1; } 2>&1 )"
	settle
done
`

// byKernel has the kernel itself vouch for the signature, by a certificate in the
// keyring that dm-verity has from Linux 7.0 on. Once it is sealed it counts.
const byKernel = `
openssl x509 -in /etc/verity.d/verity_cert.crt -outform DER -out /run/certificate
rm /etc/verity.d/verity_cert.crt
mv /root/bad/wrong.raw /var/lib/extensions/
say "without any certificate" sh -c "sextant merge --require-signed; echo status \$?"
python3 - <<EOF
import ctypes, os, re
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    if libc.syscall(*args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
add_key, keyctl, restrict = 248, 250, 29
ring = int(re.search(r"^([0-9a-f]+) .* \.dm-verity: ", open("/proc/keys").read(), re.M)[1], 16)
certificate = open("/run/certificate", "rb").read()
call(add_key, b"asymmetric", b"ours", certificate, ctypes.c_size_t(len(certificate)), ring)
call(keyctl, restrict, ring, None, None)
EOF
say "by the kernel" sh -c "SYSTEMD_ALLOW_USERSPACE_VERITY=0 sextant merge --require-signed; echo status \$?"
say "by the kernel, tool" custom-tool
say "by the kernel, table" dmsetup table --target verity
sextant unmerge
settle
mv /var/lib/extensions/wrong.raw /root/bad/
say "by the kernel, theirs" sh -c "systemd-sysext merge --image-policy=root=signed+absent; echo status \$?"
say "by the kernel, theirs, table" dmsetup table --target verity
say "by the kernel, ours skips theirs" sh -c "sextant refresh --require-signed; echo status \$?"
systemd-sysext unmerge
`

// TestStrictAtBoot boots with this program in systemd-sysext.service and a rule
// that only signed images count: the good one is merged, and the wrong
// certificate, the tampered, the unsigned image and the directory are refused.
// Then systemd's program and ours take turns.
func TestStrictAtBoot(t *testing.T) {
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		t.Run(release.String(), func(t *testing.T) {
			t.Parallel()
			dir := example(t)
			root := rootHash(t, sextant(t, dir, "build", "--json"))
			vm := vmtest.New(t, release)
			vm.Timeout = 20 * time.Minute
			vm.CopyIn(released(t), "/usr/bin/sextant")
			for _, unit := range []string{"systemd-sysext.service", "systemd-sysext@.service"} {
				vm.CopyIn(filepath.Join("..", "..", "units", unit), "/etc/systemd/system/"+unit)
			}
			vm.Symlink("/etc/systemd/system/systemd-sysext.service", "/etc/systemd/system/sysinit.target.wants/systemd-sysext.service")
			vm.WriteFile("/etc/sextant/merge.conf", []byte("[Merge]\nRequireSigned=yes\n"), 0o644)
			vm.CopyIn(filepath.Join(dir, "verity_cert.crt"), "/etc/verity.d/verity_cert.crt")
			good := filepath.Join(dir, "mkosi.output/custom-tools_1.0.0.raw")
			vm.CopyIn(good, "/var/lib/extensions/custom-tools.raw")
			copyUnit(t, vm, dir)
			copyBad(t, vm, dir)

			script := bootedStrict + handedOver + overVarlink + inTurn
			if release == rootfs.Sid() {
				vm.KernelArgs("dm_verity.keyring_unsealed=1")
				script += byKernel
			}
			r := vm.MustRun(script)
			checkStrict(t, r, root)
			checkTurns(t, r)
			checkVarlink(t, r)
			if release == rootfs.Sid() {
				checkByKernel(t, r)
			}
			for line := range strings.Lines(r.Stdout) {
				if strings.HasPrefix(line, "time of ") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

// copyUnit gives the machine a signed extension with a unit that is to be started
// when it is merged. At boot that must not wait for the unit: it is ordered after
// the one that merges.
func copyUnit(t *testing.T, vm *vmtest.VM, dir string) {
	t.Helper()
	writeFile(t, filepath.Join(dir, "unit"), []byte("[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/true\n"))
	writeFile(t, filepath.Join(dir, "release"), []byte("ID=_any\nEXTENSION_RESTART_UNITS=from-extension.service\n"))
	sextant(t, dir, "build", "--image-id=unit", "--image-version=", "--extra-tree=unit:/usr/lib/systemd/system/from-extension.service",
		"--extra-tree=release:/usr/lib/extension-release.d/extension-release.unit")
	vm.CopyIn(filepath.Join(dir, "mkosi.output/unit.raw"), "/var/lib/extensions/unit.raw")
}

// copyBad gives the machine what must not be merged.
func copyBad(t *testing.T, vm *vmtest.VM, dir string) {
	t.Helper()
	sextant(t, dir, "genkey", "--algorithm=rsa:2048", "--key=other.pem", "--certificate=other.crt")
	sextant(t, dir, "build", "--image-id=wrong", "--image-version=", "--verity-key=other.pem", "--verity-certificate=other.crt")
	vm.CopyIn(filepath.Join(dir, "mkosi.output/wrong.raw"), "/var/lib/extensions/wrong.raw")
	sextant(t, dir, "build", "--image-id=unsigned", "--image-version=", "--verity=disabled")
	vm.CopyIn(filepath.Join(dir, "mkosi.output/unsigned.raw"), "/var/lib/extensions/unsigned.raw")
	sextant(t, dir, "build", "--image-id=tampered", "--image-version=")
	image := readFile(t, filepath.Join(dir, "mkosi.output/tampered.raw"))
	at := bytes.Index(image, []byte("tool"))
	for at >= 0 && at < len(image) {
		image[at] ^= 1
		next := bytes.Index(image[at:], []byte("tool"))
		if next < 0 {
			break
		}
		at += next
	}
	vm.WriteFile("/var/lib/extensions/tampered.raw", image, 0o644)
	release := filepath.Join(t.TempDir(), "directory")
	path := filepath.Join(release, "usr/lib/extension-release.d/extension-release.directory")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, []byte("ID=_any\n"))
	vm.CopyIn(release, "/var/lib/extensions/directory")
}

func checkStrict(t *testing.T, r *vmtest.Result, root string) {
	t.Helper()
	for _, want := range []string{
		"active: active \n", "exit: 3 \n", "restarted: active \n", "tool: hello from custom-tools \n", root,
		"\njournal wrong: wrong: left out: ", "\njournal tampered: tampered: left out: ",
		"\njournal unsigned: unsigned: left out: ", "\njournal directory: directory: left out: ",
	} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("the booted system printed no %q", want)
		}
	}
	for _, who := range []string{"ours", "theirs"} {
		line := lineOf(r.Stdout, who)
		if !strings.Contains(line, "custom-tools") || strings.Contains(line, "wrong ") || strings.Contains(line, "unsigned ") {
			t.Errorf("%s shows %q, want custom-tools alone", who, line)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", r.Stdout, r.Stderr)
	}
}

// checkTurns looks at what both programs made of each other's merges.
func checkTurns(t *testing.T, r *vmtest.Result) {
	t.Helper()
	for who, want := range map[string]string{
		"theirs unmerges ours": "Unmerged '/usr'.", "gone": "not found", "ours shows theirs": `"custom-tools"`,
		"ours unmerges theirs": "unmerged /usr", "theirs again": "hello from custom-tools", "ours again": "hello from custom-tools",
	} {
		if line := lineOf(r.Stdout, who); !strings.Contains(line, want) {
			t.Errorf("%s: %q, want %q", who, line, want)
		}
	}
	clean := string(readFile(t, filepath.Join(r.Dir, "clean")))
	for _, name := range []string{"after-ours", "end"} {
		if got := string(readFile(t, filepath.Join(r.Dir, name))); got != clean {
			t.Errorf("%s: what stays is\n%s\nwant\n%s", name, got, clean)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", r.Stdout, r.Stderr)
	}
}

// checkVarlink looks at what the service answered.
func checkVarlink(t *testing.T, r *vmtest.Result) {
	t.Helper()
	for who, want := range map[string]string{
		"varlink list": `"custom-tools"`, "varlink merge": "{}", "varlink tool": "hello from custom-tools",
		"varlink nobody": "permissiondenied", "varlink unmerge": "{}", "varlink server": "Merged extensions into '/usr'.",
	} {
		// Spaces and case differ: 257 lets nobody connect to the socket at all.
		flat := strings.NewReplacer(" ", "")
		line := lineOf(r.Stdout, who)
		if !strings.Contains(strings.ToLower(flat.Replace(line)), strings.ToLower(flat.Replace(want))) {
			t.Errorf("%s: %q, want %q", who, line, want)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", r.Stdout, r.Stderr)
	}
}

// checkByKernel looks at what was merged without any certificate in verity.d.
func checkByKernel(t *testing.T, r *vmtest.Result) {
	t.Helper()
	for who, want := range map[string]string{
		"without any certificate": "status 1", "by the kernel": "status 3", "by the kernel, tool": "hello from custom-tools",
		"by the kernel, table": "root_hash_sig_key_desc", "by the kernel, theirs": "status 0", "by the kernel, theirs, table": "root_hash_sig_key_desc",
		"by the kernel, ours skips theirs": "nothing changed",
	} {
		if line := lineOf(r.Stdout, who); !strings.Contains(line, want) {
			t.Errorf("%s: %q, want %q", who, line, want)
		}
	}
	if t.Failed() {
		t.Logf("%s\n%s", r.Stdout, r.Stderr)
	}
}

// lineOf returns what stands behind "name: ".
func lineOf(out, name string) string {
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}
