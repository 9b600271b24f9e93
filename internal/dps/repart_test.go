package dps_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// TestNamesOfRepart has systemd-repart make a partition of every type, by our
// name for it and with every setting that needs an attribute, and compares type
// UUID, label and attributes.
func TestNamesOfRepart(t *testing.T) {
	testenv.RequireRoot(t)
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		t.Run(release.String(), func(t *testing.T) {
			root := rootfs.Require(t, release)
			types := dps.Types()
			for len(types) > 0 { // a table has 128 places
				n := min(100, len(types))
				compareTypes(t, release, repart(t, root, types[:n]), types[:n])
				types = types[n:]
			}
		})
	}
}

func repart(t *testing.T, root rootfs.Rootfs, types []dps.Type) *gpt.Table {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "definitions"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, typ := range types {
		content := fmt.Sprintf("[Partition]\nType=%s\nSizeMinBytes=64K\nSizeMaxBytes=64K\nReadOnly=yes\nNoAuto=yes\nGrowFileSystem=yes\n", typ.Name)
		if err := os.WriteFile(filepath.Join(dir, "definitions", fmt.Sprintf("%03d.conf", i)), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := root.Command(context.Background(), []rootfs.Bind{{Host: dir, Guest: "/build"}},
		"systemd-repart", "--offline=yes", "--empty=create", "--size=16M", "--dry-run=no", "--definitions=/build/definitions", "/build/image.raw")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	image, err := os.Open(filepath.Join(dir, "image.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	info, err := image.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, problems, err := gpt.Read(image, info.Size())
	if err != nil || len(problems) > 0 {
		t.Fatalf("Read = %v, %v", problems, err)
	}
	return table
}

func compareTypes(t *testing.T, release rootfs.Release, table *gpt.Table, types []dps.Type) {
	t.Helper()
	if len(table.Partitions) != len(types) {
		t.Fatalf("systemd-repart made %d partitions, want %d", len(table.Partitions), len(types))
	}
	for i, p := range table.Partitions {
		typ := types[i]
		attributes := typ.Attributes()
		if typ.Designator.IsVeritySig() && release.Systemd < 258 {
			attributes = 0
		}
		if p.Type != typ.UUID || p.Name != typ.Name || p.Attributes != attributes {
			t.Errorf("%s: systemd-repart has type %s, label %q, attributes %q; want %s, %q, %q",
				typ.Name, p.Type, p.Name, p.Attributes, typ.UUID, typ.Name, attributes)
		}
	}
}
