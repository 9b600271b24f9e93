package discover_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/discover"
	"sextant/internal/extension"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// row is what systemd-sysext list --json prints for one extension.
type row struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Path string `json:"path"`
	Time *int64 `json:"time"`
}

// stems, ends and links are what names of the matrix are made of.
var (
	stems = []string{"a", "b", "foo_1.2", "n+1", ".hidden", ".#lock", ".sysupdate.x", "sp ace", "c\x01", "bad\xff", "\u0085c1", "", ".", "k.sysext", "k.confext", "x.raw", "x.v"}
	ends  = []string{"", ".raw", ".sysext", ".sysext.raw", ".confext", ".confext.raw", ".mstack", ".sysext.mstack", ".v", ".raw.v", ".sysext.raw.v", ".confext.v", ".mstack.v", ".img"}
	links = []string{"/usr/lib/target.raw", "/usr/lib/target", "/usr/lib/target.dir", "../../../../../../usr/lib/target.raw", "/dev/null", "/nowhere", "/usr/lib/one/../target.dir/.", "/usr/lib/stack.mstack", "/usr/lib/versions.v", "."}

	versions = []string{"1", "2", "10", "1.0", "1~rc1", "1^2", "1,2", "1_2", "", "é", "1-2", "2_x86-64", "2_x86", "3_arm64", "2_foo", "2_x86-64+3", "9+0", "9+0-3", "2+3-1", "2+3", "2+2", "2+03", "1+", "1+4294967296", "1+1-", "1+1-x", "8_arm64+1", "1=2"}
)

// populate fills the system below root with n entries in each directory of the
// search paths.
func populate(t *testing.T, random *rand.Rand, root string, n int) {
	t.Helper()
	for _, path := range []string{"/usr/lib/target.dir", "/usr/lib/one", "/usr/lib/stack.mstack", "/usr/lib/versions.v/a_7", "/etc/"} {
		mkdir(t, filepath.Join(root, path))
	}
	touch(t, root+"/usr/lib/target.raw")
	touch(t, root+"/usr/lib/target")
	if random.IntN(3) == 0 {
		touch(t, root+"/etc/initrd-release")
	}
	dirs := append(discover.SearchPath(extension.Sysext, true), discover.SearchPath(extension.Confext, true)...)
	dirs = append(dirs, "/usr/lib/confexts", "/usr/lib/extensions", "/.extra/other")
	for _, dir := range dirs {
		if random.IntN(4) == 0 {
			continue
		}
		dir = filepath.Join(root, dir)
		mkdir(t, dir)
		for range n {
			entry(t, random, dir)
		}
	}
}

// entry makes one entry of a search path. Names that cannot be or are there are
// left out.
func entry(t *testing.T, random *rand.Rand, dir string) {
	name := pick(random, stems) + pick(random, ends)
	path := dir + "/" + name
	if _, err := os.Lstat(path); err == nil || name == "" || name == "." {
		return
	}
	switch random.IntN(4) {
	case 0, 1:
		if !strings.HasSuffix(name, ".v") {
			touch(t, path)
			return
		}
		fallthrough
	case 2:
		mkdir(t, path)
		if strings.HasSuffix(name, ".v") {
			choices(t, random, path, strings.TrimSuffix(name, ".v"))
		}
	case 3:
		if err := os.Symlink(pick(random, links), path); err != nil {
			t.Fatal(err)
		}
	}
}

// choices fills a .v directory.
func choices(t *testing.T, random *rand.Rand, dir, stem string) {
	base, suffix := stem, ""
	for _, s := range []string{".raw", ".mstack", ".sysext", ".confext"} {
		if rest, ok := strings.CutSuffix(base, s); ok {
			base, suffix = rest, s+suffix
		}
	}
	for range random.IntN(6) {
		path := dir + "/" + base + "_" + pick(random, versions) + suffix
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		switch random.IntN(5) {
		case 0, 1:
			touch(t, path)
		case 2, 3:
			mkdir(t, path)
		case 4:
			if err := os.Symlink(pick(random, links), path); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func pick(random *rand.Rand, list []string) string { return list[random.IntN(len(list))] }

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// ours lists what we find, with paths below the root.
func ours(t *testing.T, root string, class extension.Class) map[string]row {
	t.Helper()
	found, _, err := discover.List(root, class)
	if err != nil {
		t.Fatal(err)
	}
	list := make(map[string]row)
	for _, c := range found {
		if c.Fault != nil {
			t.Errorf("%s: %v", c.Found, c.Fault)
			continue
		}
		time := c.Time.UnixMicro()
		list[c.Name] = row{c.Name, c.Kind.String(), strings.TrimPrefix(c.Path, root), &time}
	}
	return list
}

// theirs lists what systemd finds.
func theirs(t *testing.T, tree rootfs.Rootfs, root string, count int, class extension.Class) []map[string]row {
	t.Helper()
	script := fmt.Sprintf(`for i in $(seq 0 %d); do systemd-%s --root=/system/$i list --json=short || echo '"failed"'; done`, count-1, class)
	cmd := tree.Command(t.Context(), []rootfs.Bind{{Host: root, Guest: "/system"}}, "sh", "-c", script)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var lists []map[string]row
	for line := range strings.Lines(string(out)) {
		var rows []row
		if err := json.Unmarshal([]byte(line), &rows); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list := make(map[string]row)
		for _, r := range rows {
			r.Path = strings.TrimPrefix(r.Path, fmt.Sprintf("/system/%d", len(lists)))
			list[r.Name] = r
		}
		lists = append(lists, list)
	}
	return lists
}

// TestListLikeSystemd compares over generated systems.
func TestListLikeSystemd(t *testing.T) {
	testenv.RequireRoot(t)
	const systems = 60
	top := t.TempDir()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for i := range systems {
		populate(t, rand.New(rand.NewPCG(seed, uint64(i))), fmt.Sprintf("%s/%d", top, i), 12)
	}
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		tree := rootfs.Require(t, release)
		for _, class := range []extension.Class{extension.Sysext, extension.Confext} {
			t.Run(release.String()+"/"+class.String(), func(t *testing.T) {
				for i, want := range theirs(t, tree, top, systems, class) {
					root := fmt.Sprintf("%s/%d", top, i)
					got := ours(t, root, class)
					if release.Systemd < 262 {
						forget(got, want)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("system %d: systemd (-), we (+):\n%s", i, diff)
					}
				}
			})
		}
	}
}

// forget drops what 257 does otherwise: it knows no .mstack and no initrd below
// a root, lists updates that are not complete, does not resolve links, takes
// more characters in versions, and searches .v directories on the host.
func forget(got, want map[string]row) {
	for _, list := range []map[string]row{maps.Clone(got), maps.Clone(want)} {
		for name := range list {
			if !cmp.Equal(got[name], want[name]) && (odd(got[name]) || odd(want[name])) {
				delete(got, name)
				delete(want, name)
			}
		}
	}
}

func odd(r row) bool {
	parts := []string{".sysupdate.", ".mstack", ".v/", "/usr/lib/", "/.extra/"}
	return slices.ContainsFunc(parts, func(s string) bool { return strings.Contains(r.Path+"/", s) }) ||
		slices.Contains([]string{"extensions", "confexts"}, path.Base(r.Path)) // a link to "."
}
