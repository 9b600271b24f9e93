package unit_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/testenv"
	"sextant/internal/unit"
	"sextant/internal/vmtest/rootfs"
)

// script runs systemctl of the release on every case: DIR/N/root with the
// lines of DIR/N/ops. It leaves the status, the messages and the files of
// /etc/systemd/system after each step. A step that fails is the last.
const script = `
export LC_ALL=C SYSTEMCTL_SKIP_SYSV=1 SYSTEMD_LOG_LEVEL=info
for c in /cases/*; do
	n=0
	while read -r verb names; do
		n=$((n + 1))
		rc=0
		systemctl --root="$c/root" $verb $names 2>"$c/err.$n" >"$c/out.$n" </dev/null || rc=$?
		echo $rc >"$c/rc.$n"
		[ "$verb" != is-enabled ] || continue
		find "$c/root/etc/systemd/system" -printf '%P|%y|%l\n' >"$c/list.$n" 2>/dev/null
		[ "$rc" = 0 ] || break
	done <"$c/ops"
done
`

// kase is a root file system and what is done with it.
type kase struct {
	name  string
	files string // see lay
	ops   string // "enable a.service; disable a.service"
}

// lay makes the files: one a line, "path: content" with | for a newline,
// "path -> target" for a link, "path/" for a directory.
func lay(t *testing.T, root, files string) {
	t.Helper()
	for line := range strings.Lines(files) {
		line = strings.Trim(line, "\n")
		if line == "" {
			continue
		}
		name, content, isFile := strings.Cut(line, ": ")
		link, target, isLink := strings.Cut(line, " -> ")
		switch {
		case isLink:
			must(t, os.MkdirAll(filepath.Join(root, filepath.Dir(link)), 0o755))
			must(t, os.Symlink(target, filepath.Join(root, link)))
		case isFile:
			must(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755))
			must(t, os.WriteFile(filepath.Join(root, name), []byte(strings.ReplaceAll(content, "|", "\n")), 0o644))
		default:
			must(t, os.MkdirAll(filepath.Join(root, line), 0o755))
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// compare runs the cases by both, and reports where they differ. It returns
// how many steps succeeded and failed.
func compare(t *testing.T, release rootfs.Release, cases []kase) (good, bad int) {
	t.Helper()
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare")
	tree := rootfs.Require(t, release)
	dir, mine := t.TempDir(), t.TempDir()
	for i, c := range cases {
		at := filepath.Join(dir, fmt.Sprintf("%05d", i))
		must(t, os.MkdirAll(filepath.Join(at, "root"), 0o755))
		lay(t, filepath.Join(at, "root"), c.files)
		must(t, os.MkdirAll(filepath.Join(mine, fmt.Sprint(i)), 0o755))
		lay(t, filepath.Join(mine, fmt.Sprint(i)), c.files)
		must(t, os.WriteFile(filepath.Join(at, "ops"), []byte(strings.ReplaceAll(c.ops, "; ", "\n")+"\n"), 0o644))
	}
	cmd := tree.Command(t.Context(), []rootfs.Bind{{Host: dir, Guest: "/cases"}}, "bash", "-c", script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("systemctl: %v\n%s", err, out)
	}
	for i, c := range cases {
		g, b := steps(t, release, c, filepath.Join(dir, fmt.Sprintf("%05d", i)), filepath.Join(mine, fmt.Sprint(i)))
		good, bad = good+g, bad+b
	}
	return good, bad
}

// complaint is how systemctl says that a unit failed. Some releases do so, and
// still end with status 0: 252 where another link of the unit was made, and 252
// and 257 where a unit to disable does not exist.
var complaint = regexp.MustCompile(`Failed to (enable|disable) unit[:,]`)

// steps takes the steps of one case on root, and compares each with what
// systemctl left in theirs.
func steps(t *testing.T, release rootfs.Release, c kase, theirs, root string) (good, bad int) {
	t.Helper()
	for n, op := range strings.Split(c.ops, "; ") {
		read := func(what string) string {
			b, err := os.ReadFile(filepath.Join(theirs, fmt.Sprintf("%s.%d", what, n+1)))
			must(t, err)
			return string(b)
		}
		words := strings.Fields(op)
		system := unit.System{Root: os.DirFS(root), Systemd: release.Systemd, Architecture: "x86-64"}
		if words[0] == "is-enabled" {
			compareState(t, release, c, system, words[1], strings.TrimSpace(read("out")))
			continue
		}
		changes, err := run(system, words[0], words[1:])
		messages := read("err")
		failed := strings.TrimSpace(read("rc")) != "0" || complaint.MatchString(messages)
		want := sorted(strings.Split(read("list"), "\n"))
		if words[0] == "disable" && strings.Contains(messages, "does not exist") {
			failed = slices.Equal(want, list(t, root))
		}
		if failed != (err != nil) {
			t.Errorf("%s, %s: %s = %v, systemctl failed: %t\n%s%s", release, c.name, op, err, failed, messages, c.files)
			return good, bad
		}
		if failed {
			return good, bad + 1
		}
		good++
		missed := strings.Contains(messages, "have no installation config")
		if missed != changes.RulesMissed && (words[0] == "enable" || release.Systemd > 252) {
			t.Errorf("%s, %s: %s: RulesMissed = %t, systemctl says %t\n%s", release, c.name, op, changes.RulesMissed, missed, c.files)
		}
		apply(t, root, changes)
		if diff := cmp.Diff(want, list(t, root)); diff != "" {
			t.Errorf("%s, %s: %s (-systemctl +unit):\n%s\n%s%s", release, c.name, op, diff, messages, c.files)
			return good, bad
		}
		if strings.TrimSpace(read("rc")) != "0" {
			return good, bad // 262 removes what is left of a missing unit, and fails
		}
	}
	return good, bad
}

func compareState(t *testing.T, release rootfs.Release, c kase, system unit.System, name, want string) {
	t.Helper()
	state, err := system.State(name)
	got := state.String()
	if err != nil {
		got = ""
	}
	if want == "not-found" {
		want = "" // 257 says so, 252 says nothing
	}
	if state == unit.Missing {
		got = ""
	}
	if got != want {
		t.Errorf("%s, %s: State(%s) = %s, %v, systemctl says %s\n%s", release, c.name, name, got, err, want, c.files)
	}
}

func run(s unit.System, verb string, names []string) (unit.Changes, error) {
	if verb == "enable" {
		return s.Enable(names...)
	}
	return s.Disable(names...)
}

// apply does what the changes say.
func apply(t *testing.T, root string, c unit.Changes) {
	t.Helper()
	for _, d := range c.MakeDirs {
		must(t, os.Mkdir(filepath.Join(root, d), 0o755))
	}
	for _, p := range c.Remove {
		must(t, os.Remove(filepath.Join(root, p)))
	}
	for _, l := range c.Make {
		must(t, os.Symlink(l.Target, filepath.Join(root, l.Path)))
	}
	for _, d := range c.RemoveDirs {
		must(t, os.Remove(filepath.Join(root, d)))
	}
}

// list prints what the script's find prints.
func list(t *testing.T, root string) []string {
	t.Helper()
	var lines []string
	top := filepath.Join(root, "etc/systemd/system")
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, p)
		kind, target := "f", ""
		switch {
		case d.IsDir():
			kind = "d"
		case d.Type()&fs.ModeSymlink != 0:
			kind = "l"
			target, err = os.Readlink(p)
		}
		lines = append(lines, strings.TrimPrefix(rel, ".")+"|"+kind+"|"+target)
		if rel != "." && strings.HasPrefix(rel, ".") {
			lines[len(lines)-1] = rel + "|" + kind + "|" + target
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return sorted(append(lines, ""))
}

func sorted(lines []string) []string {
	slices.Sort(lines)
	return lines
}
