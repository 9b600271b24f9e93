package ids_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"sextant/internal/dps"
	"sextant/internal/format/gpt"
	"sextant/internal/format/verity"
	"sextant/internal/ids"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// definitions are those of systemd-repart --make-ddi=sysext without the
// signature, which needs a key, and with types that come twice.
func definitions() map[string]string {
	return map[string]string{
		"10-root.conf":        "[Partition]\nType=root\nFormat=erofs\nCopyFiles=/usr/\nVerity=data\nVerityMatchKey=root\nMinimize=best\n",
		"20-root-verity.conf": "[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\nMinimize=best\n",
		"30-generic.conf":     "[Partition]\nType=linux-generic\nSizeMaxBytes=1M\n",
		"40-generic.conf":     "[Partition]\nType=linux-generic\nSizeMaxBytes=1M\n",
		"50-generic.conf":     "[Partition]\nType=linux-generic\nSizeMaxBytes=1M\n",
	}
}

// TestRepart compares every identifier of an image that systemd-repart makes
// with ours, for several seeds.
func TestRepart(t *testing.T) {
	testenv.RequireRoot(t)
	for _, release := range []rootfs.Release{rootfs.Trixie(), rootfs.Sid()} {
		t.Run(release.String(), func(t *testing.T) {
			root := rootfs.Require(t, release)
			for _, seed := range []string{"01234567-89ab-cdef-0123-456789abcdef", "ffffffff-ffff-4fff-bfff-fffffffffffe"} {
				checkImage(t, repart(t, root, seed), ids.Seed(gpt.MustParseGUID(seed)))
			}
		})
	}
}

// repart makes an image with the definitions above.
func repart(t *testing.T, root rootfs.Rootfs, seed string) *os.File {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("tree/usr/share/file", "content")
	for name, content := range definitions() {
		write("definitions/"+name, content)
	}
	cmd := root.Command(context.Background(), []rootfs.Bind{{Host: dir, Guest: "/build"}},
		"systemd-repart", "--seed="+seed, "--offline=yes", "--empty=create", "--size=auto", "--dry-run=no",
		"--definitions=/build/definitions", "--root=/build/tree", "/build/image.raw")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	image, err := os.Open(filepath.Join(dir, "image.raw"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { image.Close() })
	return image
}

func checkImage(t *testing.T, image *os.File, seed ids.Seed) {
	t.Helper()
	info, err := image.Stat()
	if err != nil {
		t.Fatal(err)
	}
	table, problems, err := gpt.Read(image, info.Size())
	if err != nil || len(problems) > 0 || len(table.Partitions) != 5 {
		t.Fatalf("Read = %v, %v, %v, want five partitions", table, problems, err)
	}
	section := func(i int) *io.SectionReader {
		s := table.Span(table.Partitions[i])
		return io.NewSectionReader(image, s.Offset, s.Length)
	}
	params, err := verity.ReadSuperblock(section(1), section(1).Size())
	if err != nil {
		t.Fatal(err)
	}
	rootType, _ := dps.TypeFor(dps.Root, dps.Native())
	generic, _ := dps.TypeFor(dps.LinuxGeneric, "")
	for _, id := range []struct {
		what      string
		got, want gpt.GUID
	}{
		{"disk", seed.Disk(), table.DiskGUID},
		{"superblock", seed.VerityUUID(), params.UUID},
		{"file system", ids.FileSystem(seed.Partition(rootType.UUID, 0)), erofsUUID(t, section(0))},
		{"first of a type", seed.Partition(generic.UUID, 0), table.Partitions[2].UUID},
		{"second of a type", seed.Partition(generic.UUID, 1), table.Partitions[3].UUID},
		{"third of a type", seed.Partition(generic.UUID, 2), table.Partitions[4].UUID},
	} {
		if id.got != id.want {
			t.Errorf("UUID of %s = %s, systemd-repart has %s", id.what, id.got, id.want)
		}
	}
	if got := seed.VeritySalt(); !bytes.Equal(got, params.Salt) {
		t.Errorf("VeritySalt() = %x, systemd-repart has %x", got, params.Salt)
	}
	checkHalves(t, table, section(0), section(1), params)
}

// checkHalves puts the root hash together from the partition UUIDs and verifies
// with it.
func checkHalves(t *testing.T, table *gpt.Table, data, hash *io.SectionReader, params verity.Params) {
	t.Helper()
	root := slices.Concat(table.Partitions[0].UUID[:], table.Partitions[1].UUID[:])
	report, err := verity.Verify(context.Background(), data, hash, params, root)
	if err != nil || report.Err() != nil {
		t.Errorf("Verify with the UUIDs as root hash = %v, %v", report, err)
	}
	if d, h := ids.VerityPartitions(root); d != table.Partitions[0].UUID || h != table.Partitions[1].UUID {
		t.Errorf("VerityPartitions(%x) = %s, %s", root, d, h)
	}
}

// erofsUUID reads the UUID at byte 48 of the superblock, which is at 1024.
func erofsUUID(t *testing.T, r io.ReaderAt) gpt.GUID {
	t.Helper()
	var id gpt.GUID
	if _, err := r.ReadAt(id[:], 1024+48); err != nil {
		t.Fatal(err)
	}
	return id
}
