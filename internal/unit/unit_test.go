package unit_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/unit"
)

// system makes a root of the lines of files, as lay has them.
func system(files string) unit.System {
	root := fstest.MapFS{}
	for line := range strings.Lines(files) {
		line = strings.TrimSuffix(line, "\n")
		if link, target, ok := strings.Cut(line, " -> "); ok {
			root[link] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		} else if name, content, ok := strings.Cut(line, ": "); ok {
			root[name] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(content, "|", "\n")), Mode: 0o644}
		}
	}
	return unit.System{Root: root, Systemd: 257, Architecture: "arm64"}
}

func TestEnable(t *testing.T) {
	s := system(unitDir + "a.service: [Install]|WantedBy=x.target|Alias=b.service|Also=c.socket|\n" + unitDir + "c.socket: [Install]|WantedBy=x.target|\n" +
		"etc/systemd/system/b.service -> /nowhere\n" + "etc/hostname: host|\n")
	got, err := s.Enable("a")
	if err != nil {
		t.Fatal(err)
	}
	want := unit.Changes{
		MakeDirs: []string{"/etc/systemd/system/x.target.wants"},
		Make: []unit.Link{
			{Path: "/etc/systemd/system/b.service", Target: "/usr/lib/systemd/system/a.service"},
			{Path: "/etc/systemd/system/x.target.wants/a.service", Target: "/usr/lib/systemd/system/a.service"},
			{Path: "/etc/systemd/system/x.target.wants/c.socket", Target: "/usr/lib/systemd/system/c.socket"},
		},
		Remove: []string{"/etc/systemd/system/b.service"},
		Units:  []string{"a.service", "c.socket"},
		Warnings: []unit.Warning{
			{Unit: "a.service", Text: "wanted by x.target, which does not exist"},
			{Unit: "c.socket", Text: "wanted by x.target, which does not exist"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Enable (-want +got):\n%s", diff)
	}
}

func TestDisable(t *testing.T) {
	s := system(unitDir + "a.service: [Install]|WantedBy=x.target|\n" + "etc/systemd/system/x.target.wants/a.service -> ../a.service\n")
	got, err := s.Disable("a")
	want := unit.Changes{
		Remove:     []string{"/etc/systemd/system/x.target.wants/a.service"},
		RemoveDirs: []string{"/etc/systemd/system/x.target.wants"},
		Units:      []string{"a.service"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Disable (-want +got): %v\n%s", err, diff)
	}
}

// TestRefused has what differs from systemctl on purpose, and what callers ask
// for by errors.Is.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, files, unit, want string }{
		{"missing", "etc/x: y", "a.service", "a.service"},
		{"boot ID", unitDir + "a.service: [Install]|WantedBy=%b.target|", "a", "%b is known only where the system runs"},
		{"host name", unitDir + "a.service: [Install]|WantedBy=%H.target|", "a", "%H is known only"},
		{"short host name", unitDir + "a.service: [Install]|WantedBy=%l.target|", "a", "%l is known only"},
		{"pretty host name", unitDir + "a.service: [Install]|WantedBy=%q.target|", "a", "%q is known only"},
		{"kernel", unitDir + "a.service: [Install]|WantedBy=%v.target|", "a", "%v is known only"},
		{"no os-release", unitDir + "a.service: [Install]|WantedBy=%o.target|", "a", "%o: /usr/lib/os-release"},
		{"no os-release, in Also", unitDir + "a.service: [Install]|Also=%o.service|", "a", "%o: /usr/lib/os-release"},
		{"no machine ID", unitDir + "a.service: [Install]|WantedBy=%m.target|", "a", "%m: /etc/machine-id"},
		{"script of SysV init", "etc/init.d/a: #!/bin/sh", "a", "/etc/init.d/a is a script of SysV init"},
		{"relative path", unitDir + "a.service: [Install]|", "./a.service", "must be absolute"},
		{"empty name", "etc/x: y", "", "is no name of a unit"},
		{"too long", "etc/x: y", strings.Repeat("x", 300), "is no name of a unit"},
		{"link loop", "etc/systemd -> systemd", "a", "too many symbolic links"},
	} {
		changes, err := system(c.files).Enable(c.unit)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Enable = %v, %v, want an error with %q", c.name, changes, err, c.want)
		}
		if diff := cmp.Diff(unit.Changes{}, changes); diff != "" {
			t.Errorf("%s: Enable with an error returns changes:\n%s", c.name, diff)
		}
		if missing := errors.Is(err, fs.ErrNotExist); missing != (c.name == "missing") {
			t.Errorf("%s: Enable = %v, is fs.ErrNotExist: %t", c.name, err, missing)
		}
	}
}

func TestArchitecture(t *testing.T) {
	s := system(unitDir + "a.service: [Install]|WantedBy=%a.target|")
	changes, err := s.Enable("a")
	if err != nil || len(changes.Make) != 1 || changes.Make[0].Path != "/etc/systemd/system/arm64.target.wants/a.service" {
		t.Errorf("Enable = %v, %v, want a link of arm64.target", changes, err)
	}
	s.Architecture = ""
	if changes, err := s.Enable("a"); err == nil {
		t.Errorf("Enable with an unknown architecture = %v, want an error", changes)
	}
}

func TestScriptBesideUnit(t *testing.T) {
	s := system("etc/init.d/a: #!/bin/sh\n" + unitDir + "a.service: [Install]|WantedBy=x.target|")
	changes, err := s.Enable("a")
	if err != nil || len(changes.Warnings) != 2 || !strings.Contains(changes.Warnings[0].String(), "/etc/init.d") {
		t.Errorf("Enable = %v, %v, want a warning about /etc/init.d", changes, err)
	}
}

// FuzzUnits gives a root whatever bytes: a unit, a drop-in, a link and a preset.
func FuzzUnits(f *testing.F) {
	f.Add("[Install]\nWantedBy=x.target\nAlias=b.service\nAlso=%p@%i.service \\\n a\nDefaultInstance=d\n", "[Install]\nWantedBy=\n", "t@one.service", "enable t@.service a b\ndisable [!a-z]*\n")
	f.Add("[Install]\nAlso=t@%ix.service\n", "", "../../../dev/null", "ignore *\n")
	f.Add("[Inst\"all]\n", "\xff", "/", "enable\n")
	f.Fuzz(func(t *testing.T, text, dropIn, target, preset string) {
		s := unit.System{Systemd: 257, Root: fstest.MapFS{
			unitDir + "t@.service":                           {Data: []byte(text)},
			"etc/systemd/system/t@.service.d/x.conf":         {Data: []byte(dropIn)},
			"etc/systemd/system/l.service":                   {Data: []byte(target), Mode: fs.ModeSymlink},
			"usr/lib/systemd/system-preset/x.preset":         {Data: []byte(preset)},
			"etc/systemd/system/x.target.wants/t@a.service":  {Data: []byte("../" + target), Mode: fs.ModeSymlink},
			"etc/systemd/system/x.target.requires/l.service": {Data: []byte("../l.service"), Mode: fs.ModeSymlink},
		}}
		for _, name := range []string{"t@.service", "t@one.service", "l.service", target} {
			if changes, err := s.Enable(name); err != nil && !changes.Empty() {
				t.Errorf("Enable = %v with error %v", changes, err)
			}
			if changes, err := s.Disable(name); err != nil && !changes.Empty() {
				t.Errorf("Disable = %v with error %v", changes, err)
			}
			_, _ = s.State(name)
		}
		_, _ = s.PresetFile([]string{"t@one.service"}, []string{"l.service"})
	})
}
