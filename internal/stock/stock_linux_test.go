package stock_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// prepare is what every run of the cases begins with. $1 is the directory with
// the program to test, empty for systemd's own.
const prepare = `
mount --make-rshared /
export PATH=$1:$PATH program=$(PATH=$1:$PATH command -v systemd-sysext) TZ=UTC
unset SYSTEMD_LOG_LEVEL LISTEN_PID LISTEN_FDS
lib=/var/lib/extensions
mkdir -p $lib /root
extension() {
	mkdir -p "$lib/$1/usr/lib/extension-release.d" "$lib/$1/usr/share/$1"
	printf "${2:-ID=_any}\n" >"$lib/$1/usr/lib/extension-release.d/extension-release.$1"
}
confext() {
	mkdir -p "/var/lib/confexts/$1/etc/extension-release.d"
	echo "ID=_any" >"/var/lib/confexts/$1/etc/extension-release.d/extension-release.$1"
}
conf() { mkdir -p /etc/systemd; printf "$1" >/etc/systemd/sysext.conf; }
`

// cases run one after the other on one system.
var cases = []string{
	// The command line.
	"systemd-sysext --help", "systemd-confext --help", "systemd-sysext help", "systemd-sysext help x", "systemd-sysext -h", "systemd-sysext -hx",
	"systemd-sysext --no", "systemd-sysext --no-", "systemd-sysext --noexec", "systemd-sysext --noexec=x", "systemd-sysext --noexec x list",
	"systemd-sysext --bogus", "systemd-sysext --bogus=1", "systemd-sysext -x", "systemd-sysext -xh", "systemd-sysext -é",
	"systemd-sysext bogus", "systemd-sysext lis", "systemd-sysext m", "systemd-sysext ''", "systemd-sysext STATUS", "systemd-sysext unmerg", "systemd-sysext xxxxxxxxxxx",
	"systemd-sysext list more", "systemd-sysext list -- --help", "systemd-sysext status -", "systemd-sysext -- list", "systemd-sysext list --no-pager",
	"systemd-sysext --mutable=help", "systemd-sysext --no-legend --mutable=help", "systemd-sysext --mutable=help --no-legend", "systemd-sysext --mutable=x", "systemd-sysext --mutable= list",
	"systemd-sysext --json=x", "systemd-sysext --json=help", "systemd-sysext --json= list", "systemd-sysext --js short list", "systemd-sysext --json=off list",
	"systemd-sysext --root", "systemd-sysext --root=", "systemd-sysext --root=relative list", "systemd-sysext --root=/nowhere list",
	"systemd-sysext --root=/nowhere status", "systemd-sysext --root=/nowhere unmerge", "systemd-sysext --root=/nowhere status --json=short", "systemd-sysext --root=//usr/./ status",
	"systemd-sysext --image-policy=bogus list", "systemd-sysext --image-policy=help", "systemd-sysext --image-policy= list", "systemd-sysext --image-policy=root=x list",
	"systemd-sysext --always-refresh=maybe", "systemd-sysext --always-refresh", "systemd-sysext --force=1", "systemd-sysext --forc list",
	"systemd-sysext --noexec=x --help", "systemd-sysext --help --noexec=x",

	// Nothing there.
	"systemd-sysext", "systemd-confext", "systemd-sysext status --json=short", "systemd-sysext status --json=pretty", "systemd-sysext status --no-legend",
	"systemd-sysext list", "systemd-confext list", "systemd-sysext list --json=pretty", "systemd-sysext merge", "systemd-sysext refresh", "systemd-sysext unmerge",
	"setpriv --reuid 1000 --bounding-set -all --inh-caps -all systemd-sysext merge", "setpriv --reuid 1000 --bounding-set -all --inh-caps -all systemd-sysext list",

	// The environment.
	"SYSTEMD_SYSEXT_HIERARCHIES=usr systemd-sysext status", "SYSTEMD_SYSEXT_HIERARCHIES= systemd-sysext status", "SYSTEMD_SYSEXT_HIERARCHIES=/ systemd-sysext status",
	"SYSTEMD_SYSEXT_HIERARCHIES=/usr/../x systemd-sysext status", "SYSTEMD_SYSEXT_HIERARCHIES=/usr: systemd-sysext status", "SYSTEMD_SYSEXT_HIERARCHIES=/usr:/usr systemd-sysext status",
	"SYSTEMD_SYSEXT_HIERARCHIES=/etc:/usr/:/nowhere:/var/lib systemd-sysext status", "SYSTEMD_SYSEXT_HIERARCHIES=usr systemd-sysext list",
	"SYSTEMD_SYSEXT_HIERARCHIES=usr systemd-sysext merge", "SYSTEMD_CONFEXT_HIERARCHIES=/opt systemd-confext status",
	"SYSTEMD_SYSEXT_MUTABLE_MODE=x systemd-sysext status", "SYSTEMD_CONFEXT_MUTABLE_MODE=x systemd-sysext status", "SYSTEMD_LOG_LEVEL=err systemd-sysext list",
	"SYSTEMD_EXEC_PID='*' SYSTEMD_PROC_CMDLINE='quiet systemd.sysext=0' systemd-sysext merge", "SYSTEMD_PROC_CMDLINE='systemd.sysext=0' systemd-sysext merge",
	"SYSTEMD_EXEC_PID='*' SYSTEMD_PROC_CMDLINE='systemd.sysext=0 systemd.sysext' systemd-sysext merge", "SYSTEMD_EXEC_PID='*' SYSTEMD_PROC_CMDLINE=systemd.sysext=off systemd-confext merge",

	// The configuration file.
	`conf '[SysExt]\nMutable=x\n'; systemd-sysext status`, `conf '[SysExt]\nImagePolicy=foo\nMutable=x\n'; systemd-sysext status`,
	`conf '[SysExt]\nMutable=yes\n[Bar]\nx=1\njunk\n[ConfExt]\nMutable=no\n'; systemd-sysext status`, `conf '[SysExt]\nMutable=\nImagePolicy=\nFoo=1\n'; systemd-sysext status`,
	`conf '[SysExt]\nMutable\n'; systemd-sysext status`, `conf 'Mutable=yes\n'; systemd-sysext status`, `conf '# no\n[SysExt]\nMutable=x\nFoo\n'; systemd-sysext status`,
	`mkdir -p /run/systemd/sysext.conf.d /etc/systemd/sysext.conf.d; rm /etc/systemd/sysext.conf; echo '[SysExt]
Mutable=xx' >/run/systemd/sysext.conf.d/a.conf; echo '[SysExt]
Mutable=yy' >/etc/systemd/sysext.conf.d/b.conf; touch /etc/systemd/sysext.conf.d/c.conf; echo junk >/run/systemd/sysext.conf.d/c.conf; systemd-sysext status`,
	`echo junk >/usr/lib/systemd/sysext.conf; systemd-sysext status; rm -r /usr/lib/systemd/sysext.conf /run/systemd/sysext.conf.d /etc/systemd/sysext.conf.d`,

	// Merged and not.
	"extension foo; extension bar-long-name; systemd-sysext merge", "ls -A /usr/.systemd-sysext; cat /usr/.systemd-sysext/extensions",
	"systemd-sysext merge", "systemd-sysext status", "systemd-sysext status --json=short", "systemd-sysext status --json=pretty", "systemd-sysext status --no-legend",
	"systemd-sysext refresh", "systemd-sysext refresh --always-refresh=yes", "TZ=Europe/Berlin systemd-sysext status", "TZ=America/New_York systemd-sysext list",
	"systemd-sysext --root=/ status", "mkdir $lib/mask; systemd-sysext refresh; rmdir $lib/mask", "systemd-sysext unmerge", "systemd-sysext unmerge",
	"extension old ID=fedora; systemd-sysext merge; systemd-sysext unmerge", "rm -r $lib/foo $lib/bar*; systemd-sysext merge", "systemd-sysext refresh", "systemd-sysext merge --force; systemd-sysext refresh",
	"rm -r $lib/old; systemd-sysext refresh", "mkdir /var/lib/extensions.mutable; mount -t tmpfs mutable /var/lib/extensions.mutable", "systemd-sysext --mutable=yes merge", "systemd-sysext status", "systemd-sysext status --json=short", "systemd-sysext unmerge",
	"extension foo; systemd-sysext --mutable=ephemeral merge", "systemd-sysext --mutable=ephemeral refresh", "systemd-sysext unmerge", "rm -r $lib/foo",
	"confext c; systemd-confext merge", "systemd-confext status", "systemd-confext refresh", "systemd-confext unmerge",
	"mkdir -p $lib/foo.v; extension foo.v/foo_1; extension foo.v/foo_2; mv $lib/foo.v/foo_2/usr/lib/extension-release.d/extension-release.foo.v $lib/foo.v/foo_2/usr/lib/extension-release.d/extension-release.foo 2>/dev/null; systemd-sysext list --no-legend | cut -d' ' -f1-3; rm -r $lib/foo.v",

	// Tables and times.
	"touch -d @0.000001 $lib/t1.raw; touch -d 2200-01-01 $lib/t2.raw; touch -d '9999-12-31 12:00' $lib/t3.raw; touch -d '10000-12-31 12:00' $lib/t4.raw; touch -d 1969-12-31 $lib/t5.raw; touch $lib/日本語.raw $lib/'q\"uo\\te.raw' $lib/$(printf 'x%.0s' $(seq 200)).raw; systemd-sysext list",
	"COLUMNS=60 systemd-sysext list --no-legend", "systemd-sysext list --json=short", "systemd-sysext list --json=pretty", "rm $lib/*; mknod $lib/block b 7 0; systemd-sysext list", "systemd-sysext list --json=short", "rm $lib/*",

	// Varlink.
	"varlinkctl list-interfaces $program", "varlinkctl list-methods $program", "varlinkctl introspect $program | grep -v '^[[:space:]]*#\\|^$'",
	"varlinkctl call --more $program io.systemd.sysext.List '{}'", "extension foo; varlinkctl -j call --more $program io.systemd.sysext.List '{}' | jq -S .",
	"varlinkctl call $program io.systemd.sysext.List '{}'", `varlinkctl call --more $program io.systemd.sysext.List '{"class":"bogus"}'`, `varlinkctl call --more $program io.systemd.sysext.List '{"class":"confext"}' | jq -S 'del(.CreationTimestamp)'`,
	`varlinkctl call --more $program io.systemd.sysext.List '{"class":5}'`, `varlinkctl call --more $program io.systemd.sysext.List '{"klass":"x"}'`,
	"varlinkctl call $program io.systemd.sysext.Merge '{}'", "varlinkctl call $program io.systemd.sysext.Merge '{}'", `varlinkctl call $program io.systemd.sysext.Refresh '{"class":"sysext","alwaysRefresh":true}'`,
	"varlinkctl call $program io.systemd.sysext.Refresh '{}'", "varlinkctl call $program io.systemd.sysext.Unmerge '{}'", `varlinkctl call $program io.systemd.sysext.Unmerge '{"noReload":true}'`,
	`varlinkctl call $program io.systemd.sysext.Unmerge '{"noReload":"x"}'`, "varlinkctl call $program io.systemd.sysext.Bogus '{}'", "varlinkctl call $program io.systemd.Bogus.Bogus '{}'",
	"rm -r /var/lib/confexts/c; varlinkctl call $program io.systemd.SysUpdate.Notify.OnCompletedUpdate '{}'", `varlinkctl call $program io.systemd.SysUpdate.Notify.OnCompletedUpdate '{"x":"y"}'`,
	`varlinkctl call $program org.varlink.service.GetInterfaceDescription '{"interface":"a.b"}'`, "systemd-sysext unmerge",

	// Broken images and links, which 262 makes everybody pay for.
	"touch $lib/empty.raw; systemd-sysext merge; echo; systemd-sysext status | grep -c foo; rm $lib/empty.raw",
	"systemd-sysext unmerge; ln -s loop $lib/loop; systemd-sysext list", "systemd-sysext merge; systemd-sysext status | grep -c foo",
	"systemd-sysext --version",
}

// deliberate are the cases in which we answer otherwise, with our answer.
var deliberate = map[string]string{
	"touch $lib/empty.raw; systemd-sysext merge; echo; systemd-sysext status | grep -c foo; rm $lib/empty.raw": "\n1\nE Using extensions 'foo'.\nE Merged extensions into '/usr'.\nE Failed to read metadata for image empty: is empty\n= 0\n",
	"systemd-sysext unmerge; ln -s loop $lib/loop; systemd-sysext list": "NAME TYPE      PATH                    TIME\nfoo  directory /var/lib/extensions/foo TIME\n" +
		"E Unmerged '/usr'.\nE Failed to read metadata for image loop: Too many levels of symbolic links\n= 1\n",
	"systemd-sysext merge; systemd-sysext status | grep -c foo": "1\nE Using extensions 'foo'.\nE Merged extensions into '/usr'.\n" +
		"E Failed to read metadata for image loop: resolve /var/lib/extensions/loop: too many levels of symbolic links\n= 0\n",
	"systemd-sysext --version": "systemd 262 (sextant)\n= 0\n",
}

// changing is what differs from run to run.
var changing = regexp.MustCompile(`\b179\d{13}\b|\w{3} 20[23]\d-\d\d-\d\d \d\d:\d\d:\d\d \w+|/program\b|/usr/bin/systemd-sysext`)

// answers runs the cases with the program in dir, or systemd's where that is
// empty, and returns what each printed.
func answers(t *testing.T, tree rootfs.Rootfs, dir string) []string {
	t.Helper()
	var script strings.Builder
	script.WriteString(prepare)
	for i, c := range cases {
		fmt.Fprintf(&script, "{ %s\n} >/root/out 2>/root/err; status=$?; echo '@@ %d'; cat /root/out; sed 's/^/E /' /root/err; echo \"= $status\"\n", c, i)
	}
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "script"), []byte(script.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	binds := []rootfs.Bind{{Host: work, Guest: "/cases"}}
	argument := "/nowhere"
	if dir != "" {
		binds, argument = append(binds, rootfs.Bind{Host: dir, Guest: "/program"}), "/program"
	}
	var errs bytes.Buffer
	cmd := tree.Command(t.Context(), binds, "bash", "/cases/script", argument)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, errs.Bytes())
	}
	parts := strings.Split(changing.ReplaceAllString(string(out), "TIME"), "@@ ")[1:]
	if len(parts) != len(cases) {
		t.Fatalf("%d answers for %d cases:\n%s%s", len(parts), len(cases), out, errs.Bytes())
	}
	for i, p := range parts {
		_, parts[i], _ = strings.Cut(p, "\n")
	}
	return parts
}

// TestAnswersLikeSystemd runs systemd 262 and this program side by side.
func TestAnswersLikeSystemd(t *testing.T) {
	testenv.RequireRoot(t)
	tree := rootfs.Require(t, rootfs.Sid())
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "systemd-sysext"), "sextant/cmd/sextant")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Symlink("systemd-sysext", filepath.Join(dir, "systemd-confext")); err != nil {
		t.Fatal(err)
	}
	theirs, ours := answers(t, tree, ""), answers(t, tree, dir)
	for i, c := range cases {
		want, note := theirs[i], "systemd (-), we (+)"
		if own, ok := deliberate[c]; ok {
			if ours[i] == want {
				t.Errorf("%s: systemd answers like us by now:\n%s", c, want)
			}
			want, note = own, "want (-), got (+)"
		}
		if diff := cmp.Diff(want, ours[i]); diff != "" {
			t.Errorf("%s: %s\n%s", c, note, diff)
		}
	}
}
