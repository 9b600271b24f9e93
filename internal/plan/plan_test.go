package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/dps"
	"sextant/internal/extension"
	"sextant/internal/ids"
	"sextant/internal/plan"
	"sextant/internal/repart"
	"sextant/internal/tree"
)

const release = "/usr/lib/extension-release.d/extension-release.x"

// sample is a tree with the given files.
func sample(t *testing.T, paths ...string) *tree.Tree {
	t.Helper()
	tr := tree.New()
	for _, p := range append(paths, release) {
		file := &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: tree.Bytes(p), Origin: p}
		if err := tr.Merge(p, file); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// load reads definitions out of "name.conf: text" pairs.
func load(t *testing.T, files map[string]string) []repart.Definition {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte("[Partition]\n" + text + "\n"), Mode: 0o644}
	}
	list, err := repart.Load([]repart.Directory{{Name: "test.repart.d", FS: fsys}}, dps.X86_64)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func options(mode plan.Mode) plan.Options {
	return plan.Options{
		Extension: extension.Identity{Class: extension.Sysext, ID: "x", Architecture: "x86-64"},
		Seed:      ids.DefaultSeed("sysext", "x"), Time: time.Unix(315532800, 0), SectorSize: 512, Verity: mode,
	}
}

// signed are definitions of a signed root partition, with more settings for
// each.
func signed(data, hash, sig string) map[string]string {
	return map[string]string{
		"10-root.conf": "Type=root\nFormat=erofs\nCopyFiles=/usr/\nVerity=data\nVerityMatchKey=k\n" + data,
		"20-hash.conf": "Type=root-verity\nVerity=hash\nVerityMatchKey=k\n" + hash,
		"30-sig.conf":  "Type=root-verity-sig\nVerity=signature\nVerityMatchKey=k\n" + sig,
	}
}

func spans(p *plan.Plan) string {
	var list []string
	for _, part := range p.Partitions {
		list = append(list, fmt.Sprintf("%s %s", part.Label, part.Span))
	}
	return strings.Join(list, ", ")
}

func TestPlaces(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name            string
		data, hash, sig string
		mode            plan.Mode
		want            string
		size            int64
	}{
		{"exactly as needed", "", "", "", plan.Signed,
			"root-x86-64 1048576-1052672, root-x86-64-verity 1052672-1056768, root-x86-64-verity-sig 1056768-1073152", 1073152 + 20480},
		{"deferred keeps the space", "", "", "", plan.Deferred,
			"root-x86-64 1048576-1052672, root-x86-64-verity 1052672-1056768, root-x86-64-verity-sig 1056768-1073152", 1073152 + 20480},
		{"without signature", "", "", "", plan.Unsigned,
			"root-x86-64 1048576-1052672, root-x86-64-verity 1052672-1056768", 1056768 + 20480},
		{"data alone", "", "", "", plan.Unprotected, "root-x86-64 1048576-1052672", 1052672 + 20480},
		{"larger than needed", "SizeMinBytes=1M", "", "", plan.Unsigned,
			"root-x86-64 1048576-2097152, root-x86-64-verity 2097152-2101248", 2*mib + 4096 + 20480},
		{"padding", "PaddingMinBytes=8K", "Label=tree", "", plan.Unsigned,
			"root-x86-64 1048576-1052672, tree 1060864-1064960", 1064960 + 20480},
		{"labels of one name", "Label=root-x86-64-verity", "", "", plan.Unsigned,
			"root-x86-64-verity 1048576-1052672, root-x86-64-verity-2 1052672-1056768", 1056768 + 20480},
	} {
		p, err := plan.New(sample(t, "/usr/bin/a"), load(t, signed(c.data, c.hash, c.sig)), options(c.mode))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := spans(p); got != c.want {
			t.Errorf("%s: partitions at %s, want %s", c.name, got, c.want)
		}
		if p.Size != c.size {
			t.Errorf("%s: size %d, want %d", c.name, p.Size, c.size)
		}
	}
}

func TestContents(t *testing.T) {
	definitions := load(t, map[string]string{
		"10-root.conf": "Type=root\nFormat=erofs\nCopyFiles=/usr/\nCopyFiles=/nothing:/somewhere\nExcludeFiles=/usr/bin/b\nExcludeFiles=/usr/share/\n" +
			"MakeDirectories=/srv/x\nMakeSymlinks=/bin:usr/bin",
	})
	p, err := plan.New(sample(t, "/usr/bin/a", "/usr/bin/b", "/usr/share/doc/c", "/opt/d"), definitions, options(plan.Unprotected))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	p.Partitions[0].Data.Tree.Each(func(path string, node *tree.Inode) {
		got = append(got, node.Mode.Kind()+" "+path)
	})
	want := []string{
		"dir /", "symlink /bin", "dir /srv", "dir /srv/x", "dir /usr", "dir /usr/bin", "file /usr/bin/a", "dir /usr/lib",
		"dir /usr/lib/extension-release.d", "file " + release, "dir /usr/share",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tree of the partition (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/opt/d"}, p.LeftOut); diff != "" {
		t.Errorf("LeftOut (-want +got):\n%s", diff)
	}
}

func TestBlockSizes(t *testing.T) {
	files := signed("", "VerityDataBlockSizeBytes=1024\nVerityHashBlockSizeBytes=512", "")
	p, err := plan.New(sample(t, "/usr/bin/a"), load(t, files), options(plan.Signed))
	if err != nil {
		t.Fatal(err)
	}
	params := p.Partitions[1].Hash.Params
	if params.DataBlockSize != 1024 || params.HashBlockSize != 512 || params.DataBlocks != 4 {
		t.Errorf("data blocks %d of %d bytes, hash blocks of %d; want 4 of 1024, 512", params.DataBlocks, params.DataBlockSize, params.HashBlockSize)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, definition, want string }{
		{"too large", "Type=root\nFormat=erofs\nCopyFiles=/usr/\nSizeMaxBytes=4K", "more than SizeMaxBytes=4096"},
		{"no release file", "Type=root\nFormat=erofs\nCopyFiles=/opt/", "leave out " + release},
		{"usr at the wrong place", "Type=usr\nFormat=erofs\nCopyFiles=/usr/", "leave out " + release},
		{"conflict", "Type=root\nFormat=erofs\nCopyFiles=/usr/\nMakeSymlinks=/usr/bin:x", "MakeSymlinks=/usr/bin:x"},
	} {
		big := strings.Repeat("/usr/share/long/name", 10)
		_, err := plan.New(sample(t, "/usr/bin/a", big, big+"2", big+"3"), load(t, map[string]string{"10.conf": c.definition}), options(plan.Unprotected))
		if c.name == "too large" {
			tr := sample(t, "/usr/bin/a")
			if err := tr.Merge("/usr/big", &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: tree.Bytes(make([]byte, 9000))}); err != nil {
				t.Fatal(err)
			}
			_, err = plan.New(tr, load(t, map[string]string{"10.conf": c.definition}), options(plan.Unprotected))
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: New = %v, want %q", c.name, err, c.want)
		}
	}
}

func TestUsrPartition(t *testing.T) {
	definition := "Type=usr\nFormat=erofs\nCopyFiles=/usr/:/"
	p, err := plan.New(sample(t, "/usr/bin/a"), load(t, map[string]string{"10.conf": definition}), options(plan.Unprotected))
	if err != nil {
		t.Fatal(err)
	}
	if p.Partitions[0].Data.Tree.Lookup("/bin/a") == nil {
		t.Error("a usr partition lacks /bin/a")
	}
	if got := p.Partitions[0].Definition.Attributes.String(); got != "growfs" {
		t.Errorf("attributes = %s, want growfs", got)
	}
}
