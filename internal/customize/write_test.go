package customize_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sextant/internal/customize"
	"sextant/internal/disk"
	"sextant/internal/dps"
	"sextant/internal/imagetest/virtual"
	"sextant/internal/prism"
	"sextant/internal/testenv"
)

// TestFormats writes each format and lets qemu-img and sgdisk judge it: the
// partition tables, of which the backup moves where the disk grows, and that
// all hold the same files. Written again by one processor each is the same.
func TestFormats(t *testing.T) {
	testenv.Require(t, "qemu-img", "sgdisk", "cmp")
	dir := t.TempDir()
	base := filepath.Join(dir, "base.raw")
	if err := os.WriteFile(base, newDisk(t, 512, part{role: dps.Root, size: 16, files: minimal(files{"usr/noise": string(virtual.Noise(5<<20, 1))})}), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, format := range disk.Formats() {
		t.Run(string(format), func(t *testing.T) {
			_, plan := planned(t, base)
			out := filepath.Join(dir, "out."+string(format))
			if err := plan.Write(t.Context(), customize.Output{Path: out, Format: format}); err != nil {
				t.Fatal(err)
			}
			if format == disk.QCOW2 || format == disk.VHDX {
				virtual.Run(t, "qemu-img", "check", "-q", "-f", string(format), out)
			}
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
			if err := plan.Write(t.Context(), customize.Output{Path: out + "2", Format: format}); err != nil {
				t.Fatal(err)
			}
			virtual.Run(t, "cmp", out, out+"2")
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

// TestDraft begins images and drops them: nothing is left, and what had the name
// before is as it was.
func TestDraft(t *testing.T) {
	base, dir := filepath.Join(t.TempDir(), "base.raw"), t.TempDir()
	if err := os.WriteFile(base, newDisk(t, 512, part{role: dps.Root, files: minimal(nil)}), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := os.WriteFile(out, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, plan := planned(t, base)
	for _, format := range disk.Formats() {
		draft, err := b.Begin(t.Context(), customize.Output{Path: out, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		draft.Discard()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := plan.Write(ctx, customize.Output{Path: out, Format: format}); !errors.Is(err, context.Canceled) {
			t.Errorf("Write that is cancelled = %v", err)
		}
		if text, err := os.ReadFile(out); string(text) != "old" || err != nil {
			t.Errorf("the old file holds %q, %v", text, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := b.Begin(t.Context(), customize.Output{Path: filepath.Join(dir, "no/out")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Begin where there is no directory = %v", err)
	}
}

// planned opens a base and plans to give it a host name.
func planned(t *testing.T, base string) (*customize.Base, *customize.Plan) {
	t.Helper()
	b, err := customize.OpenPath(t.Context(), base, customize.Options{Now: now()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	cfg, err := prism.Parse([]byte("os: {hostname: written}"), "c.yaml", filepath.Dir(base))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := customize.New(t.Context(), b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b, plan
}
