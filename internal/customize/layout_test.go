package customize_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/testenv"
	"sextant/internal/vmtest/rootfs"
)

// raw makes a partition with these bytes at its start.
func raw(text string) string { return `printf '` + text + `' | dd of="$1" conv=notrunc status=none` }

// TestLayouts finds the root and what is mounted where.
func TestLayouts(t *testing.T) {
	root := part{role: dps.Root, name: "root", files: minimal(nil)}
	withFstab := func(lines string) part {
		p := root
		p.files = minimal(files{"etc/fstab": lines})
		return p
	}
	esp := part{role: dps.ESP, name: "esp", make: vfat}
	for _, c := range []struct {
		name   string
		parts  []part
		choose []string
		want   string // mounts, or the error
	}{
		{"root alone", []part{root}, nil, "/ 1 ext4"},
		{"root by content", []part{{role: dps.LinuxGeneric, files: files{"data/": ""}}, {role: dps.LinuxGeneric, files: minimal(nil)}}, nil, "/ 2 ext4"},
		{"ESP by type, at /efi", []part{esp, root}, nil, "/ 2 ext4\n/efi 1 vfat"},
		{
			"ESP by type, at /boot", []part{esp, {role: dps.Root, files: files{"etc/": "", "usr/": "", "boot/": ""}}}, nil,
			"/ 2 ext4\n/boot 1 vfat",
		},
		{
			"ESP by type, nowhere", []part{esp, {role: dps.Root, files: files{"etc/": "", "usr/": "", "boot/vmlinuz": "x"}}}, nil,
			"/ 2 ext4",
		},
		{"UUID", []part{esp, withFstab("UUID=CAFE-F00D /boot/efi vfat defaults 0 2\n")}, nil, "/ 2 ext4\n/boot/efi 1 vfat"},
		{"PARTUUID", []part{esp, withFstab("PARTUUID=\"04030201-0000-0000-0000-000000000000\" /boot/efi vfat defaults 0 2\n")}, nil, "/ 2 ext4\n/efi 1 vfat"},
		{"PARTLABEL", []part{esp, withFstab("PARTLABEL=esp /boot/efi vfat defaults 0 2\n")}, nil, "/ 2 ext4\n/boot/efi 1 vfat"},
		{"by-uuid", []part{esp, withFstab("/dev/disk/by-uuid/CAFE-F00D /boot/efi vfat defaults 0 2\n")}, nil, "/ 2 ext4\n/boot/efi 1 vfat"},
		{"by-partlabel", []part{{role: dps.LinuxGeneric, name: "my data"}, withFstab(`/dev/disk/by-partlabel/my\x20data /srv ext4` + "\n")}, nil, "/ 2 ext4\n/srv 1 ext4"},
		{"device", []part{esp, withFstab("/dev/nvme0n1p1 /boot/efi vfat\n")}, nil, "/ 2 ext4\n/boot/efi 1 vfat"},
		{"noauto", []part{esp, withFstab("PARTLABEL=esp /efi vfat noauto\n")}, nil, "/ 2 ext4\n/boot 1 vfat"},
		{"noauto with automount", []part{esp, withFstab("PARTLABEL=esp /mnt vfat noauto,x-systemd.automount\n")}, nil, "/ 2 ext4\n/mnt 1 vfat"},
		{"another disk", []part{root, withFstab("UUID=00000000-1111 /data ext4\n")}, []string{"2"}, "/ 2 ext4"},
		{"one label, two partitions", []part{{role: dps.LinuxGeneric}, withFstab("LABEL=root /srv ext4\n")}, nil, "/etc/fstab line 1: LABEL=root fits partition 1 and partition 2 (root-x86-64)"},
		{"mount units", []part{
			{role: dps.LinuxGeneric, name: "data"}, {role: dps.LinuxGeneric, name: "off"}, {role: dps.LinuxGeneric, name: "masked"},
			{role: dps.Root, files: minimal(files{
				"usr/lib/systemd/system/srv.mount":                       "[Mount]\nWhat=/dev/disk/by-partlabel/data\nWhere=/srv\nOptions=noatime\n",
				"usr/lib/systemd/system/mnt.mount":                       "[Mount]\nWhat=/dev/disk/by-partlabel/off\nWhere=/mnt\n",
				"usr/lib/systemd/system/opt.mount":                       "[Mount]\nWhat=/dev/disk/by-partlabel/masked\nWhere=/opt\n",
				"usr/lib/systemd/system/local-fs.target.wants/opt.mount": "-> ../opt.mount",
				"etc/systemd/system/local-fs.target.requires/srv.mount":  "-> /usr/lib/systemd/system/srv.mount",
				"etc/systemd/system/opt.mount":                           "-> /dev/null",
			})},
		}, nil, "/ 4 ext4\n/srv 1 ext4"},
		{"usr and home by type", []part{
			{role: dps.Usr, files: files{"bin/": ""}},
			{role: dps.Home, files: files{"me/": ""}}, root,
		}, nil, "/ 3 ext4\n/usr 1 ext4\n/home 2 ext4"},
		{"var by type, of another installation", []part{{role: dps.Var}, withFstab("")}, nil, "/ 2 ext4"},
		{
			"swap", []part{{role: dps.Swap, make: `mkswap -q "$1"`}, withFstab("/dev/sda1 none swap sw\n")}, nil, "/ 2 ext4",
		},
		{"A and B", []part{root, root}, nil, "2 root file systems: partition 1 (root-x86-64), partition 2 (root-x86-64)"},
		{"B of A and B", []part{root, root}, []string{"2"}, "/ 2 ext4"},
		{"by PARTUUID", []part{root, root}, []string{"04030201-0000-0000-0000-000000000000"}, ""},
		{"A and B without type", []part{{role: dps.LinuxGeneric, files: minimal(nil)}, {role: dps.LinuxGeneric, files: minimal(nil)}}, nil, "2 root file systems: partition 1, partition 2"},
		{"B is not to be mounted", []part{root, {role: dps.Root, attrs: gpt.NoAuto, files: minimal(nil)}}, nil, "/ 1 ext4"},
		{"B is empty", []part{root, {role: dps.Root, name: "_empty", make: "true"}}, nil, "/ 1 ext4"},
		{"chosen in vain", []part{root, {role: dps.LinuxGeneric, name: "data"}}, []string{"data"}, "--partition: partition 2 (data) has neither a root file system nor one for /usr"},
		{"no such partition", []part{root}, []string{"7"}, `no partition "7": the image has partition 1 (root-x86-64)`},
		{"two /usr", []part{{role: dps.Usr}, {role: dps.Usr}, root}, nil, "2 file systems for /usr: partition 1 (usr-x86-64), partition 2 (usr-x86-64)"},
		{"second /usr", []part{{role: dps.Usr}, {role: dps.Usr}, root}, []string{"2"}, "/ 3 ext4\n/usr 2 ext4"},
		{"LUKS", []part{{role: dps.Root, make: raw(`LUKS\272\276\000\002`)}}, nil, "partition 1 (root-x86-64) is encrypted (crypto_LUKS): unsupported"},
		{"LVM", []part{{role: dps.LinuxGeneric, make: raw(`LABELONE................LVM2 001`)}}, nil, "no root file system that can be seen: partition 1 is a physical volume of LVM: unsupported"},
		{"btrfs", []part{{role: dps.LinuxGeneric, size: 128, make: `mkfs.btrfs -q "$1"`}}, nil, "no root file system that can be seen: partition 1: "},
		{"nothing", []part{{role: dps.LinuxGeneric, make: "true"}}, nil, "no partition has a root file system"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := open(t, newDisk(t, 512, c.parts...), c.choose...)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = strings.Join(mounts(b), "\n")
			}
			if c.want == "" {
				return
			}
			if err != nil && !strings.Contains(got, c.want) || err == nil && got != c.want {
				t.Errorf("mounts:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// TestSectorsAndTables finds the same in disks with large sectors, with a master
// boot record, and in a bare file system.
func TestSectorsAndTables(t *testing.T) {
	root := part{role: dps.Root, files: minimal(nil)}
	large := newDisk(t, 4096, root)
	b, err := open(t, large)
	if err != nil {
		t.Fatal(err)
	}
	if got := mounts(b); !cmp.Equal(got, []string{"/ 1 ext4"}) || b.SectorSize != 4096 {
		t.Errorf("sectors of 4096: %v, %d", got, b.SectorSize)
	}
	bare := fileSystem(t, ext4, 8<<20, minimal(nil))
	if b, err = open(t, bare); err != nil {
		t.Fatal(err)
	}
	if got := mounts(b); !cmp.Equal(got, []string{"/ 0 ext4"}) {
		t.Errorf("bare file system: %v", got)
	}
	testenv.Require(t, "sfdisk")
	for sector, script := range map[string]string{
		"512":  "label: dos\n2048 4096 ef\n8192 16384 83 *\n",
		"4096": "label: dos\n256 512 ef\n1024 2048 83 *\n",
	} {
		name := filepath.Join(t.TempDir(), "disk")
		if err := os.WriteFile(name, make([]byte, 16<<20), 0o644); err != nil {
			t.Fatal(err)
		}
		// sfdisk knows sectors of files as 512 bytes; the numbers are the same.
		cmd := exec.Command("sfdisk", "-q", name)
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("sfdisk: %v\n%s", err, out)
		}
		disk, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		copy(disk[4<<20:], bare)
		b, err := open(t, disk)
		if err != nil {
			t.Fatalf("MBR, sectors of %s: %v", sector, err)
		}
		if got := strings.Join(mounts(b), "\n"); got != "/ 2 ext4" {
			t.Errorf("MBR, sectors of %s: %s", sector, got)
		}
	}
	if _, err := open(t, make([]byte, 1<<20)); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("zeros: %v, want that it is corrupt", err)
	}
}

// TestVerity refuses a root that a hash tree vouches for, whatever the types of
// the partitions, and one beside that is not protected.
func TestVerity(t *testing.T) {
	testenv.Require(t, "veritysetup")
	format := func(p part) (data, hash part) {
		image := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(image, fileSystem(t, ext4, 8<<20, p.files), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("veritysetup", "format", image, image+".hash").CombinedOutput(); err != nil {
			t.Fatalf("veritysetup: %v\n%s", err, out)
		}
		data, hash = p, part{role: dps.LinuxGeneric, make: `cp "` + image + `.hash" "$1" && truncate -s 8M "$1"`}
		data.make, data.files = `cp "`+image+`" "$1"`, nil
		return data, hash
	}
	root, hash := format(part{role: dps.LinuxGeneric, files: minimal(nil)})
	if _, err := open(t, newDisk(t, 512, root, hash)); err == nil || !strings.Contains(err.Error(), "partition 1 is protected by dm-verity, with its hash tree in partition 2") {
		t.Errorf("protected root: %v", err)
	}
	usr, hash := format(part{role: dps.Usr, files: files{"lib/os": "x"}})
	b, err := open(t, newDisk(t, 512, part{role: dps.Root, files: minimal(nil)}, usr, hash))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(mounts(b), "\n"); !strings.HasPrefix(got, "/ 1 ext4\n/usr 2 ext4: partition 2 (usr-x86-64) is protected by dm-verity") {
		t.Errorf("protected /usr: %s", got)
	}
}

// TestOwnVar mounts a partition for /var whose UUID comes from the machine id,
// as systemd itself says.
func TestOwnVar(t *testing.T) {
	own, err := gpt.ParseGUID(ownVar(t, "5e47a27000000000000000000000c0de"))
	if err != nil {
		t.Fatal(err)
	}
	disk := newDisk(t, 512, part{role: dps.Var, uuid: own, files: files{"lib/": ""}},
		part{role: dps.Root, files: minimal(files{"etc/machine-id": "5e47a27000000000000000000000c0de\n"})})
	b, err := open(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(mounts(b), "\n"); got != "/ 2 ext4\n/var 1 ext4" {
		t.Errorf("mounts:\n%s", got)
	}
}

// ownVar asks systemd for the UUID of the partition for /var that belongs to a
// machine id.
func ownVar(t *testing.T, id string) string {
	t.Helper()
	testenv.RequireRoot(t)
	trixie := rootfs.Require(t, rootfs.Trixie())
	cmd := trixie.Command(t.Context(), nil, "sh", "-c", "echo "+id+" >/etc/machine-id && systemd-id128 var-partition-uuid")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("systemd-id128: %v", err)
	}
	return strings.TrimSpace(string(out))
}
