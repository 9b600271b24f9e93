package probe_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/probe"
	"sextant/internal/testenv"
)

// TestLikeBlkid makes one of each kind with its own tool and asks blkid.
func TestLikeBlkid(t *testing.T) {
	testenv.Require(t, "blkid")
	for _, c := range []struct {
		name, tool, make string
		kind             probe.Kind
	}{
		{"ext2", "mkfs.ext2", "mkfs.ext2 -q -L root -U 11111111-2222-3333-4444-555555555555 disk", probe.Ext2},
		{"ext3", "mkfs.ext3", "mkfs.ext3 -q -L sixteen-bytes-16 disk", probe.Ext3},
		{"ext4", "mkfs.ext4", "mkfs.ext4 -q disk", probe.Ext4},
		{"ext4 without journal", "mkfs.ext4", "mkfs.ext4 -q -O ^has_journal disk", probe.Ext4},
		{"journal", "mke2fs", "mke2fs -q -O journal_dev disk", probe.Journal},
		{"fat12", "mkfs.vfat", "truncate -s 4M disk && mkfs.vfat -F 12 -n SMALL disk", probe.VFAT},
		{"fat16", "mkfs.vfat", "mkfs.vfat -F 16 -i DEADBEEF disk", probe.VFAT},
		{"fat32", "mkfs.vfat", "mkfs.vfat -F 32 -n ESP disk", probe.VFAT},
		{"fat32, 4096", "mkfs.vfat", "mkfs.vfat -F 32 -S 4096 -s 1 -n ESP disk", probe.VFAT},
		{"fat32, new label", "mlabel", "mkfs.vfat -F 32 disk && mlabel -i disk ::LATER", probe.VFAT},
		{"xfs", "mkfs.xfs", "mkfs.xfs -q -L data disk", probe.XFS},
		{"btrfs", "mkfs.btrfs", "mkfs.btrfs -q -L pool disk", probe.Btrfs},
		{"swap", "mkswap", "mkswap -q -L swap disk", probe.Swap},
		{"squashfs", "mksquashfs", "mkdir d && mksquashfs d disk -quiet -noappend", probe.SquashFS},
		{"erofs", "mkfs.erofs", "mkdir d && rm disk && mkfs.erofs --quiet disk d", probe.EROFS},
		{"luks1", "cryptsetup", "echo -n secret | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 disk -", probe.LUKS},
		{"luks2", "cryptsetup", "echo -n secret | cryptsetup luksFormat -q --type luks2 --label vault --pbkdf pbkdf2 --pbkdf-force-iterations 1000 disk -", probe.LUKS},
		{"verity", "veritysetup", "truncate -s 1M data && veritysetup format data disk", probe.Verity},
	} {
		t.Run(c.name, func(t *testing.T) {
			testenv.Require(t, c.tool)
			dir := t.TempDir()
			path := filepath.Join(dir, "disk")
			sh(t, dir, "truncate -s 320M disk && "+c.make)
			got := look(t, path)
			want := probe.Content{Kind: probe.Kind(tag(t, path, "TYPE")), UUID: tag(t, path, "UUID"), Label: tag(t, path, "LABEL")}
			if want.Kind != c.kind {
				t.Fatalf("blkid: %q, want %q", want.Kind, c.kind)
			}
			if got != want {
				t.Errorf("Probe = %q, blkid says %q", got, want)
			}
		})
	}
}

func sh(t *testing.T, dir, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func tag(t *testing.T, path, name string) string {
	t.Helper()
	out, err := exec.Command("blkid", "-p", "-o", "value", "-s", name, path).Output()
	if err != nil && len(out) > 0 {
		t.Fatalf("blkid %s: %v", path, err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

func look(t *testing.T, path string) probe.Content {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	state, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	c, err := probe.Probe(f, state.Size())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMade covers what no tool here makes, from the structures themselves.
func TestMade(t *testing.T) {
	put := func(size int, parts ...any) []byte {
		b := make([]byte, size)
		for i := 0; i < len(parts); i += 2 {
			copy(b[parts[i].(int):], parts[i+1].(string))
		}
		return b
	}
	ext4 := "\x53\xef"
	for name, c := range map[string]struct {
		disk []byte
		want probe.Kind
	}{
		"lvm":                     {put(1<<20, 512, "LABELONE", 512+24, "LVM2 001"), probe.LVM},
		"raid 1.2":                {put(1<<20, 4096, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00"), probe.RAID},
		"raid 1.0 around an ext4": {put(1<<20, 1024+0x38, ext4, 1<<20-8192, "\xfc\x4e\x2b\xa9\x01\x00\x00\x00"), probe.RAID},
		"raid 0.90":               {put(1<<20, 1024+0x38, ext4, 1<<20-65536, "\xfc\x4e\x2b\xa9"), probe.RAID},
		"xfs":                     {put(1<<16, 0, "XFSB"), probe.XFS},
		"zeros":                   {make([]byte, 1<<20), ""},
		"nothing":                 {nil, ""},
		"one byte":                {[]byte{1}, ""},
		"boot record":             {put(512, 510, "\x55\xaa"), ""},
	} {
		got, err := probe.Probe(bytes.NewReader(c.disk), int64(len(c.disk)))
		if err != nil || got.Kind != c.want {
			t.Errorf("%s: Probe = %q, %v, want %q", name, got.Kind, err, c.want)
		}
	}
}

func FuzzProbe(f *testing.F) {
	f.Add(make([]byte, 512))
	f.Fuzz(func(t *testing.T, disk []byte) {
		if _, err := probe.Probe(bytes.NewReader(disk), int64(len(disk))); err != nil {
			t.Error(err)
		}
	})
}
