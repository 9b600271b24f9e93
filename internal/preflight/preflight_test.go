package preflight_test

import (
	"crypto/x509"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/extension"
	"sextant/internal/imagetest"
	"sextant/internal/imagetest/disk"
	"sextant/internal/keys"
	"sextant/internal/preflight"
	"sextant/internal/report"
)

const (
	place  = "/var/lib/extensions/tool.raw"
	config = "CONFIG_OVERLAY_FS=m\nCONFIG_BLK_DEV_LOOP=m\nCONFIG_DM_VERITY=m\nCONFIG_EROFS_FS=m\nCONFIG_EROFS_FS_ZIP=y\n# CONFIG_EROFS_FS_ZIP_ZSTD is not set\n"
	depmod = "kernel/fs/overlayfs/overlay.ko.xz:\nkernel/drivers/block/loop.ko.xz:\nkernel/drivers/md/dm-verity.ko: kernel/drivers/md/dm-mod.ko\nkernel/fs/erofs/erofs.ko.zst:\n"
	osFile = "ID=debian\nVERSION_ID=13\n"
)

// scene is a base and what is put into it. The zero scene, as start makes it,
// has nothing wrong.
type scene struct {
	systemd  int
	os       string
	arch     string
	files    fstest.MapFS
	overlays []preflight.Overlay
	images   []preflight.Image
}

// start makes a base with everything an extension needs, and the extension.
func start(t *testing.T) *scene {
	pair := disk.Generate(t, keys.ECDSAP256, "good")
	s := &scene{systemd: 262, os: osFile, arch: "x86-64", files: fstest.MapFS{}}
	s.write("usr/lib/modules/6.12/modules.dep", depmod)
	s.write("usr/lib/modules/6.12/modules.builtin", "")
	s.write("boot/config-6.12", config)
	s.write("usr/lib/systemd/system/systemd-sysext.service", "[Install]\nWantedBy=sysinit.target\n")
	s.write("usr/lib/systemd/system/systemd-confext.service", "[Install]\nWantedBy=sysinit.target\n")
	s.link("etc/systemd/system/sysinit.target.wants/systemd-sysext.service", "/usr/lib/systemd/system/systemd-sysext.service")
	s.link("etc/systemd/system/sysinit.target.wants/systemd-confext.service", "/usr/lib/systemd/system/systemd-confext.service")
	s.trust(pair.Certificate)
	s.put(place, disk.Recipe{Files: disk.Content("tool").Tree, Signature: disk.SignedBy(t, pair)}.Make(t).Bytes)
	return s
}

func (s *scene) write(name, text string) {
	s.files[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
}

func (s *scene) link(name, target string) {
	s.files[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
}

func (s *scene) trust(certificate *x509.Certificate) {
	s.write("etc/verity.d/good.crt", string(keys.MarshalCertificate(certificate)))
}

// put puts an image into the base instead of all others.
func (s *scene) put(path string, bytes disk.Blob) {
	for _, m := range s.images {
		delete(s.files, m.Path[1:])
	}
	s.write(path[1:], "stands for the image")
	s.images = []preflight.Image{{Path: path, File: bytes, Size: int64(len(bytes))}}
}

func (s *scene) check(t *testing.T) *report.Report {
	t.Helper()
	release, err := extension.ParseRelease([]byte(s.os))
	if err != nil {
		t.Fatal(err)
	}
	found, err := preflight.Check(t.Context(), preflight.Base{
		Root: s.files, OS: release, Architecture: s.arch, Systemd: s.systemd, Overlays: s.overlays, Now: disk.Now(),
	}, s.images)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	return found
}

// summary gives the findings that are worse than a note, as "severity id".
func summary(found *report.Report) []string {
	seen := map[string]bool{}
	for _, f := range found.Findings {
		if f.Severity > report.Note {
			seen[fmt.Sprint(f.Severity, " ", f.ID)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// plain is an unsigned image of a tree.
func plain(t *testing.T, b imagetest.Builder) disk.Blob {
	return disk.Recipe{Files: b.Tree, NoHash: true}.Make(t).Bytes
}

func release(text string) imagetest.Builder {
	b := imagetest.NewBuilder()
	b.File("usr/bin/tool", 0o755, "x")
	b.File("usr/lib/extension-release.d/extension-release.tool", 0o644, text)
	return b
}

func confext(text string) imagetest.Builder {
	b := imagetest.NewBuilder()
	b.File("etc/tool.conf", 0o644, "x")
	b.File("etc/extension-release.d/extension-release.tool", 0o644, text)
	return b
}

// over is an overlay on a directory, as Image Customizer writes it.
func over(at string, lower ...string) preflight.Overlay {
	if lower == nil {
		lower = []string{at}
	}
	return preflight.Overlay{At: at, Lower: lower, Upper: "/mnt/upper" + at, Work: "/mnt/work" + at, Origin: "/etc/fstab:3"}
}

// flaw is something wrong with a scene, and what Check says.
type flaw struct {
	name string
	make func(t *testing.T, s *scene)
	want []string
	text string // in one of the findings
}

// TestCheck has, for each check, what fails it. That the same passes without
// the flaw, the first case shows, and those that want nothing.
func TestCheck(t *testing.T) {
	for _, c := range slices.Concat(generalFlaws(), placeFlaws(), releaseFlaws(), imageFlaws(), kernelFlaws(), overlayFlaws(), serviceFlaws()) {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			c.make(t, s)
			found := s.check(t)
			if diff := cmp.Diff(c.want, summary(found)); diff != "" {
				t.Errorf("Check (-want +got):\n%s%v", diff, found.Findings)
			}
			said := func(f report.Finding) bool { return strings.Contains(f.String(), c.text) }
			if c.text != "" && !slices.ContainsFunc(found.Findings, said) {
				t.Errorf("no finding says %q: %v", c.text, found.Findings)
			}
		})
	}
}

func TestOverlayOf(t *testing.T) {
	got := preflight.OverlayOf("/sysroot/etc/", []string{`lowerdir=/sysroot/etc:/a\:b`, "upperdir=/sysroot/var/u", "workdir=/var/w", "x-initrd.mount"}, "x")
	want := preflight.Overlay{At: "/etc", Lower: []string{"/etc", "/a:b"}, Upper: "/var/u", Work: "/var/w", Origin: "x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("OverlayOf (-want +got):\n%s", diff)
	}
}
