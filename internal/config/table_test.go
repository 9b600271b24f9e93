package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/config"
	"sextant/internal/golden"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// mkosiSettings is what listSettings prints with mkosi 27.1.
const mkosiSettings = "testdata/mkosi-27.1-settings"

// listSettings prints section, name, flags, old names and companion files of
// all settings of mkosi, separated by tabs.
const listSettings = `
import sys
sys.path.insert(0, "/usr/lib/python3/dist-packages")
from mkosi.config import SETTINGS
for s in SETTINGS:
    flags = [s.long, *s.compat_longs] + ([s.short] if s.short and s.const is None else [])
    files = ["mkosi." + f for f in [*s.path_suffixes, *s.recursive_path_suffixes]]
    print(s.section, s.name, " ".join(sorted(flags)), " ".join(sorted(s.compat_names)), " ".join(sorted(files)), sep="\t")
`

// TestSettingsAreThoseOfMkosi checks that the table has every setting of mkosi
// with its section, flags, old names and companions, and no other.
func TestSettingsAreThoseOfMkosi(t *testing.T) {
	text, err := os.ReadFile(mkosiSettings)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for line := range strings.Lines(string(text)) {
		want = append(want, withoutOthersKeys(strings.TrimSuffix(line, "\n")))
	}
	for _, s := range config.Settings() {
		if s.Section == "X-Sextant" || s.Section == "" {
			continue
		}
		got = append(got, strings.Join([]string{
			s.Section, s.Name, join(append([]string{s.Flag}, s.Flags...)), join(s.Old), join(companions(s)),
		}, "\t"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Settings (-mkosi +ours):\n%s", diff)
	}
}

func join(words []string) string {
	slices.Sort(words)
	return strings.Join(words, " ")
}

// companions returns the companions that mkosi has too.
func companions(s config.Setting) []string {
	return slices.Clone(s.Companions)
}

// withoutOthersKeys drops from a line of mkosi what is left out on purpose:
// mkosi.key and mkosi.crt are read as VerityKey= and VerityCertificate= only,
// and companions of settings without effect are not looked for.
func withoutOthersKeys(line string) string {
	fields := strings.Split(line, "\t")
	effect := config.Works
	for _, s := range config.Settings() {
		if s.Name == fields[1] {
			effect = s.Effect
		}
	}
	if effect == config.NoEffect || effect == config.Refused && (fields[4] == "mkosi.key" || fields[4] == "mkosi.crt") {
		fields[4] = ""
	}
	return strings.Join(fields, "\t")
}

func TestListOfSettingsIsMkosis(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "unshare")
	sid := rootfs.Require(t, rootfs.Sid())
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "list.py"), []byte(listSettings), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := sid.Command(t.Context(), []rootfs.Bind{{Host: dir, Guest: "/in"}}, "python3", "/in/list.py").Output()
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, mkosiSettings, string(got))
}

// TestSettingsAreDescribed checks what the command line and messages need.
func TestSettingsAreDescribed(t *testing.T) {
	flags := map[string]string{}
	for _, s := range config.Settings() {
		for _, f := range append([]string{s.Flag}, s.Flags...) {
			if other, taken := flags[f]; taken {
				t.Errorf("%s is a flag of %s and %s", f, other, s.Name)
			}
			flags[f] = s.Name
		}
		switch s.Effect {
		case config.Works:
			if s.Help == "" || s.Arg == "" {
				t.Errorf("%s has no help", s.Name)
			}
		default:
			if s.Why == "" {
				t.Errorf("%s is not acted on without a reason", s.Name)
			}
		}
	}
}

// TestRefusedSettings sets every setting that is not acted on, in a file and as
// a flag.
func TestRefusedSettings(t *testing.T) {
	const head = "[Output]\nFormat=sysext\n"
	for _, s := range config.Settings() {
		if s.Effect == config.Works {
			continue
		}
		names := append([]string{s.Name}, s.Old...)
		for _, name := range names {
			dir := tree(t, "-- mkosi.conf --\n"+head+"["+s.Section+"]\n"+name+"=something\n")
			c, err := load(t, dir)
			checkRefused(t, s, "mkosi.conf:4: "+s.Name+"=something", c, err)
		}
		dir := tree(t, "-- mkosi.conf --\n"+head+"["+s.Section+"]\n"+s.Name+"=\n")
		if c := mustLoad(t, dir); len(c.Warnings) > 0 {
			t.Errorf("%s=: %v", s.Name, c.Warnings)
		}
		for _, ok := range s.Accepted {
			if c := mustLoad(t, dir, s.Flag+"="+ok); len(c.Warnings) > 0 {
				t.Errorf("%s=%s: %v", s.Flag, ok, c.Warnings)
			}
		}
		c, err := load(t, dir, s.Flag+"=something")
		checkRefused(t, s, s.Flag+"=something", c, err)
	}
}

func checkRefused(t *testing.T, s config.Setting, written string, c *config.Config, err error) {
	t.Helper()
	if s.Effect == config.Refused {
		if want := written + ": " + s.Why; err == nil || err.Error() != want {
			t.Errorf("Load = %v, want %s", err, want)
		}
		return
	}
	if err != nil {
		t.Errorf("Load = %v", err)
		return
	}
	last := c.Warnings[len(c.Warnings)-1].Error()
	if want := written + " has no effect: " + s.Why; last != want {
		t.Errorf("Load warns %s, want %s", last, want)
	}
}

// TestRefusedCompanions puts every companion of a setting that is not acted on
// beside the configuration.
func TestRefusedCompanions(t *testing.T) {
	for _, s := range config.Settings() {
		if s.Effect != config.Refused {
			continue
		}
		for _, name := range s.Companions {
			path := strings.ReplaceAll(name, "*", "10-x")
			dir := tree(t, "-- mkosi.conf --\n[Output]\nFormat=sysext\n-- "+path+" --\n")
			_, err := load(t, dir)
			if want := path + ": " + s.Name + "=: " + s.Why; err == nil || err.Error() != want {
				t.Errorf("Load with %s = %v, want %s", name, err, want)
			}
		}
	}
}
