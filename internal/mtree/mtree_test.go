package mtree_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sextant/internal/format/erofs"
	"sextant/internal/imagetest"
	"sextant/internal/mtree"
	"sextant/internal/testenv"
	"sextant/internal/tree"
	"sextant/internal/vmtest/rootfs"
)

func TestWrite(t *testing.T) {
	b := imagetest.NewBuilder()
	b.File("usr/bin/tool", 0o4755, "hello\n").UID = 7
	b.File("usr/empty", 0o600, "").GID = 8
	b.Symlink("usr/a link#", "to [x]*?;\\é")
	b.Special("usr/null", tree.TypeChar|0o666, tree.Device{Major: 1, Minor: 3})
	b.Special("usr/fifo", tree.TypeFIFO|0o600, tree.Device{})
	want := `./ type=dir mode=0755 uid=0 gid=0
./usr/ type=dir mode=0755 uid=0 gid=0
./usr/a\x20link\x23 type=link uid=0 gid=0 link=to\x20\x5bx]\x2a\x3f\x3b\x5c\xc3\xa9
./usr/bin/ type=dir mode=0755 uid=0 gid=0
./usr/bin/tool type=file mode=0755 uid=7 gid=0 size=6 sha256sum=5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03
./usr/empty type=file mode=0600 uid=0 gid=8 size=0
./usr/fifo type=fifo mode=0600 uid=0 gid=0
./usr/null type=char mode=0666 uid=0 gid=0 device=linux,1,3
`
	for _, test := range []struct {
		opts mtree.Options
		want string
	}{
		{mtree.Options{}, want},
		{mtree.Options{NoHash: true}, strings.ReplaceAll(want, " sha256sum=5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", "")},
	} {
		var got bytes.Buffer
		if err := mtree.Write(context.Background(), &got, b.Tree, test.opts); err != nil {
			t.Fatal(err)
		}
		if got.String() != test.want {
			t.Errorf("Write(%+v) = \n%s\nwant\n%s", test.opts, got.String(), test.want)
		}
	}
}

// TestDissect wants the same lines as systemd-dissect prints for an image with
// the corner tree.
func TestDissect(t *testing.T) {
	testenv.RequireRoot(t)
	want := corner(t)
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		t.Run(release.String(), func(t *testing.T) {
			system := rootfs.Require(t, release)
			cmd := system.Command(t.Context(), []rootfs.Bind{
				{Host: filepath.Dir(want.image), Guest: "/mnt"},
			}, "env", "SYSTEMD_COLORS=0", "systemd-dissect", "--mtree", "/mnt/corner.raw")
			var errs bytes.Buffer
			cmd.Stderr = &errs
			got, err := cmd.Output()
			if err != nil {
				t.Fatalf("systemd-dissect: %v\n%s", err, errs.String())
			}
			compare(t, string(got), want.manifest)
		})
	}
}

type sample struct{ image, manifest string }

// corner writes the corner tree to an image and prints it.
func corner(t *testing.T) sample {
	t.Helper()
	layout, err := erofs.Plan(imagetest.Corner(), erofs.Options{BuildTime: time.Unix(1_700_000_000, 0)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "corner.raw")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, io.NewSectionReader(layout.Open(), 0, layout.Size())); err != nil {
		t.Fatal(err)
	}
	read, err := erofs.Open(f, layout.Size())
	if err != nil {
		t.Fatal(err)
	}
	files, err := read.Tree()
	if err != nil {
		t.Fatal(err)
	}
	var manifest bytes.Buffer
	if err := mtree.Write(context.Background(), &manifest, files, mtree.Options{}); err != nil {
		t.Fatal(err)
	}
	return sample{path, manifest.String()}
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	ours, theirs := strings.Split(want, "\n"), strings.Split(got, "\n")
	if len(ours) != len(theirs) {
		t.Errorf("systemd-dissect prints %d lines, we %d", len(theirs), len(ours))
	}
	for i := range min(len(ours), len(theirs)) {
		if ours[i] != theirs[i] {
			t.Fatalf("line %d: systemd-dissect %q, we %q", i+1, theirs[i], ours[i])
		}
	}
}
