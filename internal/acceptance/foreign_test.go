package acceptance_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/imagetest"
	"sextant/internal/span"
	"sextant/internal/testenv"
	"sextant/internal/tree"
	"sextant/internal/vmtest/rootfs"
)

// foreignCase is one image that all other programs look at.
type foreignCase struct {
	name    string
	conf    string // what is not in the common part
	content *tree.Tree
	files   map[string]string // beside mkosi.conf

	sectorSize int
	confext    bool
	memory     bool // the files are to be in memory, as there are so many

	// table has a line for each partition: designator, label, what is in it and
	// how systemd means to verify it, then the attributes.
	table []string

	// change says how the file system differs from content, release file and
	// its directories apart.
	change func(*tree.Tree)
}

// epoch is later than all times in the trees, so none is changed.
var epoch = time.Unix(20_000_000_000, 0)

const foreignConf = `[Output]
Format=%s
ImageId=case
Seed=` + projectSeed + `
OutputDirectory=out
[Distribution]
Architecture=x86-64
[Content]
ExtraTrees=tree
SourceDateEpoch=20000000000
[Validation]
VerityKey=rsa.pem
VerityCertificate=rsa.crt
%s`

var (
	signedTable = []string{
		"root root-x86-64 erofs signed GUID:60",
		"root-verity root-x86-64-verity DM_verity_hash  GUID:60",
		"root-verity-sig root-x86-64-verity-sig verity_hash_signature  GUID:60",
	}
	hashTable     = []string{"root root-x86-64 erofs yes GUID:60", signedTable[1]}
	unsignedTable = []string{"root root-x86-64 erofs no GUID:59"}
)

func foreignCases() []foreignCase {
	small := func() *tree.Tree {
		b := imagetest.NewBuilder()
		b.File("usr/bin/tool", 0o755, "#!/bin/sh\n")
		return b.Tree
	}
	medium := func() *tree.Tree {
		b := imagetest.NewBuilder()
		b.Content("usr/bin/tool", 0o755, imagetest.Noise{Seed: 1, Length: 600_001})
		b.File("usr/lib/tool/keep", 0o644, "keep")
		b.File("usr/lib/tool/secret", 0o644, "drop")
		b.File("opt/tool/x", 0o644, "x")
		return b.Tree
	}
	configuration := imagetest.NewBuilder()
	configuration.File("etc/tool/config", 0o600, "a=b\n")
	configuration.Symlink("etc/tool/link", "config")
	return []foreignCase{
		{name: "corner", conf: "Verity=signed", content: imagetest.Corner(), table: signedTable},
		{name: "100000 files", conf: "Verity=signed", content: manyFiles(), table: signedTable, memory: true},
		{name: "5 GiB sparse", conf: "Verity=signed", content: hugeFile(true), table: signedTable},
		{name: "5 GiB", conf: "Verity=signed", content: hugeFile(false), table: signedTable},
		{name: "one block", conf: "Verity=signed", content: small(), table: signedTable},
		{name: "ECDSA", conf: "Verity=signed\nVerityKey=ecdsa.pem\nVerityCertificate=ecdsa.crt", content: small(), table: signedTable},
		{name: "sectors of 4096", conf: "Verity=signed\n[Output]\nSectorSize=4096", content: medium(), table: signedTable, sectorSize: 4096},
		{name: "hash", conf: "Verity=hash", content: medium(), table: hashTable},
		{name: "deferred", conf: "Verity=defer", content: medium(), table: hashTable},
		{name: "unsigned", conf: "Verity=no", content: imagetest.Corner(), table: unsignedTable},
		{name: "confext", conf: "Verity=signed", content: configuration.Tree, table: signedTable, confext: true},
		{name: "confext unsigned", conf: "Verity=no", content: configuration.Tree, table: unsignedTable, confext: true},
		usrCase(medium()),
		ownRootCase(medium()),
	}
}

// usrCase has a usr partition with sizes, block sizes, labels and a UUID of its
// own.
func usrCase(content *tree.Tree) foreignCase {
	return foreignCase{
		name: "usr partition", conf: "Verity=signed", content: content,
		files: map[string]string{
			"sysext.repart.d/10-usr.conf": "[Partition]\nType=usr\nFormat=erofs\nCopyFiles=/usr:/\nExcludeFiles=/usr/lib/tool/secret\n" +
				"Verity=data\nVerityMatchKey=u\nMinimize=best\nLabel=our-usr\nSizeMinBytes=8M\nPaddingMinBytes=3M\n",
			"sysext.repart.d/20-hash.conf":           "[Partition]\nType=usr-verity\nVerity=hash\nVerityMatchKey=u\n",
			"sysext.repart.d/20-hash.conf.d/x.conf":  "[Partition]\nVerityDataBlockSizeBytes=1024\nVerityHashBlockSizeBytes=512\nSizeMinBytes=1M\n",
			"sysext.repart.d/30-sig.conf":            "[Partition]\nType=usr-verity-sig\nVerity=signature\nVerityMatchKey=u\nUUID=11111111-2222-4333-8444-555555555555\n",
			"sysext.repart.d/30-sig.conf.d/lab.conf": "[Partition]\nLabel=our-usr-verity-sig\nFlags=0x8000000000000\n",
		},
		table: []string{
			"usr our-usr erofs signed GUID:60",
			"usr-verity usr-x86-64-verity DM_verity_hash  GUID:60",
			"usr-verity-sig our-usr-verity-sig verity_hash_signature  GUID:51,60",
		},
		change: func(t *tree.Tree) {
			usr := t.Root.Child("usr")
			usr.Child("lib").Child("tool").Remove("secret")
			usr.ModTime = epoch // the root directory of the partition is not that of the tree
			t.Root = usr
		},
	}
}

// ownRootCase has one root partition without hash tree, with all else that a
// definition can ask for.
func ownRootCase(content *tree.Tree) foreignCase {
	return foreignCase{
		name: "own root", conf: "Verity=no\n[Output]\nRepartDirectories=definitions", content: content,
		files: map[string]string{
			"definitions/root.conf": "[Partition]\nType=root\nFormat=erofs\nCopyFiles=/usr\nCopyFiles=/missing\nMakeDirectories=/usr/share/made\n" +
				"MakeSymlinks=/usr/share/made-link:../bin/tool\nLabel=plain\nUUID=99999999-2222-4333-8444-555555555555\nReadOnly=yes\nGrowFileSystem=no\n",
		},
		table: []string{"root plain erofs no GUID:60"},
		change: func(t *tree.Tree) {
			t.Root.Remove("opt")
			if _, err := t.MakeDirs("/usr/share/made", 0o755, epoch); err != nil {
				panic(err)
			}
			link := &tree.Inode{Mode: tree.TypeSymlink | 0o777, Target: "../bin/tool", ModTime: epoch}
			if err := t.Lookup("/usr/share").Put("made-link", link); err != nil {
				panic(err)
			}
		},
	}
}

// manyFiles has 100,000 files in 300 directories.
func manyFiles() *tree.Tree {
	b := imagetest.NewBuilder()
	for n := range 100_000 {
		b.File(fmt.Sprintf("usr/share/many/%03d/%06d.txt", n%300, n), 0o644, fmt.Sprintln("file", n))
	}
	return b.Tree
}

// hugeFile has a file of 5 GiB, or one that is as large but almost all holes.
func hugeFile(sparse bool) *tree.Tree {
	const g, k = 1 << 30, 1 << 10
	content := imagetest.Noise{Seed: 7, Length: 5*g + 12345}
	if sparse {
		content = imagetest.Sparse(7, 5*g+12345, span.Between(0, 64*k), span.Between(4*g-8*k, 4*g+8*k), span.Between(5*g-100*k, 5*g+12345))
	}
	b := imagetest.NewBuilder()
	b.Content("usr/share/huge", 0o644, content)
	b.File("usr/share/next", 0o644, "behind it")
	return b.Tree
}

// TestForeignReaders builds images and has everybody else look at them.
func TestForeignReaders(t *testing.T) {
	testenv.RequireRoot(t)
	for _, c := range foreignCases() {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "5 GiB" && !testenv.Long() {
				t.Skip("LEFT OUT: takes minutes and 16 GB of disk; make test-long runs it")
			}
			t.Parallel()
			d := c.build(t)
			if c.name == "one block" && d.span(d.Partitions[0]).Length != 4096 {
				t.Errorf("the file system has %d bytes, this test is about one block", d.span(d.Partitions[0]).Length)
			}
			d.checkTable(t)
			d.checkDissect(t, c)
			d.checkFileSystem(t, c)
			if c.verified() {
				root := d.checkHashTree(t)
				if len(c.table) == 3 {
					d.checkSignature(t, root)
				}
			}
		})
	}
}

func (c foreignCase) verified() bool { return len(c.table) > 1 }

func (c foreignCase) format() string {
	if c.confext {
		return "confext"
	}
	return "sysext"
}

func (c foreignCase) build(t *testing.T) *diskImage {
	t.Helper()
	dir := t.TempDir()
	if c.memory {
		dir = memoryDir(t)
	}
	fillProject(t, dir, fmt.Sprintf(foreignConf, c.format(), c.conf), c.content)
	writeFiles(t, dir, c.files)
	sextant(t, dir, "build", "--preserve-owner", "--preserve-xattrs=all", "--keep-empty-directories")
	return openImage(t, filepath.Join(dir, "out/case.raw"), max(c.sectorSize, 512))
}

// checkTable asks the programs that edit partition tables.
func (d *diskImage) checkTable(t *testing.T) {
	t.Helper()
	if out := command(t, "sgdisk", "-v", d.device); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v says:\n%s", out)
	}
	if out := command(t, "sfdisk", "-V", d.device); !strings.Contains(out, "No errors detected") {
		t.Errorf("sfdisk -V says:\n%s", out)
	}
	probed := command(t, "blkid", "-p", "-o", "export", d.device)
	for _, want := range []string{"PTTYPE=gpt", "PTUUID=" + strings.ToLower(d.ID)} {
		if !strings.Contains(probed, want) {
			t.Errorf("blkid has no %s:\n%s", want, probed)
		}
	}
}

// dissected is what systemd-dissect says.
type dissected struct {
	ImageUUID                     string
	SysextRelease, ConfextRelease []string

	UseBootableContainer                          bool
	UseSystemExtension, UseConfigurationExtension bool

	Mounts []struct {
		Designator, FsType, Verity string
		UUID                       string `json:"partition_uuid"`
		Label                      string `json:"partition_label"`
	}
}

// checkDissect asks systemd, old and new.
func (d *diskImage) checkDissect(t *testing.T, c foreignCase) {
	t.Helper()
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		args := []string{"--json=short", d.path}
		if len(c.table) == 2 { // without a signature systemd takes the word of who asks
			args = append(args, "--root-hash="+d.rootHash())
		}
		out := inside(t, release, []string{filepath.Dir(d.path)}, "systemd-dissect", args...)
		var got dissected
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("systemd-dissect of %s: %v in %q", release, err, out)
		}
		if got.UseSystemExtension == c.confext || got.UseConfigurationExtension != c.confext {
			t.Errorf("systemd %d would use the image as something else: %s", release.Systemd, out)
		}
		said := strings.Join(append(got.SysextRelease, got.ConfextRelease...), "\n") + "\n"
		if want := c.release(); said != want {
			t.Errorf("systemd %d read the release file as %q, want %q", release.Systemd, said, want)
		}
		var table []string
		for i, m := range got.Mounts {
			if i < len(d.Partitions) {
				table = append(table, strings.Join([]string{m.Designator, m.Label, m.FsType, m.Verity, d.Partitions[i].Attrs}, " "))
			}
		}
		if diff := cmp.Diff(c.table, table); diff != "" || len(d.Partitions) != len(got.Mounts) {
			t.Errorf("systemd-dissect %d and sfdisk, %d partitions (-want +got):\n%s", release.Systemd, len(d.Partitions), diff)
		}
	}
}

// release is the release file that sextant adds.
func (c foreignCase) release() string {
	prefix := strings.ToUpper(c.format())
	return fmt.Sprintf("ID=_any\n%[1]s_ID=case\n%[1]s_SCOPE=initrd system portable\nARCHITECTURE=x86-64\n", prefix)
}

// checkFileSystem asks every fsck, and compares what the kernel shows with
// what was put in.
func (d *diskImage) checkFileSystem(t *testing.T, c foreignCase) {
	t.Helper()
	data := d.Partitions[0]
	path := d.extract(t, data)
	for _, fsck := range imagetest.Tools("fsck.erofs") {
		if err := fsck.Run(t, []string{d.dir}, path); err != nil {
			t.Errorf("%s: %v", fsck.Name, err)
		}
	}
	want, err := imagetest.Dump(c.expected(t, filepath.Join(d.path, "../../tree")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := imagetest.Diff(d.dump(t, data), want); len(diff) > 0 {
		t.Errorf("the kernel shows other files:\n%s", strings.Join(diff, "\n"))
	}
}

// expected is the tree with what sextant adds to it. It is read from the disk
// again, as not every file system keeps the years before 1901.
func (c foreignCase) expected(t *testing.T, path string) *tree.Tree {
	t.Helper()
	content, err := imagetest.Scan(path)
	if err != nil {
		t.Fatal(err)
	}
	at := "/usr/lib/extension-release.d"
	if c.confext {
		at = "/etc/extension-release.d"
	}
	dir, err := content.MakeDirs(at, 0o755, epoch)
	if err != nil {
		t.Fatal(err)
	}
	file := &tree.Inode{Mode: tree.TypeRegular | 0o644, ModTime: epoch, Content: tree.Bytes(c.release())}
	file.PutXattr("user.extension-release.strict", []byte("0"))
	if err := dir.Put("extension-release.case", file); err != nil {
		t.Fatal(err)
	}
	content.Root.ModTime = epoch
	if c.change != nil {
		c.change(content)
	}
	return content
}

// rootHash puts the root hash together from the UUIDs of the first two
// partitions.
func (d *diskImage) rootHash() string {
	return strings.ToLower(strings.ReplaceAll(d.Partitions[0].UUID+d.Partitions[1].UUID, "-", ""))
}

// checkHashTree asks veritysetup.
func (d *diskImage) checkHashTree(t *testing.T) string {
	t.Helper()
	root := d.rootHash()
	command(t, "veritysetup", "verify", d.extract(t, d.Partitions[0]), d.extract(t, d.Partitions[1]), root)
	return root
}

// checkSignature asks openssl, with nothing but the certificate, as the kernel
// and systemd do.
func (d *diskImage) checkSignature(t *testing.T, root string) {
	t.Helper()
	s := d.signature(t)
	if s.RootHash != root {
		t.Errorf("root hash in the signature partition is %s, in the partition UUIDs %s", s.RootHash, root)
	}
	dir := filepath.Dir(filepath.Dir(d.path))
	writeFiles(t, d.dir, map[string]string{"hash": root, "p7s": string(s.Signature)})
	for _, name := range []string{"rsa.crt", "ecdsa.crt"} {
		certificate := filepath.Join(dir, name)
		fingerprint := command(t, "openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256")
		_, fingerprint, _ = strings.Cut(strings.TrimSpace(fingerprint), "=")
		if strings.ToLower(strings.ReplaceAll(fingerprint, ":", "")) != s.CertificateFingerprint {
			continue
		}
		command(t, "openssl", "smime", "-verify", "-binary", "-inform", "DER", "-in", filepath.Join(d.dir, "p7s"),
			"-content", filepath.Join(d.dir, "hash"), "-certfile", certificate, "-nointern", "-noverify", "-out", os.DevNull)
		return
	}
	t.Errorf("certificate fingerprint %s is not that of a test certificate", s.CertificateFingerprint)
}

// TestArchitectures compares names and type UUIDs of partitions with those that
// systemd knows, for every architecture.
func TestArchitectures(t *testing.T) {
	known, architectures := systemdTypes(t)
	if len(architectures) < 20 {
		t.Errorf("systemd-id128 names the architectures %q, want all of the specification", architectures)
	}
	dir := project(t, fmt.Sprintf(foreignConf, "sysext", "Verity=signed"), nil)
	writeFiles(t, dir, map[string]string{"tree/usr/share/x": "x"})
	for kind, files := range map[string]string{"root": "/usr", "usr": "/usr:/"} {
		writeFiles(t, dir, map[string]string{
			"definitions/1.conf": "[Partition]\nType=" + kind + "\nFormat=erofs\nCopyFiles=" + files + "\nVerity=data\nVerityMatchKey=k\n",
			"definitions/2.conf": "[Partition]\nType=" + kind + "-verity\nVerity=hash\nVerityMatchKey=k\n",
			"definitions/3.conf": "[Partition]\nType=" + kind + "-verity-sig\nVerity=signature\nVerityMatchKey=k\n",
		})
		for _, architecture := range architectures {
			sextant(t, dir, "build", "--force", "--architecture="+architecture, "--repart-directory=definitions")
			d := openImage(t, filepath.Join(dir, "out/case.raw"), 512)
			for i, suffix := range []string{"", "-verity", "-verity-sig"} {
				label := kind + "-" + architecture + suffix
				if p := d.Partitions[i]; p.Name != label || !strings.EqualFold(p.Type, known[label]) {
					t.Errorf("--architecture=%s: partition %d is %s %s, want %s %s", architecture, i+1, p.Name, p.Type, label, known[label])
				}
			}
		}
	}
}

// systemdTypes returns the UUIDs of all partition types that systemd knows by
// name, and the architectures. Of several names systemd lists its own first.
func systemdTypes(t *testing.T) (known map[string]string, architectures []string) {
	t.Helper()
	known = make(map[string]string)
	seen := make(map[string]bool)
	for line := range strings.Lines(inside(t, rootfs.Sid(), nil, "systemd-id128", "show", "--uuid", "--no-legend")) {
		f := strings.Fields(line)
		if len(f) != 2 {
			continue
		}
		known[f[0]] = f[1]
		architecture, isRoot := strings.CutPrefix(f[0], "root-")
		if isRoot && !strings.Contains(architecture, "-verity") && !seen[f[1]] {
			architectures = append(architectures, architecture)
		}
		seen[f[1]] = true
	}
	return known, architectures
}
