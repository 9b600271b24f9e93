package acceptance_test

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/imagetest"
	"sextant/internal/testenv"
	"sextant/internal/tree"
	"sextant/internal/vmtest/rootfs"
)

// repartDefinitions are partitions with another file system than erofs, for
// /usr as root partition.
const repartDefinitions = `[Partition]
Type=root
Format=FORMAT
CopyFiles=/usr/
Verity=data
VerityMatchKey=root
Minimize=best
`

// TestVerifyFileSystemsOfRepart verifies what systemd-repart makes, with every file system
// that we read: there is nothing to say against it.
func TestVerifyFileSystemsOfRepart(t *testing.T) {
	testenv.RequireRoot(t)
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		for _, format := range []string{"erofs", "squashfs"} {
			t.Run(release.String()+" "+format, func(t *testing.T) {
				dir := repartProject(t, format)
				inside(t, release, []string{dir}, "systemd-repart", "--empty=create", "--size=auto", "--offline=yes", "--dry-run=no",
					"--definitions="+filepath.Join(dir, "repart.d"), "--copy-source="+filepath.Join(dir, "tree"),
					"--private-key="+filepath.Join(dir, "verity_key.pem"), "--certificate="+filepath.Join(dir, "verity_cert.crt"),
					filepath.Join(dir, "tool.raw"))
				verifyQuietly(t, dir, format)
			})
		}
	}
}

func repartProject(t *testing.T, format string) string {
	t.Helper()
	dir := t.TempDir()
	sextant(t, dir, "genkey", "--algorithm=rsa:2048")
	content := imagetest.NewBuilder()
	content.File("usr/bin/tool", 0o755, "#!/bin/sh\n")
	content.Content("usr/share/noise", 0o644, imagetest.Noise{Seed: 3, Length: 300_000})
	content.Put("usr/share/empty", tree.NewDir(0o755))
	content.File("usr/lib/extension-release.d/extension-release.tool", 0o644, "ID=_any\n")
	if err := imagetest.Materialize(content.Tree, filepath.Join(dir, "tree")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "repart.d/10-root.conf"), []byte(strings.Replace(repartDefinitions, "FORMAT", format, 1)))
	writeFile(t, filepath.Join(dir, "repart.d/20-hash.conf"), []byte("[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\nMinimize=best\n"))
	writeFile(t, filepath.Join(dir, "repart.d/30-sig.conf"), []byte("[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=root\n"))
	return dir
}

// TestVerifyExt4 verifies a bare file system of mke2fs.
func TestVerifyExt4(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "mkfs.ext4")
	dir := repartProject(t, "ext4")
	output(t, exec.Command("mkfs.ext4", "-q", "-d", filepath.Join(dir, "tree"), filepath.Join(dir, "tool.raw"), "8M"))
	out := sextant(t, dir, "verify", "--strict", "--root=none", "tool.raw")
	if !strings.Contains(out, "ext4, ") || !strings.Contains(out, "systemd 262: merges it\n") {
		t.Errorf("verify says %s", out)
	}
}

// verifyQuietly wants a verdict without a warning.
func verifyQuietly(t *testing.T, dir, format string) {
	t.Helper()
	out, errs, status := run(t, dir, "verify", "--strict", "--json", "--certificate=verity_cert.crt", "tool.raw")
	var result struct {
		Facts []struct{ Subject, Text string }
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil || status != 0 {
		t.Fatalf("verify: exit status %d, %v\n%s%s", status, err, out, errs)
	}
	for _, f := range result.Facts {
		if f.Subject == "file system" && strings.HasPrefix(f.Text, format+",") {
			return
		}
	}
	t.Errorf("verify tells of no file system %s:\n%s", format, out)
}
