package acceptance_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/ini"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// settingsOf returns what a unit says, each word of a list for itself. What it
// runs and how it is called is not among it.
func settingsOf(t *testing.T, path string) map[string][]string {
	t.Helper()
	sections, err := ini.Parse(ini.Systemd, path, readFile(t, path))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for _, s := range sections {
		for _, k := range s.Keys {
			if k.Name == "Description" || k.Name == "Documentation" || strings.HasPrefix(k.Name, "Exec") {
				continue
			}
			found[s.Name+"."+k.Name] = append(found[s.Name+"."+k.Name], strings.Fields(k.Value)...)
		}
	}
	for _, list := range found {
		slices.Sort(list)
	}
	return found
}

// TestUnitsAreLikeSystemds holds our units against those of 262: the same
// conditions, the same place in the boot.
func TestUnitsAreLikeSystemds(t *testing.T) {
	tree := rootfs.Require(t, rootfs.Sid())
	names, err := filepath.Glob("../../units/*.service")
	if err != nil || len(names) != 8 {
		t.Fatalf("%d units, %v", len(names), err)
	}
	for _, path := range names {
		theirs := settingsOf(t, filepath.Join(tree.Tree, "usr/lib/systemd/system", filepath.Base(path)))
		ours := settingsOf(t, path)
		delete(ours, "Service.SuccessExitStatus")
		delete(ours, "Service.TimeoutStartSec")
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: systemd's (-), ours (+)\n%s", filepath.Base(path), diff)
		}
	}
}

// TestUnitsAreValid lets systemd-analyze read them.
func TestUnitsAreValid(t *testing.T) {
	testenv.RequireRoot(t)
	units, err := filepath.Abs("../../units")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "sextant")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		tree := rootfs.Require(t, release)
		binds := []rootfs.Bind{{Host: units, Guest: "/units"}, {Host: program, Guest: "/usr/bin/sextant"}}
		cmd := tree.Command(t.Context(), binds, "sh", "-ec", "cp /units/* /etc/systemd/system/; systemd-analyze verify --man=no /etc/systemd/system/systemd-*ext*.service")
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", release, err, out)
		}
	}
}
