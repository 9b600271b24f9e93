package lint_test

import (
	"strconv"
	"strings"
	"testing"
)

// vague are package names that say nothing about what is inside.
var vague = []string{"util", "utils", "common", "helpers", "types", "misc", "base"}

// layer says what the packages below a directory may import from the project.
// ARCHITECTURE.md draws it. The first match counts.
type layer struct {
	dir  string
	may  []string // prefixes, or "*" for everything
	what string
}

var layers = []layer{
	{"internal/fault", nil, "words"},
	{"internal/span", nil, "words"},
	{"internal/symlink", nil, "words"},
	{"internal/tree", []string{"internal/span", "internal/symlink"}, "words"},
	{"internal/plain", nil, "words"},
	{"internal/hexdump", []string{"internal/plain"}, "words"},
	{"internal/format/lz4", []string{"internal/fault"}, "bytes only, and for other formats"},
	{"internal/format/xz", []string{"internal/fault", "internal/pages"}, "bytes only, and for other formats"},
	{"internal/format/", []string{"internal/format/lz4", "internal/format/xz", "internal/span", "internal/tree", "internal/symlink", "internal/fault", "internal/fsck", "internal/hexdump", "internal/openfile", "internal/pages", "internal/blocks"}, "bytes only: a format knows no other room"},
	{"internal/fsck", []string{"internal/fault"}, "words"},
	{"internal/openfile", []string{"internal/tree", "internal/fault"}, "knows trees only"},
	{"internal/pages", []string{"internal/span"}, "knows bytes only"},
	{"internal/blocks", []string{"internal/span", "internal/pages"}, "knows bytes only"},
	{"internal/disk", []string{
		"internal/format/", "internal/probe", "internal/pages", "internal/atomic", "internal/linux/sparse", "internal/span", "internal/fault",
	}, "knows containers, changes nothing in them"},
	{"internal/linux/", []string{"internal/linux/"}, "the system's own words, none of ours"},
	{"internal/dps", []string{"internal/format/gpt", "internal/fault"}, "a table"},
	{"internal/ids", []string{"internal/format/gpt", "internal/dps", "internal/fault"}, "pure"},
	{"internal/extension", []string{"internal/fault", "internal/tree"}, "pure: decides, does not do"},
	{"internal/policy", []string{"internal/dps", "internal/fault"}, "pure: decides, does not do"},
	{"internal/version", nil, "pure: a comparison"},
	{"internal/settings", []string{"internal/extension", "internal/ini", "internal/inroot", "internal/linux/smallfile", "internal/merge", "internal/policy"}, "reads what the user wrote, does nothing"},
	{"internal/manager", nil, "knows the service manager only"},
	{"internal/journal", nil, "knows the journal only"},
	{"internal/varlink", nil, "a protocol, no methods"},
	{"internal/inroot", []string{"internal/symlink"}, "knows paths only"},
	{"internal/discover", []string{"internal/inroot", "internal/extension", "internal/version", "internal/dps", "internal/linux/smallfile", "internal/linux/subvolume"}, "reads names, opens no image"},
	{"internal/signature", []string{"internal/format/pkcs7", "internal/fault", "internal/inroot"}, "knows bytes and certificates"},
	{"internal/keys", []string{"internal/format/pkcs7", "internal/fault", "internal/atomic"}, "knows bytes and certificates"},
	{"internal/report", nil, "words"},
	{"internal/mtree", []string{"internal/tree"}, "prints a tree"},
	{"internal/hierarchy", []string{"internal/extension", "internal/fault", "internal/inroot", "internal/linux/mount", "internal/linux/smallfile"}, "looks, changes nothing"},
	{"internal/merge", []string{
		"internal/discover", "internal/hierarchy", "internal/image", "internal/signature", "internal/format/verity", "internal/extension",
		"internal/policy", "internal/dps", "internal/version", "internal/verdict", "internal/inroot", "internal/selinux", "internal/tree", "internal/fault", "internal/linux/",
	}, "does what it decided, prints nothing"},
	{"internal/extract", []string{"internal/tree", "internal/pages", "internal/linux/inode"}, "writes trees, knows no image"},
	{"internal/roottree", []string{"internal/source", "internal/extract", "internal/atomic", "internal/format/tar", "internal/format/xz", "internal/linux/dir", "internal/openfile", "internal/tree", "internal/fault"}, "changes trees, knows no disk"},
	{"internal/mounted", []string{"internal/extract", "internal/linux/", "internal/tree", "internal/span", "internal/fault"}, "changes what the kernel mounts, knows no disk"},
	{"internal/inspect", []string{
		"internal/image", "internal/extension", "internal/dps", "internal/signature",
		"internal/format/", "internal/tree", "internal/span", "internal/fault", "internal/hexdump",
	}, "reads, changes nothing"},
	{"internal/diff", []string{"internal/image", "internal/inspect", "internal/pages", "internal/tree", "internal/span"}, "compares, changes nothing"},
	{"internal/verdict", []string{"internal/report"}, "a table, pure"},
	{"internal/plan", []string{
		"internal/repart", "internal/extension", "internal/dps", "internal/ids", "internal/signature",
		"internal/format/", "internal/tree", "internal/span", "internal/fault",
	}, "decides, does not do"},
	{"internal/spelling", nil, "words"},
	{"internal/prism", []string{"internal/spelling"}, "reads what the user wrote, does nothing"},
	{"internal/probe", []string{"internal/pages"}, "pure: looks at bytes"},
	{"internal/fstab", nil, "pure"},
	{"internal/sysroot", []string{"internal/openfile", "internal/tree", "internal/symlink", "internal/span"}, "shows trees, changes nothing"},
	{"internal/redo", []string{"internal/fault"}, "knows files only"},
	{"internal/customize", []string{
		"internal/prism", "internal/ini", "internal/sysroot", "internal/fstab", "internal/probe", "internal/redo", "internal/disk", "internal/roottree", "internal/mounted", "internal/unit", "internal/selinux",
		"internal/preflight", "internal/report", "internal/image", "internal/extension", "internal/source", "internal/dps",
		"internal/format/", "internal/tree", "internal/span", "internal/fault",
	}, "knows bases, not users"},
	{"internal/atomic", []string{"internal/linux/tmpfile"}, "knows files only"},
	{"internal/ini", []string{"internal/fault"}, "pure"},
	{"internal/preflight", []string{
		"internal/extension", "internal/image", "internal/inroot", "internal/report", "internal/signature", "internal/tree", "internal/unit", "internal/verdict",
	}, "reads a root, decides, does not do"},
	{"internal/unit", []string{"internal/extension", "internal/symlink", "internal/fault"}, "reads a root, decides, does not do"},
	{"internal/selinux", []string{"internal/tree", "internal/fault"}, "reads a root, decides, does not do"},
	{"internal/source", []string{"internal/span", "internal/tree", "internal/fault", "internal/format/tar", "internal/format/xz", "internal/linux/"}, "makes trees, decides nothing about images"},
	{"internal/config", []string{"internal/ini", "internal/spelling", "internal/extension", "internal/version", "internal/dps", "internal/format/gpt"}, "reads what the user wrote, does nothing"},
	{"internal/repart", []string{"internal/ini", "internal/dps", "internal/format/gpt"}, "reads what the user wrote, does nothing"},
}

func TestLayers(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		l, ok := layerOf(s.dir())
		if !ok {
			continue
		}
		for _, path := range imports(s) {
			if rest, ours := strings.CutPrefix(path, "sextant/"); ours && !l.allows(rest) {
				t.Errorf("%s imports %s: %s", s.path, path, l.what)
			}
		}
	}
}

// TestLayersStandOnce finds rows that one before them hides.
func TestLayersStandOnce(t *testing.T) {
	for i, l := range layers {
		for _, before := range layers[:i] {
			if strings.HasPrefix(l.dir+"/", strings.TrimSuffix(before.dir, "/")+"/") {
				t.Errorf("%s is hidden by %s", l.dir, before.dir)
			}
		}
	}
}

func layerOf(dir string) (layer, bool) {
	for _, l := range layers {
		if dir == l.dir || strings.HasPrefix(dir+"/", strings.TrimSuffix(l.dir, "/")+"/") {
			return l, true
		}
	}
	return layer{}, false
}

func (l layer) allows(path string) bool {
	for _, p := range l.may {
		if path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/") {
			return true
		}
	}
	return false
}

func imports(s source) []string {
	var list []string
	for _, i := range s.file.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err == nil {
			list = append(list, path)
		}
	}
	return list
}

// TestSystemCallsHaveOneHome keeps x/sys/unix in internal/linux, so that all
// else builds on every system. Tests may ask the kernel themselves.
func TestSystemCallsHaveOneHome(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || strings.HasPrefix(s.path, "internal/linux/") || testSupport(s.dir()) {
			continue
		}
		for _, path := range imports(s) {
			if path == "golang.org/x/sys/unix" || path == "unsafe" {
				t.Errorf("%s imports %s: only internal/linux may", s.path, path)
			}
		}
	}
}

// testSupport reports whether the package serves tests only.
func testSupport(dir string) bool {
	for _, p := range []string{"internal/acceptance", "internal/golden", "internal/imagetest", "internal/vmtest", "internal/testenv"} {
		if dir == p || strings.HasPrefix(dir, p+"/") {
			return true
		}
	}
	return false
}

// TestSupportStaysOutOfTheProgram keeps test packages out of the binary.
func TestSupportStaysOutOfTheProgram(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || testSupport(s.dir()) {
			continue
		}
		for _, path := range imports(s) {
			rest := strings.TrimPrefix(path, "sextant/")
			if rest != path && testSupport(rest) || path == "testing" {
				t.Errorf("%s imports %s, which only tests need", s.path, path)
			}
		}
	}
}

// costly are packages that compute tables at each start of the program, or draw
// in others that do, and what we have instead. cli.TestStart finds our own.
var costly = map[string]string{
	"github.com/pierrec/lz4/v4": "internal/format/lz4",
	"github.com/ulikunitz/xz":   "internal/format/xz",
	"debug/elf":                 "internal/format/program",
	"debug/pe":                  "internal/format/program",
}

func TestStartStaysCheap(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || testSupport(s.dir()) {
			continue
		}
		for _, path := range imports(s) {
			if instead := costly[path]; instead != "" {
				t.Errorf("%s imports %s, which costs each start of the program time: %s does not", s.path, path, instead)
			}
		}
	}
}

func TestPackageNamesSaySomething(t *testing.T) {
	for _, s := range sources(t) {
		for _, bad := range vague {
			if s.file.Name.Name == bad {
				t.Errorf("%s: package %s says nothing about what is inside", s.path, bad)
			}
		}
	}
}
