package customize_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/customize"
	"sextant/internal/disk"
	"sextant/internal/dps"
	"sextant/internal/prism"
	"sextant/internal/testenv"
)

// TestBtrfs changes a root on btrfs through the kernel, in its default subvolume
// or the one that has a root in it, into a raw image, a qcow2, and in place. The
// ESP beside it is changed by ourselves.
func TestBtrfs(t *testing.T) {
	testenv.RequireRoot(t)
	testenv.Require(t, "mkfs.btrfs", "btrfs", "qemu-img", "unshare")
	if _, err := os.Stat("/sys/fs/btrfs/features/temp_fsid"); err != nil {
		testenv.Missing(t, "temp_fsid", "the kernel cannot mount a copy of a btrfs beside the original")
	}
	root := minimal(files{"etc/fstab": "PARTLABEL=esp /boot/efi vfat\n", "boot/efi/": ""})
	for name, script := range map[string]string{
		"default": `mkfs.btrfs -q --rootdir "$2" "$1"`,
		"subvolume": `mkfs.btrfs -q "$1" && unshare -m sh -euc '
			mount -o loop "$1" /mnt; btrfs -q subvolume create /mnt/@; cp -a "$2"/. /mnt/@/; umount /mnt' sh "$1" "$2"`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			base := filepath.Join(dir, "base.raw")
			bytes := newDisk(t, 512, part{role: dps.ESP, name: "esp", make: vfat},
				part{role: dps.LinuxGeneric, size: 128, make: script, files: root})
			if err := os.WriteFile(base, bytes, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, format := range []disk.Format{disk.Raw, disk.QCOW2} {
				out := filepath.Join(dir, "out."+string(format))
				writePlan(t, base, func(p *customize.Plan) error {
					return p.Write(t.Context(), customize.Output{Path: out, Format: format})
				})
				checkBtrfs(t, out)
			}
			writePlan(t, base, func(p *customize.Plan) error { return p.WriteInPlace(t.Context()) })
			checkBtrfs(t, base)
		})
	}
}

// writePlan makes a plan for the base at path and has it written.
func writePlan(t *testing.T, path string, write func(*customize.Plan) error) {
	t.Helper()
	b, err := customize.OpenPath(t.Context(), path, customize.Options{Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if got := strings.Join(mounts(b), "\n"); got != "/ 2 btrfs\n/boot/efi 1 vfat" {
		t.Fatalf("mounts:\n%s", got)
	}
	cfg, err := prism.Parse([]byte("os: {additionalFiles: [{content: a, destination: /srv/a}, {content: b, destination: /boot/efi/b}]}"), "c.yaml", "/")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := customize.New(t.Context(), b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := write(plan); err != nil {
		t.Fatal(err)
	}
}

// checkBtrfs lets btrfs check a changed image, and looks at the new files.
func checkBtrfs(t *testing.T, image string) {
	t.Helper()
	raw := filepath.Join(t.TempDir(), "raw")
	if out, err := exec.Command("qemu-img", "convert", "-O", "raw", image, raw).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v\n%s", err, out)
	}
	b, err := customize.OpenPath(t.Context(), raw, customize.Options{Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	root, err := b.Root()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"srv/a": "a", "boot/efi/b": "b"} {
		if text, err := root.ReadFile(name); err != nil || string(text) != want {
			t.Errorf("%s: %s is %q, %v", filepath.Base(image), name, text, err)
		}
	}
	part := b.Mounts[0].Part.Span
	shell := `dd if="$1" of="$1.part" bs=1M skip=$2 count=$3 status=none && btrfs check "$1.part"`
	cmd := exec.Command("sh", "-euc", shell, "sh", raw, fmt.Sprint(part.Offset>>20), fmt.Sprint(part.Length>>20))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("btrfs check: %v\n%s", err, out)
	}
}
