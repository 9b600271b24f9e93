package customize_test

import (
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

// TestFormats writes each format and lets qemu-img and sgdisk judge it: the
// partition tables, of which the backup moves where the disk grows, and that
// all hold the same files.
func TestFormats(t *testing.T) {
	testenv.Require(t, "qemu-img", "sgdisk")
	dir := t.TempDir()
	base := filepath.Join(dir, "base.raw")
	if err := os.WriteFile(base, newDisk(t, 512, part{role: dps.Root, files: minimal(nil)}), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, format := range disk.Formats() {
		t.Run(string(format), func(t *testing.T) {
			b, err := customize.OpenPath(t.Context(), base, customize.Options{Now: now()})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			cfg, err := prism.Parse([]byte("os: {hostname: written}"), "c.yaml", dir)
			if err != nil {
				t.Fatal(err)
			}
			plan, err := customize.New(t.Context(), b, cfg)
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(dir, "out."+string(format))
			if err := plan.Write(t.Context(), customize.Output{Path: out, Format: format}); err != nil {
				t.Fatal(err)
			}
			raw := filepath.Join(dir, string(format)+".raw")
			qemu := map[disk.Format]string{disk.VHD: "vpc", disk.VHDFixed: "vpc", disk.Raw: "raw", disk.QCOW2: "qcow2", disk.VHDX: "vhdx"}[format]
			if out, err := exec.Command("qemu-img", "convert", "-f", qemu, "-O", "raw", out, raw).CombinedOutput(); err != nil {
				t.Fatalf("qemu-img: %v\n%s", err, out)
			}
			said, err := exec.Command("sgdisk", "-v", raw).CombinedOutput()
			if err != nil || !strings.Contains(string(said), "No problems found") {
				t.Errorf("sgdisk -v: %v\n%s", err, said)
			}
			bytes, err := os.ReadFile(raw)
			if err != nil {
				t.Fatal(err)
			}
			if format == disk.VHDFixed && len(bytes)%(1<<20) != 0 {
				t.Errorf("the disk has %d bytes, not whole MiB", len(bytes))
			}
			if got := listing(t, bytes, "etc"); len(got) != 1 || got[0] != `etc/hostname file 0644 0:0 "written\n"` {
				t.Errorf("/etc: %q", got)
			}
		})
	}
}
