package acceptance_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/testenv"
	"sextant/internal/vmtest"
	"sextant/internal/vmtest/rootfs"
)

// labelled writes what labels the roots of the hierarchies and their dot
// directories have after merges by each program. That of the host's own /opt is
// not the policy's. Nothing else on the disk has a label, so the policy is enforced
// for these merges only.
const labelled = `
setfattr -n security.selinux -v system_u:object_r:usr_t:s0 /usr
setfattr -n security.selinux -v system_u:object_r:var_t:s0 /opt
setfattr -n security.selinux -v system_u:object_r:etc_t:s0 /etc
mkdir -p /by-name
ln -s /usr/bin/sextant /by-name/systemd-sysext
ln -s /usr/bin/sextant /by-name/systemd-confext
labels() {
	getfattr --absolute-names --no-dereference -n security.selinux "$@" 2>&1 | grep -v '^$' | paste -d' ' - - | sed 's/# file: //'
}
modprobe overlay # which the policy lets no unlabelled file be
echo 1 >/sys/fs/selinux/enforce
echo "enforcing: $(cat /sys/fs/selinux/enforce) $(cat /proc/self/attr/current | tr -d '\0')"
for who in theirs ours; do
	by=
	[ $who = theirs ] || by=/by-name/
	for mode in no ephemeral yes auto; do
		rm -rf /var/lib/extensions.mutable
		if [ $mode = auto ]; then
			mkdir -p /var/lib/extensions.mutable/usr
			setfattr -n security.selinux -v system_u:object_r:var_t:s0 /var/lib/extensions.mutable/usr
		fi
		${by}systemd-sysext merge --mutable=$mode
		labels /usr /opt /usr/.systemd-sysext /usr/.systemd-sysext/* >$RESULTS/sysext-$mode-$who
		${by}systemd-sysext unmerge
	done
	${by}systemd-confext merge
	labels /etc /etc/.systemd-confext /etc/.systemd-confext/* >$RESULTS/confext-no-$who
	${by}systemd-confext unmerge
done
echo 0 >/sys/fs/selinux/enforce
`

// TestLabelsWithPolicy merges where SELinux is on, with Debian's policy: what is
// merged has the labels that 262 gives it.
func TestLabelsWithPolicy(t *testing.T) {
	t.Parallel()
	const policy = "/etc/selinux/default/policy"
	if _, err := os.Stat(policy); err != nil {
		testenv.Missing(t, "selinux-policy-default", policy+" is not there")
	}
	vm := vmtest.New(t, rootfs.Sid())
	vm.Timeout = 20 * time.Minute
	vm.KernelArgs("security=selinux", "selinux=1", "enforcing=0")
	vm.CopyIn("/etc/selinux", "/etc/selinux")
	vm.CopyIn(released(t), "/usr/bin/sextant")
	for path, text := range map[string]string{
		"extensions/a/usr/bin/a": "a", "extensions/a/opt/a": "a", "extensions/a/usr/lib/extension-release.d/extension-release.a": "ID=_any\n",
		"confexts/b/etc/b": "b", "confexts/b/etc/extension-release.d/extension-release.b": "ID=_any\n",
	} {
		vm.WriteFile(filepath.Join("/var/lib", path), []byte(text), 0o644)
	}
	r := vm.MustRun(labelled)
	if !strings.Contains(r.Stdout, "enforcing: 1 system_u:system_r:") {
		t.Fatalf("no policy is enforced:\n%s\n%s", r.Stdout, r.Stderr)
	}
	for kind, roots := range map[string]string{
		"sysext-no": "/usr usr_t, /opt usr_t", "sysext-ephemeral": "/usr usr_t, /opt usr_t",
		"sysext-yes": "/usr usr_t, /opt usr_t", "sysext-auto": "/usr var_t, /opt usr_t", "confext-no": "/etc etc_t",
	} {
		theirs, ours := string(readFile(t, filepath.Join(r.Dir, kind+"-theirs"))), string(readFile(t, filepath.Join(r.Dir, kind+"-ours")))
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: labels of 262 (-), ours (+)\n%s", kind, diff)
		}
		for _, root := range strings.Split(roots, ", ") {
			path, label, _ := strings.Cut(root, " ")
			if !strings.Contains(ours, path+` security.selinux="system_u:object_r:`+label+`:s0`) {
				t.Errorf("%s: %s is not labelled %s:\n%s", kind, path, label, ours)
			}
		}
		t.Logf("%s\n%s", kind, ours)
	}
}
