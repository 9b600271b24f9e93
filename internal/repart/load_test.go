package repart_test

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/ini"
	"sextant/internal/repart"
)

// directory makes a directory of files from "-- name --" parts, as in txtar.
func directory(name, text string) repart.Directory {
	files := fstest.MapFS{}
	for part := range strings.SplitSeq("\n"+text, "\n-- ") {
		if path, content, found := strings.Cut(part, " --"); found {
			files[path] = &fstest.MapFile{Data: []byte(strings.TrimPrefix(content, "\n")), Mode: 0o644}
		}
	}
	return repart.Directory{Name: name, FS: files}
}

// root is the least that a partition with files needs.
const root = "[Partition]\nType=root\nFormat=erofs\nCopyFiles=/usr\n"

func mustLoad(t *testing.T, dirs ...repart.Directory) []repart.Definition {
	t.Helper()
	list, err := repart.Load(dirs, dps.X86_64)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestBuiltin(t *testing.T) {
	for _, c := range []struct {
		format string
		verity bool
		copies []string
		names  []string
		bits   []gpt.Attributes
	}{
		{"sysext", true, []string{"/opt", "/usr"}, []string{"root-x86-64", "root-x86-64-verity", "root-x86-64-verity-sig"},
			[]gpt.Attributes{gpt.ReadOnly, gpt.ReadOnly, gpt.ReadOnly}},
		{"sysext", false, []string{"/opt", "/usr"}, []string{"root-x86-64"}, []gpt.Attributes{gpt.GrowFS}},
		{"confext", true, []string{"/etc"}, []string{"root-x86-64", "root-x86-64-verity", "root-x86-64-verity-sig"},
			[]gpt.Attributes{gpt.ReadOnly, gpt.ReadOnly, gpt.ReadOnly}},
		{"confext", false, []string{"/etc"}, []string{"root-x86-64"}, []gpt.Attributes{gpt.GrowFS}},
	} {
		var copies, names []string
		var bits []gpt.Attributes
		for _, d := range mustLoad(t, repart.Builtin(c.format, c.verity)) {
			for _, f := range d.Copies {
				copies = append(copies, f.Source)
			}
			names = append(names, d.Type.Name)
			bits = append(bits, d.Attributes)
		}
		if diff := cmp.Diff([]any{c.copies, c.names, c.bits}, []any{copies, names, bits}); diff != "" {
			t.Errorf("Builtin(%s, %v) (-want +got):\n%s", c.format, c.verity, diff)
		}
	}
}

func TestLoadEverySetting(t *testing.T) {
	dir := directory("r", `-- 10-usr.conf --
# a comment
; another
[Partition]
Type=usr-arm64
Label=my %a 100%% é
UUID=0123456789ABCDEF0123456789abcdef
Format=erofs
CopyFiles=/usr/
CopyFiles=/a\x3ab:/c//d/./
CopyFiles=/%a:/x:fsverity=off
ExcludeFiles=/usr/share/doc/ "/usr/with space" \
    /usr/lib/%%
MakeDirectories=/etc /var/lib
MakeDirectories=/etc
MakeSymlinks=/bin:usr/bin /lib:%a
Minimize=guess
SizeMinBytes=1M
SizeMaxBytes=1.5G 4097
PaddingMinBytes=4097
PaddingMaxBytes=4097
Weight=0x10
Verity=data
VerityMatchKey=u
ReadOnly=no
NoAuto=yes
Flags=0x1000000000000005
SplitName=%t.%n
Priority=0
Encrypt=off
FactoryReset=no
[X-Mine]
Anything=goes
-- 20-usr-verity.conf --
[Partition]
Type=usr-arm64-verity
Verity=hash
VerityMatchKey=u
VerityDataBlockSizeBytes=4K
VerityHashBlockSizeBytes=512
UUID=null
Label=
GrowFileSystem=auto
SplitName=-
`)
	usr, _ := dps.TypeFor(dps.Usr, dps.ARM64)
	verity, _ := dps.TypeFor(dps.UsrVerity, dps.ARM64)
	want := []repart.Definition{{
		Name: "10-usr", At: ini.Position{File: "r/10-usr.conf"}, Type: usr, Label: "my x86-64 100% é", HasLabel: true,
		UUID: gpt.MustParseGUID("01234567-89ab-cdef-0123-456789abcdef"), HasUUID: true, Format: "erofs",
		Copies:       []repart.Copy{{Source: "/usr", Target: "/usr"}, {Source: "/a:b", Target: "/c/d"}, {Source: "/x86-64", Target: "/x"}},
		ExcludeFiles: []string{"/usr/share/doc/", "/usr/with space", "/usr/lib/%"},
		MakeDirs:     []string{"/etc", "/var/lib"},
		MakeSymlinks: []repart.Symlink{{Path: "/bin", Target: "usr/bin"}, {Path: "/lib", Target: "%a"}},
		Minimize:     repart.MinimizeGuess,
		SizeMin:      1 << 20, SizeMax: 3<<29 + 8192, PaddingMin: 4096, PaddingMax: 8192, Weight: 16,
		Verity: repart.VerityData, VerityMatchKey: "u",
		Attributes: 5 | gpt.NoAuto | gpt.GrowFS, SplitName: "%t.%n",
	}, {
		Name: "20-usr-verity", At: ini.Position{File: "r/20-usr-verity.conf"}, Type: verity, HasLabel: true, HasUUID: true,
		Minimize: repart.MinimizeOff, SizeMin: math.MaxUint64, SizeMax: math.MaxUint64, PaddingMin: math.MaxUint64, PaddingMax: math.MaxUint64,
		Weight: 1000, Verity: repart.VerityHash, VerityMatchKey: "u", VerityDataBlockSize: 4096, VerityHashBlockSize: 512,
		Attributes: gpt.ReadOnly,
	}}
	got := mustLoad(t, dir)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	if suffix, err := got[0].SplitSuffix(3, gpt.GUID{}); err != nil || suffix != "usr-arm64.3" {
		t.Errorf("SplitSuffix = %q, %v", suffix, err)
	}
	if s := got[0].Sibling(got, repart.VerityHash); s != &got[1] {
		t.Errorf("Sibling(hash) = %v", s)
	}
	if s := got[0].Sibling(got, repart.VeritySignature); s != nil {
		t.Errorf("Sibling(signature) = %v", s)
	}
}

func TestLoadOrderAndOverrides(t *testing.T) {
	first := directory("first", `-- 20-b.conf --
`+root+`Label=first b
-- 30-masked.conf --
-- 10-a.conf.d/50-x.conf --
[Partition]
Label=x of first
ExcludeFiles=/two
-- 10-a.conf.d/60-masked.conf --
-- .hidden.conf --
nonsense
-- README --
nonsense
-- 40-dir.conf/file --
nonsense
`)
	second := directory("second", `-- 20-b.conf --
`+root+`Label=second b
-- 30-masked.conf --
`+root+`
-- 10-a.conf --
`+root+`Label=a
ExcludeFiles=/one
-- 10-a.conf.d/50-x.conf --
[Partition]
Label=x of second
-- 10-a.conf.d/60-masked.conf --
[Partition]
Label=masked
-- 10-a.conf.d/55-y.conf --
[Partition]
ExcludeFiles=
ExcludeFiles=/three
`)
	var got []string
	for _, d := range mustLoad(t, first, second) {
		got = append(got, d.Name+" "+d.Label+" "+strings.Join(d.ExcludeFiles, ","))
	}
	want := []string{"10-a x of first /three", "20-b first b "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
}

// TestLoadFromDisk reads real files: a link to /dev/null masks, a link to
// another definition is a second partition.
func TestLoadFromDisk(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(b, "10-a.conf"), root)
	write(filepath.Join(b, "20-b.conf"), root)
	for link, target := range map[string]string{filepath.Join(a, "20-b.conf"): "/dev/null", filepath.Join(b, "30-c.conf"): "10-a.conf"} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, d := range mustLoad(t, repart.OpenDirectory(a, "a"), repart.OpenDirectory(b, "b")) {
		got = append(got, d.At.String())
	}
	if diff := cmp.Diff([]string{"b/10-a.conf", "b/30-c.conf"}, got); diff != "" {
		t.Errorf("Load (-want +got):\n%s", diff)
	}
	if err := os.Symlink("nowhere", filepath.Join(a, "05-x.conf")); err != nil {
		t.Fatal(err)
	}
	_, err := repart.Load([]repart.Directory{repart.OpenDirectory(a, "a")}, dps.X86_64)
	if want := "a/05-x.conf: file does not exist"; err == nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a dangling link = %v, want %s", err, want)
	}
}

// TestLoadRefuses gives lines of r/10-x.conf and the error.
func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[Partition]\n", "r/10-x.conf: Type= is missing"},
		{"Type=root\n", "r/10-x.conf:1: Type= is outside of any section"},
		{root + "[Foo]\n", "r/10-x.conf:5: unknown section [Foo]"},
		{root + "Foo=bar\n", "r/10-x.conf:5: unknown setting Foo="},
		{root + "sizeminbytes=1\n", "r/10-x.conf:5: unknown setting sizeminbytes="},
		{root + "Priority=1\n", "r/10-x.conf:5: Priority=1: a partition is as large as what is in it, there is no space to share out"},
		{root + "Encrypt=tpm2\n", "r/10-x.conf:5: Encrypt=tpm2: sextant encrypts nothing"},
		{root + "CopyBlocks=auto\n", "r/10-x.conf:5: CopyBlocks=auto: sextant copies files, not blocks"},
		{root + "Compression=zstd\n", "r/10-x.conf:5: Compression=zstd: sextant does not write compressed file systems"},
		{root + "ExcludeFilesTarget=/x\n", "r/10-x.conf:5: ExcludeFilesTarget=/x: sextant excludes by the path in the tree, see ExcludeFiles="},
		{root + "Type=esp\n", "r/10-x.conf:5: Type=esp: an extension has root and usr partitions with their hash trees and signatures only"},
		{root + "Type=root-foo\n", "r/10-x.conf:5: Type=root-foo: not a partition type"},
		{root + "Type=0fc63daf-8483-4772-8e79-3d69d8477de4\n", "r/10-x.conf:5: Type=0fc63daf-8483-4772-8e79-3d69d8477de4: an extension has root and usr partitions with their hash trees and signatures only"},
		{root + "Format=squashfs\n", "r/10-x.conf:5: Format=squashfs: sextant writes erofs only, so far"},
		{root + "Format=\n", "r/10-x.conf:5: Format=: not a file system that sextant writes"},
		{"[Partition]\nType=root\nCopyFiles=/usr\n", "r/10-x.conf: Format= is missing"},
		{"[Partition]\nType=root\nFormat=erofs\n", "r/10-x.conf:3: Format=erofs without any CopyFiles=, MakeDirectories= or MakeSymlinks="},
		{root + "CopyFiles=usr\n", `r/10-x.conf:5: CopyFiles=usr: path "usr" is not absolute`},
		{root + "CopyFiles=\n", `r/10-x.conf:5: CopyFiles=: path "" is not absolute`},
		{root + "CopyFiles=/usr:\n", `r/10-x.conf:5: CopyFiles=/usr:: path "" is not absolute`},
		{root + "CopyFiles=/usr/../etc\n", `r/10-x.conf:5: CopyFiles=/usr/../etc: path "/usr/../etc" climbs with ..`},
		{root + "CopyFiles=/a:/b:fsverity=copy\n", "r/10-x.conf:5: CopyFiles=/a:/b:fsverity=copy: sextant does not do the option fsverity=copy"},
		{root + "CopyFiles=/a:/b::/c\n", "r/10-x.conf:5: CopyFiles=/a:/b::/c: more than three parts"},
		{root + `CopyFiles=/a\q` + "\n", `r/10-x.conf:5: CopyFiles=/a\q: an unknown escape`},
		{root + `CopyFiles=/a\x00` + "\n", `r/10-x.conf:5: CopyFiles=/a\x00: an unknown escape`},
		{root + "CopyFiles=/%v\n", "r/10-x.conf:5: CopyFiles=/%v: %v depends on the machine that builds"},
		{root + "Label=%w\n", "r/10-x.conf:5: Label=%w: %w comes from the os-release of the system, an extension has none"},
		{root + "Label=%Z\n", "r/10-x.conf:5: Label=%Z: unknown specifier %Z"},
		{root + "Label=" + strings.Repeat("x", 37) + "\n", "r/10-x.conf:5: Label=" + strings.Repeat("x", 37) + ": the label has 37 UTF-16 units, a partition table holds 36"},
		{root + "UUID=x\n", "r/10-x.conf:5: UUID=x: neither a UUID nor null"},
		{root + "ExcludeFiles=\"/a\n", "r/10-x.conf:5: ExcludeFiles=\"/a: a quote or a backslash without an end"},
		{root + "MakeSymlinks=/a\n", "r/10-x.conf:5: MakeSymlinks=/a: /a is not a path and a target"},
		{root + "MakeDirectories=/" + strings.Repeat("d", 256) + "\n", `r/10-x.conf:5: MakeDirectories=/` + strings.Repeat("d", 256) + `: path "/` + strings.Repeat("d", 256) + `" has a name with 256 bytes, Linux allows 255`},
		{root + "Minimize=maybe\n", "r/10-x.conf:5: Minimize=maybe: not one of off, best, guess"},
		{root + "Weight=1000001\n", "r/10-x.conf:5: Weight=1000001: more than 1000000"},
		{root + "Flags=1_0\n", "r/10-x.conf:5: Flags=1_0: not a number"},
		{root + "ReadOnly=perhaps\n", "r/10-x.conf:5: ReadOnly=perhaps: not a boolean"},
		{root + "SizeMinBytes=\n", "r/10-x.conf:5: SizeMinBytes=: not a size"},
		{root + "SizeMinBytes=2M\nSizeMaxBytes=1M\n", "r/10-x.conf:5: SizeMinBytes= is larger than SizeMaxBytes="},
		{root + "PaddingMinBytes=2M\nPaddingMaxBytes=1M\n", "r/10-x.conf:5: PaddingMinBytes= is larger than PaddingMaxBytes="},
		{root + "SplitName=a/b\n", "r/10-x.conf:5: SplitName=a/b: not a part of a file name"},
		{root + "SplitName=%H\n", "r/10-x.conf:5: SplitName=%H: %H is not one of the specifiers of SplitName="},
		{root + "Verity=maybe\n", "r/10-x.conf:5: Verity=maybe: not one of off, data, hash, signature"},
		{root + "Verity=data\n", "r/10-x.conf:5: Verity=data needs VerityMatchKey="},
		{root + "VerityMatchKey=x\n", "r/10-x.conf:5: VerityMatchKey= needs Verity="},
		{root + "Verity=hash\n", "r/10-x.conf:5: Verity=hash goes without Format=, CopyFiles=, MakeDirectories= and MakeSymlinks="},
		{root + "VerityDataBlockSizeBytes=4K\n", "r/10-x.conf:5: block sizes need Verity=hash"},
		{root + "VerityDataBlockSizeBytes=8K\n", "r/10-x.conf:5: VerityDataBlockSizeBytes=8K: not one of 512, 1024, 2048, 4096"},
		{"[Partition]\nType=root\nVerity=hash\nVerityMatchKey=r\n", "r/10-x.conf:3: Type=root-x86-64 does not go with Verity=hash"},
		{"[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=r\nSizeMinBytes=1M\n", "r/10-x.conf:3: Verity=signature goes without SizeMinBytes= and SizeMaxBytes="},
		{"[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=r\nMinimize=yes\n", "r/10-x.conf:5: Minimize= needs Format= or Verity=hash"},
		{"[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=r\nGrowFileSystem=no\n", "r/10-x.conf:5: partitions of type root-x86-64-verity have no GrowFileSystem flag"},
		{"[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=r\n", "r/10-x.conf: no partition with Verity=data and VerityMatchKey=r"},
		{root + "Verity=data\nVerityMatchKey=r\n", "r/10-x.conf: no partition with Verity=hash and VerityMatchKey=r"},
	} {
		_, err := repart.Load([]repart.Directory{directory("r", "-- 10-x.conf --\n"+c.text)}, dps.X86_64)
		var fault *ini.Fault
		if !errors.As(err, &fault) || err.Error() != c.want {
			t.Errorf("Load(%q) =\n %v, want\n %s", c.text, err, c.want)
		}
	}
}

func TestLoadRefusesSets(t *testing.T) {
	const (
		data = "-- 10-data.conf --\n" + root + "Verity=data\nVerityMatchKey=r\nMinimize=best\n"
		hash = "-- 20-hash.conf --\n[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=r\nMinimize=best\n"
		sig  = "-- 30-sig.conf --\n[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=r\n"
	)
	mustLoad(t, directory("r", data+hash+sig))
	mustLoad(t, directory("r", data+hash))
	for _, c := range []struct{ text, want string }{
		{"", "r: no *.conf file with a partition"},
		{"-- 10-x.conf --\n", "r: no *.conf file with a partition"},
		{data + sig, "r/10-data.conf: no partition with Verity=hash and VerityMatchKey=r"},
		{data + hash + strings.ReplaceAll(hash, "20-hash", "25-hash"), "r/25-hash.conf: a second partition with Verity=hash and VerityMatchKey=r"},
		{data + hash + sig + strings.ReplaceAll(sig, "30-sig", "35-sig"), "r/35-sig.conf: a second partition with Verity=signature and VerityMatchKey=r"},
		{data + hash + strings.ReplaceAll(data, "10-data", "15-data"), "r/15-data.conf: a second partition with Verity=data and VerityMatchKey=r"},
		{data + strings.ReplaceAll(hash, "root-verity", "usr-verity"), "r/20-hash.conf: Type=usr-x86-64-verity does not belong to Type=root-x86-64 of r/10-data.conf"},
		{data + strings.ReplaceAll(hash, "root-verity", "root-arm64-verity"), "r/20-hash.conf: Type=root-arm64-verity does not belong to Type=root-x86-64 of r/10-data.conf"},
		{strings.ReplaceAll(data, "Minimize=best\n", "") + hash, "r/20-hash.conf: Minimize= of a hash tree needs Minimize= of its data partition"},
	} {
		_, err := repart.Load([]repart.Directory{directory("r", c.text)}, dps.X86_64)
		if err == nil || err.Error() != c.want {
			t.Errorf("Load(%q) =\n %v, want\n %s", c.text, err, c.want)
		}
	}
	if _, err := repart.Load([]repart.Directory{repart.OpenDirectory("/nonexistent", "n")}, dps.X86_64); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of a missing directory = %v", err)
	}
}

func TestTypesOfEveryArchitecture(t *testing.T) {
	for _, a := range dps.Architectures() {
		for _, role := range []string{"root", "usr"} {
			text := "-- 1.conf --\n[Partition]\nType=" + role + "\nFormat=erofs\nCopyFiles=/usr\nVerity=data\nVerityMatchKey=x\n" +
				"-- 2.conf --\n[Partition]\nType=" + role + "-" + string(a) + "-verity\nVerity=hash\nVerityMatchKey=x\n" +
				"-- 3.conf --\n[Partition]\nType=" + role + "-verity-sig\nVerity=signature\nVerityMatchKey=x\n"
			list, err := repart.Load([]repart.Directory{directory("r", text)}, a)
			if err != nil {
				t.Errorf("%s on %s: %v", role, a, err)
				continue
			}
			for _, d := range list {
				if d.Type.Architecture != a || d.Type.UUID.IsZero() {
					t.Errorf("%s on %s: %v", role, a, d.Type)
				}
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "4096": 4096, "4K": 4096, "1G 512M": 3 << 29, "1.5K": 0, "8.M": 8 << 20, "1E": 1 << 60, "4096B": 4096,
		" 4 K ": 4096, "1M4096": 1<<20 + 4096, "0.0009765625G": 1 << 20,
	} {
		list, err := repart.Load([]repart.Directory{directory("r", "-- x.conf --\n"+root+"SizeMinBytes="+text+"\n")}, dps.X86_64)
		if err != nil || list[0].SizeMin != want {
			t.Errorf("SizeMinBytes=%s: %v %v, want %d", text, list, err, want)
		}
	}
	for _, text := range []string{"K", "1KK", "1K 1M", "1Ki", "-1", "+1", "1..5", "16E", "1x", ".5K", "99999999999999999999", "15E 15P 1E"} {
		if list, err := repart.Load([]repart.Directory{directory("r", "-- x.conf --\n"+root+"SizeMinBytes="+text+"\n")}, dps.X86_64); err == nil {
			t.Errorf("SizeMinBytes=%s is taken as %d", text, list[0].SizeMin)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(root + "Label=%a\nExcludeFiles=\"/a b\" /c\\ d/\nCopyFiles=/a\\x3ab:/c:fsverity=off\nSizeMinBytes=1.5G 3\nFlags=0x1\n")
	f.Add("[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=r\nUUID=null\nSplitName=%U%%\nMakeSymlinks=/a:b\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := repart.Load([]repart.Directory{{Name: "r", FS: fstest.MapFS{"x.conf": {Data: []byte(text), Mode: 0o644}}}}, dps.X86_64)
		if (err == nil) != (list != nil) {
			t.Fatalf("Load = %v, %v", list, err)
		}
		for _, d := range list {
			checkDefinition(t, d)
		}
	})
}

// checkDefinition checks what every definition promises.
func checkDefinition(t *testing.T, d repart.Definition) {
	t.Helper()
	paths := append([]string{}, d.MakeDirs...)
	for _, c := range d.Copies {
		paths = append(paths, c.Source, c.Target)
	}
	for _, s := range d.MakeSymlinks {
		paths = append(paths, s.Path)
	}
	for _, p := range paths {
		if p != filepath.Clean(p) || !filepath.IsAbs(p) {
			t.Errorf("path %q", p)
		}
	}
	for _, n := range []uint64{d.SizeMin, d.SizeMax, d.PaddingMin, d.PaddingMax} {
		if n != repart.Unset && n%4096 != 0 {
			t.Errorf("size %d", n)
		}
	}
	if _, err := d.SplitSuffix(0, gpt.GUID{}); err != nil {
		t.Error(err)
	}
}
