package inspect_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/dps"
	"sextant/internal/format/erofs"
	"sextant/internal/format/gpt"
	"sextant/internal/image"
	"sextant/internal/imagetest"
	"sextant/internal/inspect"
	"sextant/internal/tree"
)

// file writes an image file.
func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// fileSystem returns the bytes of an EROFS.
func fileSystem(t *testing.T, files *tree.Tree) []byte {
	t.Helper()
	layout, err := erofs.Plan(files, erofs.Options{BuildTime: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(io.NewSectionReader(layout.Open(), 0, layout.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// disk puts contents into partitions of the given roles.
func disk(t *testing.T, roles []dps.Designator, contents ...[]byte) []byte {
	t.Helper()
	const size = 8 << 20
	table, err := gpt.New(size, 512)
	if err != nil {
		t.Fatal(err)
	}
	table.DiskGUID = gpt.GUID{1}
	at := int64(1 << 20)
	for n, role := range roles {
		kind, ok := dps.TypeFor(role, dps.Native())
		if !ok {
			t.Fatalf("no type for %s", role)
		}
		length := int64(len(contents[n])+4095) / 4096 * 4096
		table.Partitions = append(table.Partitions, gpt.Partition{
			Type: kind.UUID, UUID: gpt.GUID{2, byte(n)}, First: uint64(at / 512), Last: uint64((at+length)/512 - 1), Name: string(role),
		})
		at += length
	}
	image := &memory{make([]byte, size)}
	if err := gpt.Write(image, size, table); err != nil {
		t.Fatal(err)
	}
	for n, p := range table.Partitions {
		copy(image.b[p.First*512:], contents[n])
	}
	return image.b
}

type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) { return copy(m.b[off:], p), nil }

func look(t *testing.T, path string) *inspect.Inspection {
	t.Helper()
	m, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	i, err := inspect.Image(m, true)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// TestUsrAndRoot has release files in a usr partition, beside a root.
func TestUsrAndRoot(t *testing.T) {
	root, usr := imagetest.NewBuilder(), imagetest.NewBuilder()
	root.File("etc/hostname", 0o644, "box\n")
	root.File("etc/machine-id", 0o444, "0123456789abcdef0123456789abcdef\n")
	root.File("sbin/init", 0o755, "x")
	usr.File("lib/os-release", 0o644, "ID=x\nID=y\nPORTABLE_PREFIXES=a\n")
	usr.File("lib/initrd-release", 0o644, "ID=y\n")
	usr.File("lib/extension-release.d/extension-release.aaa", 0o644, "ID=_any\n")
	usr.File("lib/extension-release.d/extension-release.box", 0o644, "ID=_any\nSYSEXT_SCOPE=initrd\n")
	i := look(t, file(t, "box_2.raw", disk(t, []dps.Designator{dps.Root, dps.Usr, dps.ESP}, fileSystem(t, root.Tree), fileSystem(t, usr.Tree), []byte("x"))))

	want := inspect.Metadata{
		Hostname: "box", MachineID: "0123456789abcdef0123456789abcdef",
		OSRelease: []string{"ID=y", "PORTABLE_PREFIXES=a"}, InitrdRelease: []string{"ID=y"},
		SysextRelease: []string{"ID=_any", "SYSEXT_SCOPE=initrd"},
		Releases: []inspect.Release{
			{Class: "sysext", Name: "aaa", Fields: []string{"ID=_any"}},
			{Class: "sysext", Name: "box", Fields: []string{"ID=_any", "SYSEXT_SCOPE=initrd"}},
		},
	}
	if diff := cmp.Diff(want, i.Metadata, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".hasInit" }, cmp.Ignore())); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	uses := inspect.Uses{BootableUEFI: true, BootableContainer: true, Initrd: true, PortableService: true, InitrdSystemExtension: true}
	if diff := cmp.Diff(uses, i.Uses); diff != "" {
		t.Errorf("uses (-want +got):\n%s", diff)
	}
	if i.Files.Count != 12 || i.Files.Kinds["file"] != 7 {
		t.Errorf("files = %+v, want 12 names and 7 files", i.Files)
	}
}

// TestDirectory inspects a directory, with a link out of it where a release
// file should be.
func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "settings")
	releases := filepath.Join(dir, "etc/extension-release.d")
	if err := os.MkdirAll(releases, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(releases, "extension-release.settings"), []byte("ID=_any\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "etc/hostname")); err != nil {
		t.Fatal(err)
	}
	i := look(t, dir)
	if i.Kind != "directory" || !i.ConfigurationExtension || !i.PortableConfiguration || i.SystemExtension {
		t.Errorf("inspection = %+v, want a confext for systems and portable services", i)
	}
	if i.Hostname != "" {
		t.Errorf("hostname %q came from outside of the directory", i.Hostname)
	}
}

// TestBroken has a file system, a hash tree and a signature of garbage: each is
// told where it stands, and the rest too.
func TestBroken(t *testing.T) {
	garbage := bytes.Repeat([]byte("garbage "), 2048)
	hash, _ := dps.Root.Verity()
	sig, _ := dps.Root.VeritySig()
	path := file(t, "broken.raw", disk(t, []dps.Designator{dps.Root, hash, sig}, garbage, garbage, garbage))
	m, err := image.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	i, err := inspect.Image(m, false)
	if err != nil {
		t.Fatal(err)
	}
	v := i.Volumes[0]
	for _, problem := range []string{v.FileSystem.Problem, v.Verity.Problem, v.Signature.Problem} {
		if problem == "" {
			t.Errorf("volume = %+v, want problems in all of it", v)
		}
	}
	var out strings.Builder
	if err := inspect.Bytes(&out, m); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"== primary header", "#### partition 1 (root-", "signature partition"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("Bytes prints no %q", want)
		}
	}
}

func TestMap(t *testing.T) {
	part := func(n int, offset, size int64) inspect.Part {
		return inspect.Part{Number: n, Range: inspect.Range{Offset: offset, Size: size}}
	}
	for _, test := range []struct {
		name string
		i    inspect.Inspection
		want string
	}{
		{"none", inspect.Inspection{Size: 100}, ""},
		{"to scale", inspect.Inspection{Size: 1000, Partitions: []inspect.Part{part(1, 100, 200), part(2, 300, 600)}}, `
+---+-------+----------------------+---+
| t |   1   |          2           | t |
+---+-------+----------------------+---+
`},
		{"too small to see", inspect.Inspection{Size: 1 << 40, Partitions: []inspect.Part{part(12, 1, 1), part(3, 2, 1)},
			Free: []inspect.Range{{Offset: 3, Size: 1<<40 - 4}}}, `
+-+--+-+-----------------------------+-+
|t|12|3|.............................|t|
+-+--+-+-----------------------------+-+
`},
	} {
		if got := test.i.Map(40); got != strings.TrimPrefix(test.want, "\n") {
			t.Errorf("%s: Map(40) =\n%swant%s", test.name, got, test.want)
		}
	}
	var many inspect.Inspection
	for n := range 200 {
		many.Partitions = append(many.Partitions, part(n+1, int64(n), 1))
	}
	many.Size = 200
	lines := strings.Split(many.Map(40), "\n")
	if len(lines) != 4 || len(lines[0]) != len(lines[1]) || !slices.Equal(lines[:1], lines[2:3]) {
		t.Errorf("Map of 200 partitions is no box:\n%s", many.Map(40))
	}
}

// TestBeside has a root hash and a hash tree beside a bare file system, one of
// them with a name that systemd does not look for.
func TestBeside(t *testing.T) {
	path := file(t, "tool.raw", fileSystem(t, imagetest.NewBuilder().Tree))
	for suffix, text := range map[string]string{".roothash": "00ff\n", ".roothash.p7s": "x", ".raw.verity": ""} {
		if err := os.WriteFile(strings.TrimSuffix(path, ".raw")+suffix, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := &inspect.Beside{RootHash: "00ff", From: "tool.roothash", Signature: "tool.roothash.p7s", Ignored: []string{"tool.raw.verity"}}
	if diff := cmp.Diff(want, look(t, path).Beside); diff != "" {
		t.Errorf("beside (-want +got):\n%s", diff)
	}
}
