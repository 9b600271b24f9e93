package customize_test

import (
	"errors"
	"strings"
	"testing"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/testenv"
)

// TestReadOnlyRoot has a root that nobody can change, with /var apart: what goes
// to /var is written, and what goes to the root is refused before anything is.
func TestReadOnlyRoot(t *testing.T) {
	testenv.Require(t, "mkfs.erofs", "mksquashfs")
	for kind, script := range map[string]string{
		"erofs":    `mkfs.erofs --quiet --all-root "$1.fs" "$2" && dd if="$1.fs" of="$1" conv=notrunc status=none`,
		"squashfs": `mksquashfs "$2" "$1.fs" -quiet -no-progress -all-root && dd if="$1.fs" of="$1" conv=notrunc status=none`,
	} {
		root := part{role: dps.Root, make: script, files: minimal(files{"var/": "", "etc/fstab": "LABEL=var /var ext4 defaults 0 2\n"})}
		disk := newDisk(t, 512, root, part{role: dps.LinuxGeneric, files: files{"lib/": ""}, make: strings.Replace(ext4, "-L root", "-L var", 1)})
		_, out := apply(t, disk, "os: {additionalFiles: [{content: x, destination: /var/lib/new}]}", nil)
		if got := listing(t, out, "var/lib"); len(got) != 1 || got[0] != `var/lib/new file 0644 0:0 "x"` {
			t.Errorf("%s: /var/lib: %q", kind, got)
		}
		_, err := planOf(t, disk, "os: {additionalFiles: [{content: x, destination: /etc/new}]}", nil)
		if !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), kind+" is read-only by its nature") {
			t.Errorf("%s: a file in the root: %v", kind, err)
		}
	}
}

// TestHiddenRoot says why a root cannot be looked into, and nothing else.
func TestHiddenRoot(t *testing.T) {
	luks := part{role: dps.Root, make: `printf 'LUKS\272\276\000\002' | dd of="$1" conv=notrunc status=none`}
	_, err := open(t, newDisk(t, 512, luks))
	const want = "root file system on partition 1 (root-x86-64) is encrypted (crypto_LUKS)"
	if !errors.Is(err, fault.ErrUnsupported) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Open of an encrypted root = %v, want %s", err, want)
	}
}
