package acceptance_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/image"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
	"sextant/internal/testenv"
	"sextant/internal/tree"
	"sextant/internal/vmtest/rootfs"
)

// maker is somebody else's program that makes tool.raw in a directory with keys
// and a tree.
type maker struct {
	name    string
	release rootfs.Release
	format  string // of the file system
	files   map[string]string
	command []string // DIR stands for the directory
	plain   bool     // without hash tree and signature
}

// makers are the programs that people have built extensions with.
func makers() []maker {
	list := []maker{repartMaker(rootfs.Bookworm(), "squashfs", false)}
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		for _, format := range []string{"erofs", "squashfs"} {
			list = append(list, repartMaker(release, format, true))
		}
		list = append(list, repartMaker(release, "ext4", false))
		for _, verity := range []string{"yes", "no"} {
			list = append(list, mkosiMaker(release, verity))
		}
	}
	return list
}

// repartMaker is systemd-repart with definitions of a signed root partition for
// /usr. Before 254 it had no Minimize= for file systems that cannot be written,
// and no --copy-source= either, so that sizes are fixed. Its hash trees have blocks
// of 512 bytes, which makes them a sixteenth of the data.
func repartMaker(release rootfs.Release, format string, minimize bool) maker {
	data, hash := "SizeMinBytes=128M\nSizeMaxBytes=128M\n", "SizeMinBytes=16M\nSizeMaxBytes=16M\n"
	if minimize {
		data, hash = "Minimize=best\n", "Minimize=best\n"
	}
	const head = "[Partition]\nType=root"
	m := maker{
		name: fmt.Sprintf("systemd-repart %d %s", release.Systemd, format), release: release, format: format,
		files: map[string]string{
			"repart.d/10-root.conf": head + "\nFormat=" + format + "\nCopyFiles=/usr/\nVerity=data\nVerityMatchKey=root\n" + data,
			"repart.d/20-hash.conf": head + "-verity\nVerity=hash\nVerityMatchKey=root\n" + hash,
			"repart.d/30-sig.conf":  head + "-verity-sig\nVerity=signature\nVerityMatchKey=root\n",
		},
		command: []string{"systemd-repart", "--empty=create", "--size=auto", "--dry-run=no", "--definitions=DIR/repart.d",
			"--private-key=DIR/verity_key.pem", "--certificate=DIR/verity_cert.crt"},
	}
	if release.Systemd < 254 {
		m.command = append(m.command, "--root=DIR/tree")
	} else {
		m.command = append(m.command, "--offline=yes", "--copy-source=DIR/tree")
	}
	m.command = append(m.command, "DIR/tool.raw")
	return m
}

// mkosiMaker is mkosi. Verity= was a boolean up to version 25, and is a word
// since.
func mkosiMaker(release rootfs.Release, verity string) maker {
	m := maker{
		name: fmt.Sprintf("mkosi of %s Verity=%s", release, verity), release: release, format: "erofs", plain: verity == "no",
		files: map[string]string{"mkosi.conf": "[Distribution]\nDistribution=custom\n[Output]\nFormat=sysext\nOutput=tool\nOutputDirectory=DIR\nImageId=tool\n" +
			"[Content]\nExtraTrees=DIR/tree\n[Validation]\nVerity=" + verity + "\nVerityKey=DIR/verity_key.pem\nVerityCertificate=DIR/verity_cert.crt\n"},
		command: []string{"mkosi", "-C", "DIR", "build"},
	}
	if release == rootfs.Sid() && verity == "yes" {
		m.files["mkosi.conf"] = strings.Replace(m.files["mkosi.conf"], "Verity=yes", "Verity=signed", 1)
	}
	return m
}

// TestImagesOfOthers verifies, lists and reads images of other programs, of
// the releases that are in use: verify finds nothing wrong, and we see the
// files that Linux sees.
func TestImagesOfOthers(t *testing.T) {
	testenv.RequireRoot(t)
	for _, m := range makers() {
		t.Run(m.name, func(t *testing.T) {
			dir := otherProject(t)
			var command []string
			for _, word := range m.command {
				command = append(command, strings.ReplaceAll(word, "DIR", dir))
			}
			for name, text := range m.files {
				writeFiles(t, dir, map[string]string{name: strings.ReplaceAll(text, "DIR", dir)})
			}
			inside(t, m.release, []string{dir}, command[0], command[1:]...)
			verifyQuietly(t, dir, m.format, m.plain)
			sameAsMounted(t, filepath.Join(dir, "tool.raw"), m.format)
		})
	}
}

// otherProject makes a directory with keys and the tree of an extension.
func otherProject(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	sextant(t, dir, "genkey", "--algorithm=rsa:2048")
	content := imagetest.Builder{Tree: mkosiTree(false)}
	content.Content("usr/share/noise", 0o644, imagetest.Noise{Seed: 3, Length: 300_000})
	content.Put("usr/share/empty", tree.NewDir(0o755))
	content.File("usr/lib/extension-release.d/extension-release.tool", 0o644, "ID=_any\n")
	if err := imagetest.Materialize(content.Tree, filepath.Join(dir, "tree")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestVerifyExt4 verifies a bare file system of this machine's mke2fs, which
// cannot copy all that is in the tree of the others.
func TestVerifyExt4(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "mkfs.ext4")
	dir := t.TempDir()
	if err := imagetest.Materialize(disk.Content("tool").Tree, filepath.Join(dir, "tree")); err != nil {
		t.Fatal(err)
	}
	output(t, exec.Command("mkfs.ext4", "-q", "-d", filepath.Join(dir, "tree"), filepath.Join(dir, "tool.raw"), "8M"))
	verifyQuietly(t, dir, "ext4", true)
	sameAsMounted(t, filepath.Join(dir, "tool.raw"), "ext4")
}

// verifyQuietly wants a verdict without a warning.
func verifyQuietly(t *testing.T, dir, format string, plain bool) {
	t.Helper()
	trust := "--certificate=verity_cert.crt"
	if plain {
		trust = "--root=none"
	}
	out, errs, status := run(t, dir, "verify", "--strict", "--json", trust, "tool.raw")
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

// sameAsMounted compares what we read in the image with what Linux shows.
func sameAsMounted(t *testing.T, path, format string) {
	t.Helper()
	m, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	files, err := m.Tree()
	if err != nil {
		t.Fatal(err)
	}
	got, err := imagetest.Dump(files)
	if err != nil {
		t.Fatal(err)
	}
	err = imagetest.MountAt(t, path, m.Volumes()[0].Data.Span, format, func(dir string) error {
		want, err := imagetest.DumpDir(dir)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("files (-kernel +sextant):\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sameNames(t, path, got)
}

// sameNames wants ls to list the names that are in a dump.
func sameNames(t *testing.T, path string, dump map[string]string) {
	t.Helper()
	var want []string
	for name, line := range dump {
		if strings.HasPrefix(line, "dir ") {
			name += "/"
		}
		if name != "//" {
			want = append(want, name[1:])
		}
	}
	got := strings.Split(strings.TrimSuffix(sextant(t, filepath.Dir(path), "ls", "--null", path), "\x00"), "\x00")
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ls (-dump +ls):\n%s", diff)
	}
}
