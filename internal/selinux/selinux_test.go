package selinux_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/fault"
	"sextant/internal/selinux"
	"sextant/internal/testenv"
	"sextant/internal/tree"
	"sextant/internal/vmtest/rootfs"
)

// policyRoot has the policy of Debian's selinux-policy-default.
const policyRoot = "/etc/selinux/default/contexts/files/file_contexts"

// kinds are the types of files, with matchpathcon's words for them.
var kinds = map[tree.Mode]string{
	tree.TypeRegular: "file", tree.TypeDir: "dir", tree.TypeSymlink: "lnk_file", tree.TypeChar: "chr_file",
	tree.TypeBlock: "blk_file", tree.TypeFIFO: "pipe", tree.TypeSocket: "sock_file",
}

// matchpathcon asks libselinux for the labels of paths of one type.
func matchpathcon(t *testing.T, file string, kind tree.Mode, paths []string) []string {
	t.Helper()
	var labels []string
	for part := range slices.Chunk(paths, 8000) {
		cmd := exec.Command("matchpathcon", append([]string{"-N", "-n", "-m", kinds[kind], "-f", file}, part...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("matchpathcon: %v\n%.500s", err, out)
		}
		labels = append(labels, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")...)
	}
	if len(labels) != len(paths) {
		t.Fatalf("matchpathcon answers %d of %d", len(labels), len(paths))
	}
	return labels
}

func compare(t *testing.T, c *selinux.Contexts, file string, kind tree.Mode, paths []string) {
	t.Helper()
	bad := 0
	for i, want := range matchpathcon(t, file, kind, paths) {
		label, ok, err := c.Label(paths[i], kind)
		if !ok {
			label = "<<none>>"
		}
		if err != nil || label != want {
			if bad++; bad < 20 {
				t.Errorf("Label(%s, %s) = %s, %v, matchpathcon says %s", paths[i], kinds[kind], label, err, want)
			}
		}
	}
	t.Logf("%d paths of type %s, %d differ", len(paths), kinds[kind], bad)
}

// debianPolicy loads the policy that is installed on this machine.
func debianPolicy(t testing.TB) *selinux.Contexts {
	t.Helper()
	testenv.Require(t, "matchpathcon")
	if _, err := os.Stat(policyRoot); err != nil {
		testenv.Missing(t, "selinux-policy-default", policyRoot+" is not there")
	}
	config := fstest.MapFS{"etc/selinux/config": {Data: []byte("SELINUX=permissive\nSELINUXTYPE=default\n")}}
	c, err := selinux.Load(over{config, os.DirFS("/")})
	if err != nil || c == nil {
		t.Fatalf("Load = %v, %v", c, err)
	}
	return c
}

// over is a file system with another one on top.
type over struct{ top, bottom fs.FS }

func (o over) Open(name string) (fs.File, error) {
	if f, err := o.top.Open(name); err == nil {
		return f, nil
	}
	return o.bottom.Open(name)
}

// TestLabelsLikeMatchpathcon asks for every path of a root file system as it
// is, and as every other type.
func TestLabelsLikeMatchpathcon(t *testing.T) {
	c := debianPolicy(t)
	root := rootfs.Require(t, rootfs.Trixie())
	paths := map[tree.Mode][]string{}
	err := filepath.WalkDir(root.Tree, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		kind := kindOf(d.Type())
		paths[kind] = append(paths[kind], "/"+strings.TrimPrefix(strings.TrimPrefix(p, root.Tree), "/"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for kind, list := range paths {
		compare(t, c, policyRoot, kind, list)
	}
	all := slices.Sorted(func(yield func(string) bool) {
		for _, list := range paths {
			for _, p := range list {
				if !yield(p) {
					return
				}
			}
		}
	})
	for kind := range kinds {
		var some []string
		for i := 0; i < len(all); i += 67 {
			some = append(some, all[i])
		}
		compare(t, c, policyRoot, kind, some)
	}
}

func kindOf(m fs.FileMode) tree.Mode {
	switch {
	case m.IsDir():
		return tree.TypeDir
	case m&fs.ModeSymlink != 0:
		return tree.TypeSymlink
	case m&fs.ModeCharDevice != 0:
		return tree.TypeChar
	case m&fs.ModeDevice != 0:
		return tree.TypeBlock
	case m&fs.ModeNamedPipe != 0:
		return tree.TypeFIFO
	case m&fs.ModeSocket != 0:
		return tree.TypeSocket
	}
	return tree.TypeRegular
}

// TestPolicyPathsLikeMatchpathcon asks for a path out of every line of the
// policy, as most lines are about files that no small system has.
func TestPolicyPathsLikeMatchpathcon(t *testing.T) {
	c := debianPolicy(t)
	var paths []string
	for _, suffix := range []string{"", ".homedirs"} {
		text, err := os.ReadFile(policyRoot + suffix)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 1 && f[0][0] != '#' {
				paths = append(paths, example(f[0]), example(f[0])+"/deeper.so.1")
			}
		}
	}
	for _, kind := range []tree.Mode{tree.TypeRegular, tree.TypeDir} {
		compare(t, c, policyRoot, kind, paths)
	}
}

// example makes something like a path that a pattern matches. Most do.
func example(pattern string) string {
	return strings.NewReplacer("(/.*)?", "/x/y", "[^/]*", "abc", "[^/]+", "abc", "(.*/)?", "d/", ".*", "q", "\\.", ".", "\\", "", "[0-9]", "7", "[0-9]+", "7",
		"(64)?", "64", ")?", "", "(", "", "?", "", "+", "", "|", "/", "[", "", "]", "").Replace(pattern)
}

// TestRulesLikeMatchpathcon compares lines that policies seldom have.
func TestRulesLikeMatchpathcon(t *testing.T) {
	testenv.Require(t, "matchpathcon")
	files := map[string]string{
		"": `# comment
/.*	system_u:object_r:default_t:s0
/	-d	system_u:object_r:root_t:s0
/a	system_u:object_r:first_t:s0
/a	system_u:object_r:second_t:s0
/a	-d	system_u:object_r:dir_t:s0
/b(/.*)?	system_u:object_r:b_t:s0
/b/x	system_u:object_r:exact_t:s0
/b/.*	system_u:object_r:later_t:s0
/b/none	<<none>>
/c/none(/.*)?	<<none>>
/c/none/but	system_u:object_r:but_t:s0
  /d	--	system_u:object_r:file_t:s0
/d	-l	system_u:object_r:link_t:s0
/e\.x	system_u:object_r:dot_t:s0
/e.x	system_u:object_r:any_t:s0
/f/\-\_\,	system_u:object_r:odd_t:s0
/g/a|/g/b	system_u:object_r:alt_t:s0
/h/[^/]*	system_u:object_r:one_t:s0
/h/..	system_u:object_r:two_t:s0
/i/a?b	system_u:object_r:opt_t:s0
/i/a*c	system_u:object_r:star_t:s0
/i/a{2}d	system_u:object_r:twice_t:s0
/j/[[:digit:]]+	system_u:object_r:digits_t:s0
/j/\d\w	system_u:object_r:classes_t:s0
/j/[]x]	system_u:object_r:bracket_t:s0
/k/(?:a|b)c	system_u:object_r:group_t:s0
/l/\Q.*\E	system_u:object_r:quoted_t:s0
/m/^x	system_u:object_r:caret_t:s0
/n	system_u:object_r:n_t:s0
/n/.+	system_u:object_r:nn_t:s0
/o/x{,3}	system_u:object_r:literalbrace_t:s0
/sub/real(/.*)?	system_u:object_r:real_t:s0
/other(/.*)?	system_u:object_r:other_t:s0
`,
		".homedirs":  "/home/[^/]+/.+	system_u:object_r:home_t:s0\n/b/home	system_u:object_r:homeb_t:s0\n",
		".local":     "/b/x	system_u:object_r:local_t:s0\n/home/me(/.*)?	system_u:object_r:me_t:s0\n",
		".subs_dist": "# x\n/alias /sub/real\n/alias/deep /other\n /blank   /other  more\n/root /\n",
		".subs":      "/twice /alias\n/alias/own /b\n",
	}
	dir := t.TempDir()
	mapped := fstest.MapFS{"etc/selinux/config": {Data: []byte("SELINUXTYPE=x\n")}}
	for suffix, text := range files {
		if err := os.WriteFile(filepath.Join(dir, "fc"+suffix), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		mapped["etc/selinux/x/contexts/files/file_contexts"+suffix] = &fstest.MapFile{Data: []byte(text)}
	}
	c, err := selinux.Load(mapped)
	if err != nil {
		t.Fatal(err)
	}
	paths := []string{"/", "/a", "/b", "/b/", "//b//x", "/b/x", "/b/y", "/b/none", "/c/none", "/c/none/but", "/c/none/x", "/d", "/e.x", "/eyx", "/f/-_,",
		"/g/a", "/g/b", "/x/g/b", "/g/ab", "/g/x/g/b", "/h/a", "/h/ab", "/h/é", "/h/éé", "/h/\xff", "/i/ab", "/i/b", "/i/aac", "/i/c", "/i/aad", "/i/ad",
		"/j/12", "/j/1x", "/j/]", "/j/x", "/k/ac", "/k/bc", "/k/cc", "/l/.*", "/l/x", "/m/x", "/n", "/n/x", "/o/x", "/o/x{,3}",
		"/home/you/x", "/home/me", "/home/me/x", "/b/home", "/alias", "/alias/x", "/alias/deep", "/alias/deep/x", "/alias2", "/blank/x",
		"/root", "/root/a", "/root/b/x", "/twice", "/twice/x", "/alias/own/x", "/sub/real/x", "/nowhere"}
	for kind := range kinds {
		compare(t, c, filepath.Join(dir, "fc"), kind, paths)
	}
}

func TestLoadWithoutSELinux(t *testing.T) {
	for _, c := range []struct{ name, config string }{{"no config", ""}, {"disabled", "SELINUX=disabled\n"}, {"no policy", "SELINUX=enforcing\n"}} {
		files := fstest.MapFS{}
		if c.config != "" {
			files["etc/selinux/config"] = &fstest.MapFile{Data: []byte(c.config)}
		}
		if contexts, err := selinux.Load(files); contexts != nil || err != nil {
			t.Errorf("%s: Load = %v, %v, want nil", c.name, contexts, err)
		}
	}
}

func load(t *testing.T, rules string) (*selinux.Contexts, error) {
	t.Helper()
	return selinux.Load(fstest.MapFS{
		"etc/selinux/config": {Data: []byte("SELINUX=enforcing\n")},
		"etc/selinux/targeted/contexts/files/file_contexts":   {Data: []byte(rules)},
		"etc/selinux/targeted/contexts/files/file_contexts.x": {},
	})
}

// TestPatternsOfPCRE shows that a line that cannot be read is an error for its
// own paths only.
func TestPatternsOfPCRE(t *testing.T) {
	c, err := load(t, "/.* a:b:all_t:s0\n/x/(?!y).* a:b:x_t:s0\n/x/z a:b:z_t:s0\n/x/w.* a:b:w_t:s0\n")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Label("/x/other", tree.TypeRegular); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("Label below a pattern with a lookahead: %v, want ErrUnsupported", err)
	}
	for p, want := range map[string]string{"/x/z": "a:b:z_t:s0", "/x/ww": "a:b:w_t:s0", "/y": "a:b:all_t:s0"} {
		if got, ok, err := c.Label(p, tree.TypeRegular); got != want || !ok || err != nil {
			t.Errorf("Label(%s) = %s, %t, %v, want %s", p, got, ok, err, want)
		}
	}
}

func TestBrokenRules(t *testing.T) {
	for _, rules := range []string{"/x\n", "/x -q a:b:c:s0\n", "/é a:b:c:s0\n", "/" + strings.Repeat("x", 5000) + " a:b:c:s0\n"} {
		if c, err := load(t, rules); !errors.Is(err, fault.ErrCorrupt) || c != nil {
			t.Errorf("Load(%.20q) = %v, %v, want ErrCorrupt", rules, c, err)
		}
	}
}

func TestAddEquivalence(t *testing.T) {
	c, err := selinux.Load(fstest.MapFS{
		"etc/selinux/config": {Data: []byte("SELINUX=enforcing\n")},
		"etc/selinux/targeted/contexts/files/file_contexts":           {Data: []byte("/.* a:b:c:s0\n")},
		"etc/selinux/targeted/contexts/files/file_contexts.subs_dist": {Data: []byte("/var/run /run\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ old, target, like, want string }{
		{"", "/overlay/upper", "/etc", "/overlay/upper /etc\n"},
		{"/a /b", "/overlay/upper", "/etc", "/a /b\n/overlay/upper /etc\n"},
		{"/overlay/upper /etc\n", "/overlay/upper", "/etc", "/overlay/upper /etc\n"},
		{"/overlay/upper /usr\n/a /b", "/overlay/upper", "/etc", "/overlay/upper /etc\n/a /b"},
		{"/overlay /usr\n", "/overlay/upper", "/etc", ""},
		{"/overlay/upper/x /usr\n", "/overlay/upper", "/etc", ""},
		{"", "/var", "/etc", ""},
		{"", "/upper/", "/etc", ""},
		{"", "upper", "/etc", ""},
		{"", "/up per", "/etc", ""},
		{"", "/etc", "/etc", ""},
		{"", "/var/run/x", "/etc", ""},
	} {
		got, err := c.AddEquivalence([]byte(x.old), x.target, x.like)
		if string(got) != x.want || (err == nil) != (x.want != "") {
			t.Errorf("AddEquivalence(%q, %s, %s) = %q, %v, want %q", x.old, x.target, x.like, got, err, x.want)
		}
	}
}

func TestAddRule(t *testing.T) {
	c, err := load(t, "/.* system_u:object_r:default_t:s0\n")
	if err != nil {
		t.Fatal(err)
	}
	const head = "# This file is auto-generated by libsemanage\n# Do not edit directly.\n\n"
	const line = "/overlay/work(/.*)?    system_u:object_r:no_access_t:s0\n"
	first, err := c.AddRule(nil, "/overlay/work(/.*)?", "no_access_t")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(head+line, string(first)); diff != "" {
		t.Errorf("AddRule (-want +got):\n%s", diff)
	}
	if second, err := c.AddRule(first, "/overlay/work(/.*)?", "no_access_t"); err != nil || string(second) != string(first) {
		t.Errorf("AddRule of the same = %q, %v", second, err)
	}
	if _, err := c.AddRule(nil, "/x(?!y)", "a_t"); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("AddRule of a lookahead: %v, want ErrUnsupported", err)
	}
}

func FuzzLabel(f *testing.F) {
	f.Add("/a(/.*)? -- a:b:c:s0\n", "/a /b\n", "/a/b")
	f.Add("/[^/]*|/x{2}\\.y <<none>>\n", "/ /\n", "/é")
	f.Fuzz(func(t *testing.T, rules, subs, path string) {
		c, err := selinux.Load(fstest.MapFS{
			"etc/selinux/config": {Data: []byte("SELINUX=enforcing\n")},
			"etc/selinux/targeted/contexts/files/file_contexts":      {Data: []byte(rules)},
			"etc/selinux/targeted/contexts/files/file_contexts.subs": {Data: []byte(subs)},
		})
		if err != nil {
			if c != nil {
				t.Errorf("Load = %v with error %v", c, err)
			}
			return
		}
		_, _, _ = c.Label(path, tree.TypeRegular)
	})
}

func BenchmarkLabels(b *testing.B) {
	text, err := os.ReadFile(policyRoot)
	if err != nil {
		b.Skip("LEFT OUT: the policy is not there")
	}
	var paths []string
	for i := range 40000 {
		paths = append(paths, fmt.Sprintf("/usr/%s/d%d/file%d.so.%d", []string{"lib", "share", "bin", "lib/x86_64-linux-gnu"}[i%4], i%97, i, i%7))
	}
	for b.Loop() {
		c, err := selinux.Load(fstest.MapFS{
			"etc/selinux/config": {Data: []byte("SELINUXTYPE=default\n")},
			"etc/selinux/default/contexts/files/file_contexts": {Data: text},
		})
		if err != nil {
			b.Fatal(err)
		}
		for _, p := range paths {
			if _, _, err := c.Label(p, tree.TypeRegular); err != nil {
				b.Fatal(err)
			}
		}
	}
}
