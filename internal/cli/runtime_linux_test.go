package cli_test

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"testing"

	"sextant/internal/golden"
	"sextant/internal/testenv"
)

// runtimeScript uses the verbs of the runtime on a system below a directory, in a
// mount namespace of its own. Lines that start with $ are printed with what they
// print and their exit status.
const runtimeScript = `
mount --make-rshared /
mkdir -p etc usr/lib usr/share opt var/lib/extensions etc/extensions
printf 'ID=debian\nVERSION_ID=13\n' >usr/lib/os-release
extension() {
	mkdir -p "var/lib/extensions/$1/usr/lib/extension-release.d" "var/lib/extensions/$1/usr/share/$1"
	echo "ID=${2:-_any}" >"var/lib/extensions/$1/usr/lib/extension-release.d/extension-release.$1"
	echo "$1" >"var/lib/extensions/$1/usr/share/$1/file"
}
sextant() { "$program" "$@" --root="$PWD"; }
run() { echo "$ $*"; "$@" 2>&1 || echo "exit status $?"; echo; }

run sextant list
run sextant status
run sextant merge
extension foo
extension old fedora
run sextant merge --dry-run
run sextant status
run sextant merge
run cat usr/share/foo/file
run sextant merge
run sextant merge --dry-run
run sextant merge --dry-run --force
run sextant refresh
: >var/lib/extensions/empty.raw
: >var/lib/extensions/notes.txt
ln -s loop var/lib/extensions/loop
ln -s /nowhere etc/extensions/gone.raw
: >$'var/lib/extensions/two\nlines\e[31m.raw'
run sextant list
run sextant list --json
rm var/lib/extensions/two*
run sextant refresh --dry-run
run sextant refresh
run sextant status --json
mount -t tmpfs tmpfs usr/share/foo
run sextant status
umount usr/share/foo
rm -r var/lib/extensions/foo
extension bar
run sextant status
run sextant refresh --json
run sextant unmerge
run sextant unmerge
run sextant merge --require-signed
run sextant merge --require-signed --dry-run --json
mkdir -p etc/sextant
printf '[Merge]\nRequireSigned=yes\n' >etc/sextant/merge.conf
run sextant merge
printf '[Merge]\nRequireSigned=maybe\n' >etc/sextant/merge.conf
run sextant merge
rm etc/sextant/merge.conf
mkdir -p etc/systemd
printf '[SysExt]\nImagePolicy=what\n' >etc/systemd/sysext.conf
run sextant merge
run sextant unmerge
run sextant status
rm etc/systemd/sysext.conf
mkdir -p -m 700 var/lib/extensions.mutable/usr
run sextant merge --mutable=auto
run sextant merge --mutable=auto --json
rm -r var/lib/extensions.mutable
run sextant merge --mutable=ephemeral
touch usr/new
run sextant status
run sextant unmerge
run sextant status --class=confext
mkdir -p tree/usr/lib/extension-release.d
echo ID=_any >tree/usr/lib/extension-release.d/extension-release.right
mkfs.erofs --quiet var/lib/extensions/wrong.raw tree >/dev/null
run sextant merge --dry-run
run sextant merge --require-signed
rm var/lib/extensions/wrong.raw
run "$program" merge --root=/nowhere
run "$program" status --root=/nowhere
run sextant merge --class=what
run sextant merge --mutable=what
run sextant merge --submounts=what
run sextant merge --noexec=what
run sextant merge --image-policy=what
run sextant merge now
run setpriv --reuid=65534 --bounding-set=-all --inh-caps=-all "$program" merge --root="$PWD"
`

// passing is what differs from run to run.
var passing = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?`)

// TestRuntime holds what the verbs of the runtime print against a golden file.
func TestRuntime(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare", "setpriv", "mkfs.erofs")
	program := program(t)
	// Below /mnt, so that paths have the same length on every machine; in
	// memory, as an overlay has no place for its changes on an overlay, which
	// this machine's disk may be.
	const root = "/mnt"
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "bash", "-eu", "-c",
		"mount -t tmpfs root "+root+"; cd "+root+"\n"+runtimeScript)
	cmd.Env = append(os.Environ(), "program="+program, "TZ=UTC", "JOURNAL_STREAM=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	got := passing.ReplaceAll(bytes.ReplaceAll(bytes.ReplaceAll(out, []byte(root+"/"), []byte("ROOT/")), []byte(program), []byte("sextant")), []byte("TIME"))
	golden.Compare(t, "testdata/runtime.golden", string(got))
}
