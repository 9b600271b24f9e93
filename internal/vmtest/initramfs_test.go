package vmtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sextant/internal/testenv"
	"sextant/internal/vmtest/guest"
)

// modules writes a directory of kernel modules where each is its own name.
func modules(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"modules.dep": "kernel/drivers/md/dm-verity.ko.xz: kernel/drivers/md/dm-bufio.ko.xz kernel/drivers/md/dm-mod.ko.xz\n" +
			"kernel/drivers/md/dm-bufio.ko.xz: kernel/drivers/md/dm-mod.ko.xz\n" +
			"kernel/drivers/md/dm-mod.ko.xz:\n" +
			"kernel/drivers/block/virtio_blk.ko:\n",
		"modules.builtin":                    "kernel/fs/ext4/ext4.ko\n",
		"kernel/drivers/md/dm-verity.ko.xz":  "verity",
		"kernel/drivers/md/dm-bufio.ko.xz":   "bufio",
		"kernel/drivers/md/dm-mod.ko.xz":     "mod",
		"kernel/drivers/block/virtio_blk.ko": "blk",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestModuleFiles(t *testing.T) {
	dir := modules(t)
	got, err := moduleFiles(dir, []string{"virtio_blk", "ext4", "dm_verity", "dm-mod"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"kernel/drivers/block/virtio_blk.ko",
		"kernel/drivers/md/dm-mod.ko.xz",
		"kernel/drivers/md/dm-bufio.ko.xz",
		"kernel/drivers/md/dm-verity.ko.xz",
	}
	if !slices.Equal(got, want) {
		t.Errorf("moduleFiles = %q, want %q", got, want)
	}
	if _, err := moduleFiles(dir, []string{"nosuch"}); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("moduleFiles(nosuch): %v, want an error that names it", err)
	}
}

// TestInitramfs reads the archive with cpio, which the kernel agrees with.
func TestInitramfs(t *testing.T) {
	testenv.Require(t, "cpio")
	dir := modules(t)
	program := filepath.Join(dir, "kernel/drivers/block/virtio_blk.ko")
	var b bytes.Buffer
	if err := writeInitramfs(&b, program, dir, guest.Config{Seconds: 7}, []string{"dm-verity"}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cpio", "--extract", "--quiet", "--no-absolute-filenames")
	cmd.Dir, cmd.Stdin = t.TempDir(), &b
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for name, want := range map[string]string{
		"init":         "blk",
		"dm-mod.ko.xz": "mod",
		"config.json":  `{"Modules":["/dm-mod.ko.xz","/dm-bufio.ko.xz","/dm-verity.ko.xz"],"Program":null,"Seconds":7,"Mounts":null}`,
	} {
		if got, err := os.ReadFile(filepath.Join(cmd.Dir, name)); string(got) != want {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
}
