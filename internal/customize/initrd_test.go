package customize_test

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sextant/internal/testenv"
)

// archive makes an initrd with some files.
func archive(t *testing.T, names ...string) string {
	t.Helper()
	testenv.Require(t, "cpio")
	dir := t.TempDir()
	for _, name := range names {
		write(t, filepath.Join(dir, name), name, "x")
	}
	cmd := exec.Command("sh", "-c", "find . -type f | cpio --quiet -o -H newc | gzip")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// unified wraps an initrd as a unified kernel image does.
func unified(t *testing.T, initrd string) string {
	t.Helper()
	const headers = 0x200
	var b bytes.Buffer
	b.WriteString("MZ" + strings.Repeat("\x00", 0x3a) + "\x40\x00\x00\x00PE\x00\x00")
	section := pe.SectionHeader32{SizeOfRawData: uint32(len(initrd)), VirtualSize: uint32(len(initrd)), PointerToRawData: headers}
	copy(section.Name[:], ".initrd")
	for _, part := range []any{pe.FileHeader{Machine: pe.IMAGE_FILE_MACHINE_AMD64, NumberOfSections: 1}, section} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.String() + strings.Repeat("\x00", headers-b.Len()) + initrd
}

// TestInitrd takes an overlay for the initrd only where the initrd can mount it.
func TestInitrd(t *testing.T) {
	const config = "os: {overlays: [{mountPoint: /media, lowerDirs: [/media, /srv], upperDir: /var/u, workDir: /var/w, isInitrdOverlay: true}]}"
	with := archive(t, "init", "usr/lib/modules/6.1/kernel/fs/overlayfs/overlay.ko.xz")
	without := archive(t, "init", "usr/lib/modules/6.1/kernel/fs/overlayfs/overlayfs.ko")
	kernel := "usr/lib/modules/6.1/modules.builtin"
	for name, c := range map[string]struct {
		files files
		want  string
	}{
		"built in":                 {files{kernel: "kernel/fs/overlayfs/overlay.ko\n"}, ""},
		"in the initrd":            {files{kernel: "", "boot/initrd.img-6.1": with}, ""},
		"not in the initrd":        {files{kernel: "", "boot/initrd.img-6.1": without}, "/boot/initrd.img-6.1 has no module overlay"},
		"in one initrd of two":     {files{kernel: "", "usr/lib/modules/6.2/modules.builtin": "", "boot/initrd.img-6.1": with, "boot/initramfs-6.2.img": without}, "/boot/initramfs-6.2.img has no module overlay"},
		"by kernel-install":        {files{kernel: "", "boot/token/6.1/initrd": with}, ""},
		"in a unified image":       {files{kernel: "", "boot/EFI/Linux/a.efi": unified(t, with)}, ""},
		"not in a unified image":   {files{kernel: "", "boot/EFI/Linux/a.efi": unified(t, without)}, "/boot/EFI/Linux/a.efi has no module overlay"},
		"no initrd":                {files{kernel: ""}, "no initrd of kernel 6.1 was found"},
		"an initrd that is broken": {files{kernel: "", "boot/initrd.img-6.1": "rubbish"}, "no archive and no compression that is known"},
		"no kernel":                {nil, "the base has no kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			base := fileSystem(t, ext4, 8<<20, minimal(c.files))
			plan, err := planOf(t, base, config, nil)
			if c.want == "" && err == nil {
				out := memory(bytes.Clone(base))
				if err := plan.Apply(t.Context(), out); err != nil {
					t.Fatal(err)
				}
				want := `"overlay /media overlay lowerdir=/sysroot/media:/sysroot/srv,upperdir=/sysroot/var/u,workdir=/sysroot/var/w,x-initrd.mount,x-systemd.wanted-by=initrd-fs.target 0 0\n"`
				if got := listing(t, out, "etc"); len(got) != 1 || !strings.HasSuffix(got[0], want) {
					t.Errorf("fstab: %q, want %s", got, want)
				}
				return
			}
			if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("New = %v, want %q", err, c.want)
			}
		})
	}
}
