package acceptance_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// probeUnit runs a script in the initrd when the unit that merges there is done,
// and before anything is switched to.
const probeUnit = `[Unit]
DefaultDependencies=no
After=systemd-sysext-initrd.service systemd-confext-initrd.service systemd-sysext-sysroot.service
Before=initrd.target

[Service]
Type=oneshot
ExecStart=/bin/bash /probe
`

// inInitrd looks at what our program merged from /.extra at boot, and has both
// programs merge it by hand.
const inInitrd = `
exec >/run/probe 2>&1
flat() { tr '\n' ' '; }
seen() { ls "$dir" 2>/dev/null | sed 's/extension-release.//' | flat; }
act() {
	echo "$1, $3: $($2 "$3" >/run/said 2>&1; echo $?) $(seen)"
	flat </run/said
	echo
}
echo "where: $(readlink /proc/1/exe) $(findmnt --noheadings --first-only --output=FSTYPE /)"
for kind in sysext confext; do
	dir=/usr/lib/extension-release.d tried="unsigned wrong"
	[ $kind = sysext ] || dir=/etc/extension-release.d tried=unsigned
	echo "$kind unit: $(systemctl is-active systemd-$kind-initrd.service) $(systemctl show -P ExecMainStatus systemd-$kind-initrd.service) $(seen)"
	for name in unsigned wrong; do
		echo "$kind journal $name: $(journalctl -b -q -o cat -p err SEXTANT_IMAGE=$kind$name SEXTANT_RULE=policy SEXTANT_RULE=signature | flat)"
	done
	sextant unmerge --class=$kind
	extra=/.extra/$kind
	mv $extra /aside
	mkdir $extra
	cp /aside/${kind}good.raw $extra/
	act "$kind theirs, good" systemd-$kind merge
	systemd-$kind unmerge
	for bad in $tried; do
		mv /aside/$kind$bad.raw $extra/
		act "$kind theirs, good and $bad" systemd-$kind merge
		act "$kind ours, good and $bad" /by-name/systemd-$kind merge
		/by-name/systemd-$kind unmerge
		mv $extra/$kind$bad.raw /aside/
	done
	if [ $kind = sysext ]; then
		mkdir /run/extensions
		cp /aside/sysextunsigned.raw /run/extensions/
		act "sysext theirs, elsewhere" systemd-sysext merge
		systemd-sysext unmerge
		act "sysext ours, elsewhere" /by-name/systemd-sysext merge
		/by-name/systemd-sysext unmerge
		rm -r /run/extensions
	fi
	rm -r $extra
	mv /aside $extra
done
dir=/sysroot/usr/lib/extension-release.d
strict="--root=/sysroot --image-policy=root=signed+absent:usr=signed+absent"
systemd-sysext --root=/sysroot unmerge
mv /sysroot/var/lib/extensions/systembad.raw /sysroot/root/
for place in /etc /sysroot/etc; do
	mv $place/verity.d/verity_cert.crt /run/
	act "$place without certificate, theirs" "systemd-sysext $strict" merge
	systemd-sysext --root=/sysroot unmerge
	act "$place without certificate, ours" "/by-name/systemd-sysext $strict" merge
	systemd-sysext --root=/sysroot unmerge
	mv /run/verity_cert.crt $place/verity.d/
done
mv /sysroot/root/systembad.raw /sysroot/var/lib/extensions/
sextant refresh --root=/sysroot
sextant refresh
sextant refresh --class=confext
`

// afterInitrd looks at the system that the initrd went on to.
const afterInitrd = `
cat /run/probe
echo "merged below /sysroot: $(systemd-sysext status --no-legend --no-pager | tr '\n' ' ')"
echo "tool: $(custom-tool)"
echo "journal system: $(journalctl -b -q -o cat -p err SEXTANT_IMAGE=systembad | tr '\n' ' ')"
echo "devices: $(dmsetup ls --target verity | wc -l) $(cat /sys/block/loop*/loop/backing_file 2>/dev/null | tr '\n' ' ')"
`

// TestExtraInInitrd boots with systemd in the initrd and our program in its
// units. Of what lies in /.extra it merges what is signed and refuses the rest,
// as 262 does, and then merges into /sysroot what that system has.
func TestExtraInInitrd(t *testing.T) {
	t.Parallel()
	dir := example(t)
	vm := vmtest.New(t, rootfs.Sid())
	vm.Timeout = 20 * time.Minute
	vm.Modules("dm-verity", "erofs", "overlay", "loop")
	vm.Initrd()
	initrdFile(t, vm, released(t), "/usr/bin/sextant")
	for _, kind := range []string{"sysext", "confext"} {
		vm.InitrdSymlink("/usr/bin/sextant", "/by-name/systemd-"+kind)
		initrdUnit(t, vm, "systemd-"+kind+"-initrd.service")
	}
	initrdUnit(t, vm, "systemd-sysext-sysroot.service")
	vm.InitrdFile("/probe", []byte(inInitrd), 0o644)
	vm.InitrdFile("/etc/systemd/system/probe.service", []byte(probeUnit), 0o644)
	vm.InitrdSymlink("../probe.service", "/etc/systemd/system/initrd.target.wants/probe.service")
	initrdFile(t, vm, filepath.Join(dir, "verity_cert.crt"), "/etc/verity.d/verity_cert.crt")
	copyExtra(t, vm, dir)
	copySystem(t, vm, dir)

	r := vm.MustRun(afterInitrd)
	checkExtra(t, r)
	if t.Failed() {
		t.Logf("%s\n%s", r.Stdout, r.Stderr)
	}
}

func initrdFile(t *testing.T, vm *vmtest.VM, host, path string) {
	t.Helper()
	vm.InitrdFile(path, readFile(t, host), 0o755)
}

// initrdUnit puts one of our units into the initrd.
func initrdUnit(t *testing.T, vm *vmtest.VM, name string) {
	t.Helper()
	initrdFile(t, vm, filepath.Join("../../units", name), "/etc/systemd/system/"+name)
	vm.InitrdSymlink("../"+name, "/etc/systemd/system/initrd.target.wants/"+name)
}

// copyExtra puts images of both kinds into /.extra: signed, signed by somebody
// else, and not signed.
func copyExtra(t *testing.T, vm *vmtest.VM, dir string) {
	t.Helper()
	sextant(t, dir, "genkey", "--algorithm=rsa:2048", "--key=other.pem", "--certificate=other.crt")
	for kind, place := range map[string]string{"sysext": "usr/lib", "confext": "etc"} {
		file := "/" + place + "/from-" + kind
		writeFile(t, filepath.Join(dir, "release-"+kind), []byte("ID=_any\n"+strings.ToUpper(kind)+"_SCOPE=initrd\n"))
		for name, args := range map[string][]string{
			"good": nil, "unsigned": {"--verity=disabled"}, "wrong": {"--verity-key=other.pem", "--verity-certificate=other.crt"},
		} {
			name = kind + name
			sextant(t, dir, append(args, "build", "--image-id="+name, "--image-version=", "--format="+kind, "--extra-tree=tool-config:"+file,
				"--extra-tree=release-"+kind+":/"+place+"/extension-release.d/extension-release."+name)...)
			initrdFile(t, vm, filepath.Join(dir, "mkosi.output", name+".raw"), "/.extra/"+kind+"/"+name+".raw")
		}
	}
}

// copySystem gives the system below /sysroot a signed extension and one that is
// not, and the rule that signatures count.
func copySystem(t *testing.T, vm *vmtest.VM, dir string) {
	t.Helper()
	sextant(t, dir, "build", "--image-id=systemgood", "--image-version=")
	sextant(t, dir, "build", "--image-id=systembad", "--image-version=", "--verity=disabled")
	for _, name := range []string{"systemgood", "systembad"} {
		vm.CopyIn(filepath.Join(dir, "mkosi.output", name+".raw"), "/var/lib/extensions/"+name+".raw")
	}
	vm.CopyIn(filepath.Join(dir, "verity_cert.crt"), "/etc/verity.d/verity_cert.crt")
	vm.WriteFile("/etc/sextant/merge.conf", []byte("[Merge]\nRequireSigned=yes\n"), 0o644)
}

// checkExtra wants our program to do what 262 does, but for one thing: one bad
// image keeps 262 from merging the good one.
func checkExtra(t *testing.T, r *vmtest.Result) {
	t.Helper()
	for _, want := range []string{
		"where: /usr/lib/systemd/systemd (rootfs|tmpfs|ramfs)",
		"KIND unit: active 3 KINDgood ",
		"KIND journal unsigned: KINDunsigned: left out: .+",
		"KIND journal wrong: KINDwrong: left out: .+",
		"KIND theirs, good and unsigned, merge: 1 ",
		"KIND ours, good and unsigned, merge: 1 KINDgood ",
		"sysext theirs, good and wrong, merge: 1 ",
		"sysext ours, good and wrong, merge: 1 sysextgood ",
		"KIND theirs, good, merge: 0 KINDgood ",
		"sysext theirs, elsewhere, merge: 0 sysextgood sysextunsigned ",
		"sysext ours, elsewhere, merge: 0 sysextgood sysextunsigned ",
		"/etc without certificate, theirs, merge: 0 systemgood ",
		"/etc without certificate, ours, merge: 0 systemgood ",
		"/sysroot/etc without certificate, theirs, merge: 1 ",
		"/sysroot/etc without certificate, ours, merge: 1 ",
		"merged below /sysroot: .*/usr systemgood .*",
		"tool: hello from custom-tools",
		"journal system: systembad: left out: is not signed .*",
		"devices: 1 (/var/lib/extensions/systemgood.raw ){2}",
	} {
		for _, kind := range []string{"sysext", "confext"} {
			if !regexp.MustCompile("(?m)^" + strings.ReplaceAll(want, "KIND", kind) + "$").MatchString(r.Stdout) {
				t.Errorf("%s: nothing in the output matches %q", kind, want)
			}
		}
	}
}
