package rootfs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

const mkosiConfig = `[Distribution]
Distribution=custom

[Output]
Format=sysext
ImageId=hello
Output=hello
OutputDirectory=/out
CompressOutput=no

[Content]
ExtraTrees=tree

[Validation]
Verity=signed
VerityKey=mkosi.key
VerityCertificate=mkosi.crt
`

func TestCommandRunsMkosi(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "openssl", "unshare")
	sid := rootfs.Require(t, rootfs.Sid())
	config, out := t.TempDir(), t.TempDir()
	write(t, filepath.Join(config, "mkosi.conf"), mkosiConfig)
	write(t, filepath.Join(config, "tree/usr/share/hello"), "hello\n")
	write(t, filepath.Join(config, "tree/usr/lib/extension-release.d/extension-release.hello"), "ID=_any\n")
	run(t, exec.Command("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2",
		"-keyout", filepath.Join(config, "mkosi.key"), "-out", filepath.Join(config, "mkosi.crt")))
	binds := []rootfs.Bind{{Host: config, Guest: "/config"}, {Host: out, Guest: "/out"}}
	run(t, sid.Command(t.Context(), binds, "mkosi", "-C", "/config", "build"))
	table := run(t, exec.Command("sfdisk", "-d", filepath.Join(out, "hello.raw")))
	for _, name := range []string{"root-x86-64", "root-x86-64-verity", "root-x86-64-verity-sig"} {
		if !strings.Contains(table, `name="`+name+`"`) {
			t.Errorf("mkosi's image has no partition %s:\n%s", name, table)
		}
	}
}

func TestCommandLeavesNothingBehind(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare")
	trixie := rootfs.Require(t, rootfs.Trixie())
	before := mounts(t)
	got := run(t, trixie.Command(t.Context(), nil, "sh", "-c", "echo x > /usr/left && echo x > /left && systemd-repart --version"))
	if !strings.HasPrefix(got, "systemd 257") {
		t.Errorf("systemd-repart --version printed %q, want systemd 257", got)
	}
	for _, name := range []string{"left", "usr/left"} {
		if _, err := os.Lstat(filepath.Join(trixie.Tree, name)); err == nil {
			t.Errorf("/%s was written into the shared tree", name)
		}
	}
	if after := mounts(t); after != before {
		t.Errorf("mounts on the host changed:\n%s\nwere:\n%s", after, before)
	}
}

func mounts(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd.Path, err, out)
	}
	return string(out)
}
