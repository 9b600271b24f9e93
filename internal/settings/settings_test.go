package settings_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/extension"
	"sextant/internal/merge"
	"sextant/internal/policy"
	"sextant/internal/settings"
)

func TestHierarchies(t *testing.T) {
	for text, want := range map[string][]string{
		"/usr:/opt": {"/usr", "/opt"}, "/usr/": {"/usr/"}, "/a/b": {"/a/b"}, "": nil, "usr": nil, "/": nil, "/usr:": nil, "/usr/../x": nil, "/./x": nil, "//x": nil,
	} {
		got, err := settings.Environment{"SYSTEMD_SYSEXT_HIERARCHIES=" + text}.Hierarchies(extension.Sysext)
		if diff := cmp.Diff(want, got); diff != "" || (err != nil) != (want == nil) {
			t.Errorf("Hierarchies(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	got, err := settings.Environment{"SYSTEMD_SYSEXT_HIERARCHIES=x"}.Hierarchies(extension.Confext)
	if diff := cmp.Diff([]string{"/etc"}, got); diff != "" || err != nil {
		t.Errorf("Hierarchies() of confexts = %v, %v", got, err)
	}
}

func TestVerity(t *testing.T) {
	for _, test := range []struct {
		environ settings.Environment
		kernel  settings.CommandLine
		want    merge.Verity
	}{
		{nil, nil, merge.Verity{}},
		{settings.Environment{"SYSTEMD_DISSECT_VERITY_SIDECAR=no", "SYSTEMD_DISSECT_VERITY_EMBEDDED=0", "SYSTEMD_DISSECT_VERITY_GUESS=off"}, nil, merge.Verity{NoSidecar: true, NoEmbedded: true, NoGuess: true}},
		{settings.Environment{"SYSTEMD_DISSECT_VERITY_SIGNATURE=f", "SYSTEMD_VERITY_SHARING=n", "SYSTEMD_DISSECT_VERITY_GUESS=what"}, nil, merge.Verity{NoSignature: true, NoSharing: true}},
		{settings.Environment{"SYSTEMD_ALLOW_USERSPACE_VERITY=0"}, nil, merge.Verity{NoUserspace: true}},
		{settings.Environment{"SYSTEMD_ALLOW_USERSPACE_VERITY=what"}, nil, merge.Verity{NoUserspace: true}},
		{settings.Environment{"SYSTEMD_ALLOW_USERSPACE_VERITY=1"}, settings.CommandLine{"systemd.allow_userspace_verity=0"}, merge.Verity{NoUserspace: true}},
		{nil, settings.CommandLine{"systemd.allow-userspace-verity=no"}, merge.Verity{NoUserspace: true}},
		{nil, settings.CommandLine{"systemd.allow_userspace_verity=what"}, merge.Verity{NoUserspace: true}},
		{settings.Environment{"SYSTEMD_DISSECT_FILE_SYSTEMS=erofs:ext4", "SYSTEMD_DISSECT_VERITY_TIMEOUT_SEC=1min 30s"}, nil, merge.Verity{FileSystems: []string{"erofs", "ext4"}, Timeout: 90 * time.Second}},
		{settings.Environment{"SYSTEMD_DISSECT_FILE_SYSTEMS=", "SYSTEMD_DISSECT_VERITY_TIMEOUT_SEC=infinity"}, nil, merge.Verity{FileSystems: []string{}, Timeout: math.MaxInt64}},
		{settings.Environment{"SYSTEMD_DISSECT_VERITY_TIMEOUT_SEC=1.5"}, nil, merge.Verity{Timeout: 1500 * time.Millisecond}},
		{settings.Environment{"SYSTEMD_DISSECT_VERITY_TIMEOUT_SEC=-1"}, nil, merge.Verity{}},
		{settings.Environment{"SYSTEMD_DISSECT_VERITY_TIMEOUT_SEC=1e300"}, nil, merge.Verity{}},
	} {
		if diff := cmp.Diff(test.want, test.environ.Verity(test.kernel)); diff != "" {
			t.Errorf("Verity(%v, %v): want (-), got (+)\n%s", test.environ, test.kernel, diff)
		}
	}
}

func TestCommandLine(t *testing.T) {
	read := func(text string) settings.CommandLine {
		return settings.ReadCommandLine(settings.Environment{"SYSTEMD_PROC_CMDLINE=" + text})
	}
	if diff := cmp.Diff(settings.CommandLine{"a", "b=c d", "e f", ""}, read(" a\tb=\"c d\"\n'e f' ''")); diff != "" {
		t.Errorf("words: want (-), got (+)\n%s", diff)
	}
	for text, want := range map[string]bool{
		"": true, "quiet": true, "systemd.sysext": true, "systemd.sysext=0": false, "systemd.sysext=0 systemd.sysext=1": true,
		"systemd.sysext=0 systemd.sysext": false, "systemd.sysext=what": true, "rd.systemd.sysext=0": true, "systemd.sysext.x=0": true,
	} {
		if got := read(text).Bool("systemd.sysext", true, true); got != want {
			t.Errorf("Bool(%q) = %t, want %t", text, got, want)
		}
	}
}

// system makes a root with files.
func system(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func words(list []settings.Warning) string {
	var b strings.Builder
	for _, w := range list {
		b.WriteString(w.Text + "\n")
	}
	return b.String()
}

// TestFiles is about which file wins; TestAnswersLikeSystemd of package stock
// holds the warnings against systemd's.
func TestFiles(t *testing.T) {
	root := system(t, map[string]string{
		"usr/lib/systemd/sysext.conf":           "[SysExt]\nMutable=no\n",
		"etc/systemd/sysext.conf":               "[SysExt]\nMutable=auto\nImagePolicy=root=signed\n",
		"etc/systemd/sysext.conf.d/20.conf":     "[SysExt]\nMutable=import\n",
		"usr/lib/systemd/sysext.conf.d/20.conf": "[SysExt]\nMutable=ephemeral\nImagePolicy=\n",
		"run/systemd/sysext.conf.d/10.conf":     "[SysExt]\nMutable=yes\n",
		"etc/systemd/sysext.conf.d/30":          "[SysExt]\nMutable=no\n",
		"etc/systemd/confext.conf":              "[ConfExt]\nMutable=ephemeral-import\n",
	})
	s, warnings, err := settings.Files(root, extension.Sysext)
	if err != nil || len(warnings) > 0 || s.Mutable == nil || *s.Mutable != merge.MutableImport {
		t.Errorf("Files() = %v, %v, %v, want mutable import", s.Mutable, warnings, err)
	}
	want, err := policy.Parse("root=signed")
	if err != nil || s.Policy == nil || !s.Policy.Equivalent(want) {
		t.Errorf("Files(): policy %v, want %v, %v", s.Policy, want, err)
	}
	s, _, err = settings.Files(root, extension.Confext)
	if err != nil || s.Mutable == nil || *s.Mutable != merge.MutableEphemeralImport || s.Policy != nil {
		t.Errorf("Files(confext) = %v, %v, %v", s.Mutable, s.Policy, err)
	}
}

// TestFilesKeepTheRest does not let a slip undo a policy.
func TestFilesKeepTheRest(t *testing.T) {
	root := system(t, map[string]string{"etc/systemd/sysext.conf": "junk\n[SysExt]\nmore junk\nMutable=what\n[Other]\njunk\n[SysExt]\nImagePolicy=root=signed\n"})
	s, warnings, err := settings.Files(root, extension.Sysext)
	if err != nil || s.Policy == nil || s.Mutable != nil {
		t.Errorf("Files() = %v, %v", s, err)
	}
	path := root + "/etc/systemd/sysext.conf:"
	want := path + "1: Assignment outside of section. Ignoring.\n" + path + "3: Missing '=', ignoring line.\n" +
		path + "4: Failed to parse Mutable=what, ignoring: Invalid argument\n" + path + "5: Unknown section 'Other'. Ignoring.\n"
	if got := words(warnings); got != want {
		t.Errorf("warnings:\n%swant\n%s", got, want)
	}
}

func TestOwn(t *testing.T) {
	for text, want := range map[string]string{
		"[Merge]\nRequireSigned=yes\nSubmounts=refuse\n": "true refuse", "[Merge]\n": "", "": "",
		"[Merge]\nRequireSigned=maybe\n": "error", "[Merge]\nSubmounts=no\n": "error", "[Merge\n": "error",
	} {
		got := ""
		s, _, err := settings.Own(system(t, map[string]string{"etc/sextant/merge.conf": text}))
		switch {
		case err != nil:
			got = "error"
		case s.RequireSigned != nil:
			got = map[bool]string{true: "true ", false: "false "}[*s.RequireSigned] + string(*s.Submounts)
		}
		if got != want {
			t.Errorf("Own(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

// TestOver is the order: what stands first wins.
func TestOver(t *testing.T) {
	no, yes, auto := false, true, merge.MutableAuto
	s := settings.Settings{RequireSigned: &no}.Over(settings.Settings{RequireSigned: &yes, Mutable: &auto})
	o := merge.Options{Mutable: merge.MutableNo, RequireSigned: true, Submounts: merge.SubmountsKeep}
	s.Into(&o)
	if o.RequireSigned || o.Mutable != merge.MutableAuto || o.Submounts != merge.SubmountsKeep {
		t.Errorf("Into() = %+v", o)
	}
}

func TestRequireSignedCannotSlip(t *testing.T) {
	for text, want := range map[string]bool{"1": true, "no": false, "": true, "jes": true} {
		s, _ := settings.Environment{"SEXTANT_REQUIRE_SIGNED=" + text}.Settings(extension.Sysext)
		if s.RequireSigned == nil || *s.RequireSigned != want {
			t.Errorf("SEXTANT_REQUIRE_SIGNED=%q is %v, want %t", text, s.RequireSigned, want)
		}
	}
}
