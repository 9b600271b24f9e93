package repart_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/repart"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// corpus are directories that systemd-repart 262 and Load both read. Left out
// is what systemd-repart does against repart.d(5): it sets the flag for
// GrowFileSystem=no too where a partition is not read-only, and none at all
// where Flags= has a bit below 48, which libfdisk does not take by number.
func corpus() map[string]string {
	return map[string]string{
		"plain":  "-- 10-root.conf --\n" + root,
		"labels": "-- 1.conf --\n" + root + "Label=a b%%é\nUUID=0123456789abcdef0123456789abcdef\n-- 2.conf --\n[Partition]\nType=usr\nFormat=erofs\nCopyFiles=/usr:/\nLabel=\nUUID=null\n",
		"flags": "-- 1.conf --\n" + root + "ReadOnly=yes\nNoAuto=yes\n-- 2.conf --\n" + root + "Flags=0x8001000000000000\nNoAuto=no\n" +
			"-- 3.conf --\n" + root + "GrowFileSystem=yes\nReadOnly=on\nFlags=562949953421312\n-- 4.conf --\n" + root + "ReadOnly=no\nNoAuto=\nFlags=0b11000000000000000000000000000000000000000000000000\n",
		"verity": "-- 1.conf --\n" + root + "Verity=data\nVerityMatchKey=r\nMinimize=best\n" +
			"-- 2.conf --\n[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=r\nMinimize=yes\nNoAuto=yes\n" +
			"-- 3.conf --\n[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=r\n",
		"writable-verity": "-- 1.conf --\n" + root + "Verity=data\nVerityMatchKey=r\nMinimize=guess\nReadOnly=no\n" +
			"-- 2.conf --\n[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=r\nMinimize=best\nReadOnly=no\n" +
			"-- 3.conf --\n[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=r\nReadOnly=no\nLabel=sig\n",
		"two-sets": "-- 1.conf --\n" + root + "Verity=data\nVerityMatchKey=r\nMinimize=best\n-- 2.conf --\n[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=r\nMinimize=best\n" +
			"-- 3.conf --\n[Partition]\nType=usr-arm64\nFormat=erofs\nCopyFiles=/usr:/\nVerity=data\nVerityMatchKey=u\nMinimize=best\n" +
			"-- 4.conf --\n[Partition]\nType=usr-aarch64-verity\nVerity=hash\nVerityMatchKey=u\nMinimize=best\n",
		"types": "-- 1.conf --\n[Partition]\nType=usr-secondary\nFormat=erofs\nMakeDirectories=/a\n" +
			"-- 2.conf --\n[Partition]\nType=root-arm64\nType=4f68bce3-e8cd-4db1-96e7-fbcaf984b709\nFormat=erofs\nMakeSymlinks=/a:b\n",
		"drop-ins": "-- 1.conf --\n; comment\n" + root + "Label=one\n-- 1.conf.d/b.conf --\n[Partition]\nLabel=t\\\nwo\n-- 1.conf.d/a.conf --\n[Partition]\nLabel=three\n[X-Y]\nz=1\n" +
			"-- 0.conf --\n-- 9.conf --\n" + root + "Label=nine # nine\n",
	}
}

// TestLikeSystemdRepart has systemd-repart build images of the corpus and
// compares their partition tables with the definitions.
func TestLikeSystemdRepart(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare", "openssl")
	sid := rootfs.Require(t, rootfs.Sid())
	work := t.TempDir()
	var script strings.Builder
	script.WriteString("set -eu\nmkdir -p /tree/usr/lib\necho x >/tree/usr/lib/file\n")
	for name, text := range corpus() {
		writeDirectory(t, filepath.Join(work, name), text)
		fmt.Fprintf(&script, "systemd-repart --empty=create --size=auto --offline=yes --dry-run=no --no-pager --root=/tree --seed=%s"+
			" --definitions=/in/%s --private-key=/in/key --certificate=/in/crt /in/%s.raw\n", strings.Repeat("0123", 8), name, name)
	}
	key := exec.Command("openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2",
		"-keyout", filepath.Join(work, "key"), "-out", filepath.Join(work, "crt"))
	if out, err := key.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	cmd := sid.Command(t.Context(), []rootfs.Bind{{Host: work, Guest: "/in"}}, "sh", "-c", script.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("systemd-repart: %v\n%s", err, out)
	}
	for name := range corpus() {
		t.Run(name, func(t *testing.T) { compare(t, filepath.Join(work, name)) })
	}
}

func writeDirectory(t *testing.T, dir, text string) {
	t.Helper()
	for part := range strings.SplitSeq("\n"+text, "\n-- ") {
		name, content, found := strings.Cut(part, " --")
		if !found {
			continue
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.TrimPrefix(content, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// row is what a definition and an entry of a partition table have in common.
type row struct {
	Type       gpt.GUID
	Label      string
	UUID       gpt.GUID
	Attributes gpt.Attributes
}

func compare(t *testing.T, dir string) {
	list, err := repart.Load([]repart.Directory{repart.OpenDirectory(dir, "d")}, dps.X86_64)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(dir + ".raw")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, _, err := gpt.Read(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Partitions) != len(list) {
		t.Fatalf("%d definitions, systemd-repart makes %d partitions", len(list), len(table.Partitions))
	}
	for i, d := range list {
		p := table.Partitions[i]
		got, want := row{d.Type.UUID, d.Label, d.UUID, d.Attributes}, row{p.Type, p.Name, p.UUID, p.Attributes}
		if !d.HasLabel {
			got.Label = want.Label // its own rule, not one of definitions
		}
		if !d.HasUUID {
			got.UUID = want.UUID
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-systemd-repart +Load):\n%s", d.Name, diff)
		}
	}
}
