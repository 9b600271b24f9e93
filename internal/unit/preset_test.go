package unit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"sextant/internal/testenv"
	"sextant/internal/unit"
	"sextant/internal/vmtest/rootfs"
)

const presetDir = "usr/lib/systemd/system-preset/"

// presets are files with what a preset file can have.
const presets = presetDir + "10-a.preset: # x|; y|enable ssh*.service|disable a*|ignore b*.timer|nonsense foo|  disable   cron.service  |\n" +
	presetDir + "20-b.preset: disable x.service|enable [c-n]*.socket|disable [!a-r]*.service|enable *@.service|\n" +
	"etc/systemd/system-preset/20-b.preset: enable [c-n]*.socket|disable [!a-r]*.service|disable ???.service|enable p[[:alpha:]]*|\n" +
	"run/systemd/system-preset/15.preset: enable t@.service one two|enable q.service one|disable [x*|disable d\\*|\n" +
	presetDir + "30-masked.preset: disable *|\n" + "etc/systemd/system-preset/30-masked.preset -> /dev/null\n" +
	presetDir + "99.preset: disable n*|disable m*\n" + presetDir + "98.conf: disable *|\n"

// TestPresetsLikeSystemctl compares what presets say of units with the column
// of list-unit-files.
func TestPresetsLikeSystemctl(t *testing.T) {
	testenv.RequireRoot(t)
	text, err := os.ReadFile("testdata/debian-units")
	must(t, err)
	_, units, _ := strings.Cut(string(text), "\n")
	for _, release := range rootfs.Releases() {
		dir := t.TempDir()
		lay(t, dir, units+presets)
		cmd := rootfs.Require(t, release).Command(t.Context(), []rootfs.Bind{{Host: dir, Guest: "/mnt"}},
			"env", "SYSTEMD_COLORS=0", "systemctl", "--root=/mnt", "list-unit-files", "--no-legend", "--no-pager")
		out, err := cmd.Output()
		must(t, err)
		system := unit.System{Root: os.DirFS(dir), Systemd: release.Systemd}
		rules, err := system.Presets()
		must(t, err)
		seen := map[string]int{}
		for line := range strings.Lines(string(out)) {
			f := strings.Fields(line)
			if len(f) != 3 || f[2] == "-" {
				continue
			}
			seen[f[2]]++
			action, _ := rules.Action(f[0])
			got := map[unit.Action]string{unit.PresetNone: "enabled", unit.PresetEnable: "enabled", unit.PresetDisable: "disabled", unit.PresetIgnore: "ignored"}[action]
			if got != f[2] {
				t.Errorf("%s: presets say %s of %s, systemctl says %s", release, got, f[0], f[2])
			}
		}
		if seen["enabled"] < 50 || seen["disabled"] < 50 {
			t.Errorf("%s: systemctl answers %v: too little", release, seen)
		}
		t.Logf("%s: %v", release, seen)
	}
}

// TestPresetFileAtFirstBoot has systemctl apply all presets, as the manager
// does at the first boot in one of these two ways.
func TestPresetFileAtFirstBoot(t *testing.T) {
	testenv.RequireRoot(t)
	const files = unitDir + "on.service: [Install]|WantedBy=x.target|Also=too.socket|\n" +
		unitDir + "too.socket: [Install]|WantedBy=x.target|\n" +
		unitDir + "off.service: [Install]|WantedBy=x.target|\n" +
		unitDir + "t@.service: [Install]|WantedBy=x.target|\n" +
		unitDir + "d@.service: [Install]|WantedBy=x.target|DefaultInstance=d|\n" +
		"etc/systemd/system/x.target.wants/off.service -> /" + unitDir + "off.service\n"
	for _, c := range []struct{ name, presets string }{
		{"none", ""},
		{"all off", presetDir + "50.preset: disable *|\n"},
		{"all on", presetDir + "50.preset: enable *|\n"},
		{"instances", presetDir + "50.preset: enable t@.service three|disable *|\n"},
		{"the opposite", presetDir + "50.preset: disable on.service|disable too.socket|enable off.service|disable t@.service|disable d@.service|\n"},
	} {
		for _, release := range rootfs.Releases() {
			for _, mode := range []string{"full", "enable-only"} {
				dir := t.TempDir()
				lay(t, dir, files+c.presets)
				system := unit.System{Root: os.DirFS(dir), Systemd: release.Systemd}
				on, err := system.Enable("on", "t@one.service", "t@two.service", "d@.service")
				must(t, err)
				apply(t, dir, on)
				off, err := system.Disable("off")
				must(t, err)
				apply(t, dir, off)
				content, err := system.PresetFile(on.Units, off.Units)
				must(t, err)
				if content != nil {
					must(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(unit.PresetPath)), 0o755))
					must(t, os.WriteFile(filepath.Join(dir, unit.PresetPath), content, 0o644))
				}
				cmd := rootfs.Require(t, release).Command(t.Context(), []rootfs.Bind{{Host: dir, Guest: "/mnt"}},
					"systemctl", "--root=/mnt", "--preset-mode="+mode, "preset-all")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("preset-all: %v\n%s", err, out)
				}
				for name, want := range map[string]bool{"on.service": true, "too.socket": true, "t@one.service": true, "t@two.service": true, "d@d.service": true, "off.service": false} {
					if _, err := os.Lstat(filepath.Join(dir, "etc/systemd/system/x.target.wants", name)); (err == nil) != want {
						t.Errorf("%s, %s, %s: after preset-all a link of %s: %t, want %t\n%s", release, c.name, mode, name, err == nil, want, content)
					}
				}
			}
		}
	}
}

func TestFirstBoot(t *testing.T) {
	for content, want := range map[string]bool{
		"": false, "uninitialized\n": true, "uninitialized": true, "0123456789abcdef0123456789abcdef\n": false,
	} {
		system := unit.System{Root: fstest.MapFS{"etc/machine-id": {Data: []byte(content)}}}
		if got, err := system.FirstBoot(); got != want || err != nil {
			t.Errorf("FirstBoot with machine-id %q = %t, %v, want %t", content, got, err, want)
		}
	}
	if got, err := (unit.System{Root: fstest.MapFS{}}).FirstBoot(); !got || err != nil {
		t.Errorf("FirstBoot without machine-id = %t, %v, want true", got, err)
	}
}

func TestSysextHelp(t *testing.T) {
	for _, c := range []struct {
		release string
		systemd int
		want    string
	}{
		{"ID=debian\n", 257, "systemd of debian"},
		{"ID=azurelinux\n", 255, "systemd of azurelinux"},
		{"ID=openmandriva\n", 257, "systemd-sysext of openmandriva"},
		{"ID=ubuntu\n", 245, "newer release of ubuntu"},
		{"", 0, "systemd of the system"},
	} {
		system := unit.System{Root: fstest.MapFS{"etc/os-release": {Data: []byte(c.release)}}, Systemd: c.systemd}
		if got := system.SysextHelp(); !strings.Contains(got, c.want) {
			t.Errorf("SysextHelp for %q and systemd %d = %q, want %q", c.release, c.systemd, got, c.want)
		}
	}
}
