package unit_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

const unitDir = "usr/lib/systemd/system/"

// TestDebianUnitsLikeSystemctl enables and disables each unit of some packages
// of Debian, and each that the release itself has.
func TestDebianUnitsLikeSystemctl(t *testing.T) {
	text, err := os.ReadFile("testdata/debian-units")
	must(t, err)
	_, packaged, _ := strings.Cut(string(text), "\n")
	for _, release := range rootfs.Releases() {
		if release != rootfs.Bookworm() && !testenv.Long() {
			continue
		}
		t.Run(release.String(), func(t *testing.T) {
			own := ownUnits(t, rootfs.Require(t, release))
			good, _ := compare(t, release, append(chunks(packaged), chunks(own)...))
			if good < 2*270 {
				t.Errorf("%d steps are the same: they show too little", good)
			}
			t.Logf("%d steps the same", good)
		})
	}
}

// chunks makes cases of the units, 40 in each: all files, and every unit
// enabled and disabled in turn. Those without [Install] take longer than they
// are worth each time.
func chunks(files string) []kase {
	var cases []kase
	units := slices.DeleteFunc(strings.Split(strings.TrimSpace(files), "\n"), func(line string) bool {
		return strings.Contains(line, " -> ") || !testenv.Long() && !strings.Contains(line, ": [Install]")
	})
	for list := range slices.Chunk(units, 40) {
		var ops []string
		for _, line := range list {
			path, _, _ := strings.Cut(line, ": ")
			// A template needs an instance, and an instance will do for all.
			n := strings.Replace(strings.TrimPrefix(path, unitDir), "@.", "@one.", 1)
			ops = append(ops, "enable "+n, "disable "+n)
		}
		cases = append(cases, kase{list[0], files, strings.Join(ops, "; ")})
	}
	return cases
}

// ownUnits returns the units of a root file system as lines for lay. Those
// without a line of [Install] are left out.
func ownUnits(t *testing.T, tree rootfs.Rootfs) string {
	t.Helper()
	var b strings.Builder
	dir := filepath.Join(tree.Tree, unitDir)
	list, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range list {
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(filepath.Join(dir, e.Name()))
			must(t, err)
			fmt.Fprintf(&b, "%s%s -> %s\n", unitDir, e.Name(), target)
		case e.Type().IsRegular():
			text, err := os.ReadFile(filepath.Join(dir, e.Name()))
			must(t, err)
			if _, install, ok := strings.Cut(string(text), "[Install]"); ok {
				fmt.Fprintf(&b, "%s%s: [Install]%s\n", unitDir, e.Name(), strings.ReplaceAll(install, "\n", "|"))
			} else {
				fmt.Fprintf(&b, "%s%s: [Unit]|\n", unitDir, e.Name())
			}
		}
	}
	return b.String()
}
