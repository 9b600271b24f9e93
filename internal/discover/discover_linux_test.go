package discover_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/testenv"
)

// TestFaults leaves one candidate with its fault where systemd finds nothing,
// and hides no other behind it.
func TestFaults(t *testing.T) {
	root := t.TempDir()
	mkdir(t, root+"/etc/extensions")
	mkdir(t, root+"/var/lib/extensions/good")
	touch(t, root+"/var/lib/extensions/loop.raw")
	for name, target := range map[string]string{"loop.raw": "loop.raw", "through": "/var/lib/extensions/loop.raw/x"} {
		if err := os.Symlink(target, root+"/etc/extensions/"+name); err != nil {
			t.Fatal(err)
		}
	}
	found, _, err := discover.List(root, extension.Sysext)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	for _, c := range found {
		key := c.Name
		if c.Fault != nil {
			key += " fault"
		}
		got[key]++
	}
	for _, want := range []string{"good", "loop", "loop fault", "through fault"} {
		if got[want] != 1 {
			t.Errorf("candidate %q: %d times, want once; all: %v", want, got[want], got)
		}
	}
}

// TestPassedOver says why a name is no candidate.
func TestPassedOver(t *testing.T) {
	root := t.TempDir()
	low := root + "/var/lib/extensions/"
	mkdir(t, low+"a")
	mkdir(t, low+"none.raw.v")
	mkdir(t, root+"/etc/extensions/a")
	for _, name := range []string{"x.img", ".sysupdate.y.raw", ".raw"} {
		touch(t, low+name)
	}
	if err := os.Symlink("/nowhere", low+"gone.raw"); err != nil {
		t.Fatal(err)
	}
	_, passed, err := discover.List(root, extension.Sysext)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, p := range passed {
		got[strings.TrimPrefix(p.Path, low)] = p.Reason
	}
	for name, want := range map[string]string{
		"a": "hidden by " + root + "/etc/extensions/a", "none.raw.v": "none of the versions in it fits", "x.img": "the name does not end in .raw",
		".sysupdate.y.raw": "an update that is not complete", ".raw": "not a name for an extension", "gone.raw": "the link leads nowhere",
	} {
		if got[name] != want {
			t.Errorf("%s is passed over as %q, want %q", name, got[name], want)
		}
	}
}

// TestTrust is about the host's own /.extra, which only a mount namespace can
// show without touching this machine.
func TestTrust(t *testing.T) {
	testenv.RequireRoot(t)
	if os.Getenv("DISCOVER_TRUST") == "" {
		dir := t.TempDir()
		mkdir(t, dir+"/root/.extra/sysext/stub")
		mkdir(t, dir+"/root/.extra/global_sysext/global")
		mkdir(t, dir+"/root/.extra/other/denied")
		mkdir(t, dir+"/root/run/extensions/plain")
		mkdir(t, dir+"/root/usr/target")
		touch(t, dir+"/root/test")
		touch(t, dir+"/root/etc-release")
		for name, target := range map[string]string{"run/extensions/denied": "/.extra/other/denied", ".extra/sysext/linked": "/usr/target"} {
			if err := os.Symlink(target, dir+"/root/"+name); err != nil {
				t.Fatal(err)
			}
		}
		mkdir(t, dir+"/root/etc")
		touch(t, dir+"/root/etc/initrd-release")
		binary := dir + "/root/test"
		build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		cmd := exec.CommandContext(t.Context(), "chroot", dir+"/root", "/test", "-test.run=^TestTrust$", "-test.v")
		cmd.Env = []string{"DISCOVER_TRUST=1"}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "PASS: TestTrust") {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	found, _, err := discover.List("", extension.Sysext)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]discover.Trust{
		"stub": discover.Strict, "global": discover.Strict, "linked": discover.Strict, "plain": discover.Default, "denied": discover.Denied,
	}
	for _, c := range found {
		if c.Trust != want[c.Name] {
			t.Errorf("%s: trust %d, want %d", c.Name, c.Trust, want[c.Name])
		}
		delete(want, c.Name)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

// TestSubvolume tells a btrfs subvolume from a directory.
func TestSubvolume(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "mkfs.btrfs", "btrfs")
	dir := t.TempDir()
	script := `
		truncate -s 128M "$1/disk"
		mkfs.btrfs -q "$1/disk"
		mkdir "$1/root"
		mount -o loop "$1/disk" "$1/root"
		mkdir -p "$1/root/var/lib/extensions/plain"
		btrfs subvolume create "$1/root/var/lib/extensions/volume" >/dev/null
		"$2" -test.run='^TestSubvolumeMounted$' -test.v`
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--propagation", "private", "sh", "-eu", "-c", script, "sh", dir, self)
	cmd.Env = append(os.Environ(), "DISCOVER_BTRFS="+filepath.Join(dir, "root"))
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestSubvolumeMounted") {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestSubvolumeMounted runs in the namespace of TestSubvolume.
func TestSubvolumeMounted(t *testing.T) {
	root := os.Getenv("DISCOVER_BTRFS")
	if root == "" {
		t.Skip("runs in TestSubvolume")
	}
	found, _, err := discover.List(root, extension.Sysext)
	if err != nil || len(found) != 2 {
		t.Fatalf("List() = %v, %v", found, err)
	}
	for _, c := range found {
		want := map[string]discover.Kind{"plain": discover.Directory, "volume": discover.Subvolume}[c.Name]
		if c.Kind != want || c.Time.IsZero() {
			t.Errorf("%s: %v of %v, want %v with a time", c.Name, c.Kind, c.Time, want)
		}
	}
}
