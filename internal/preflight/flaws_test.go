package preflight_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"sextant/internal/imagetest/disk"
	"sextant/internal/keys"
	"sextant/internal/preflight"
)

func generalFlaws() []flaw {
	return []flaw{
		{"all is well", func(t *testing.T, s *scene) {}, nil, ""},
		{"no extension at all", func(t *testing.T, s *scene) { *s = scene{files: fstest.MapFS{}, systemd: 252} }, nil, ""},
	}
}

func placeFlaws() []flaw {
	return []flaw{
		{"elsewhere", func(t *testing.T, s *scene) { s.images[0].Path = "/opt/tool.raw"; delete(s.files, place[1:]) },
			[]string{"error place-unread"}, "put it into /var/lib/extensions"},
		{"in /usr of 262", func(t *testing.T, s *scene) { s.put("/usr/lib/extensions/tool.raw", s.images[0].File.(disk.Blob)) },
			[]string{"error place-unread"}, "systemd 262 does not look into /usr/lib/extensions"},
		{"in /usr of 252", func(t *testing.T, s *scene) {
			s.systemd = 252
			s.put("/usr/lib/extensions/tool.raw", s.images[0].File.(disk.Blob))
		}, []string{"warning place-inside"}, "inside of /usr"},
		{"a directory in /usr of 252", func(t *testing.T, s *scene) { s.systemd = 252; s.write("usr/lib/extensions/dir/usr/x", "") },
			[]string{"error place-inside"}, "ELOOP"},
		{"a directory of extensions that is a link into /opt", func(t *testing.T, s *scene) {
			s.write("opt/ext/dir/usr/x", "")
			s.link("etc/extensions", "../opt/ext")
		}, []string{"error place-inside"}, "ELOOP"},
		{"such a link through another", func(t *testing.T, s *scene) {
			s.write("opt/ext/dir/usr/x", "")
			s.link("etc/extensions", "../var/ext")
			s.link("var/ext", "../opt/ext")
		}, []string{"error place-inside"}, "ELOOP"},
		{"in /etc/extensions", func(t *testing.T, s *scene) { s.put("/etc/extensions/tool.raw", s.images[0].File.(disk.Blob)) }, nil, ""},
		{"hidden by another", func(t *testing.T, s *scene) { s.write("etc/extensions/tool.raw", "") },
			[]string{"warning place-hidden"}, "/etc/extensions/tool.raw has the same name"},
		{"beside another", func(t *testing.T, s *scene) { s.write("etc/extensions/other.raw", "") }, nil, ""},
		{"configuration in /etc/confexts", func(t *testing.T, s *scene) { s.put("/etc/confexts/tool.raw", plain(t, confext("ID=_any\n"))) },
			[]string{"error place-unread"}, "/var/lib/confexts"},
		{"configuration among system extensions", func(t *testing.T, s *scene) { s.put(place, plain(t, confext("ID=_any\n"))) },
			[]string{"error place-unread"}, "put it into /var/lib/confexts"},
		{"configuration", func(t *testing.T, s *scene) { s.put("/var/lib/confexts/tool.raw", plain(t, confext("ID=_any\n"))) }, nil, ""},
	}
}

func releaseFlaws() []flaw {
	return []flaw{
		{"systemd unknown", func(t *testing.T, s *scene) { s.systemd = 0 }, []string{"warning systemd-unknown"}, ""},
		{"systemd 247", func(t *testing.T, s *scene) { s.systemd = 247 }, []string{"error systemd-too-old"}, "came with 248"},
		{"configuration and 252", func(t *testing.T, s *scene) {
			s.systemd = 252
			s.put("/var/lib/confexts/tool.raw", plain(t, confext("ID=_any\n")))
		}, []string{"error confext", "error host", "error systemd-too-old"}, "came with 254"},
	}
}

func imageFlaws() []flaw {
	return []flaw{
		{"not an image", func(t *testing.T, s *scene) { s.put(place, disk.Blob("no image, but text")) }, []string{"error image-not-checked"}, ""},
		{"empty", func(t *testing.T, s *scene) { s.put(place, disk.Blob{}) }, []string{"error image-not-checked"}, ""},
		{"damaged", func(t *testing.T, s *scene) {
			b := slices.Clone(s.images[0].File.(disk.Blob))
			b[40*512+5000] ^= 1
			s.put(place, b)
		}, []string{"error tree-block"}, "build it again"},
		{"another name", func(t *testing.T, s *scene) { s.put("/var/lib/extensions/other.raw", s.images[0].File.(disk.Blob)) },
			[]string{"error release-name"}, "call it /var/lib/extensions/tool.raw"},
		{"a version in the name, 252", func(t *testing.T, s *scene) {
			s.systemd = 252
			s.put("/var/lib/extensions/tool_1.raw", s.images[0].File.(disk.Blob))
		}, []string{"error release-cut-name"}, "call it /var/lib/extensions/tool.raw"},
		{"a version in the name, 262", func(t *testing.T, s *scene) { s.put("/var/lib/extensions/tool_1.raw", s.images[0].File.(disk.Blob)) }, nil, ""},
		{"no suffix", func(t *testing.T, s *scene) { s.put("/var/lib/extensions/tool.img", s.images[0].File.(disk.Blob)) },
			[]string{"error image-name"}, "call it /var/lib/extensions/tool.raw"},
		{"another ID", func(t *testing.T, s *scene) { s.put(place, plain(t, release("ID=fedora\n"))) }, []string{"error host"}, "build the extension for this base"},
		{"another VERSION_ID", func(t *testing.T, s *scene) { s.put(place, plain(t, release("ID=debian\nVERSION_ID=12\n"))) }, []string{"error host"}, "VERSION_ID=12"},
		{"the same VERSION_ID", func(t *testing.T, s *scene) { s.put(place, plain(t, release("ID=debian\nVERSION_ID=13\n"))) }, nil, ""},
		{"another SYSEXT_LEVEL", func(t *testing.T, s *scene) {
			s.os += "SYSEXT_LEVEL=1\n"
			s.put(place, plain(t, release("ID=debian\nSYSEXT_LEVEL=2\nVERSION_ID=13\n")))
		}, []string{"error host"}, "SYSEXT_LEVEL=2"},
		{"another architecture", func(t *testing.T, s *scene) { s.arch = "arm64" }, []string{"error host"}, "ARCHITECTURE=x86-64"},
		{"no certificate", func(t *testing.T, s *scene) { s.systemd = 257; delete(s.files, "etc/verity.d/good.crt") },
			[]string{"error signature-untrusted"}, "put the certificate that signed it into /etc/verity.d"},
		{"another certificate", func(t *testing.T, s *scene) {
			s.systemd = 257
			s.trust(disk.Generate(t, keys.ECDSAP256, "other").Certificate)
		},
			[]string{"error signature-untrusted"}, ""},
		{"a masked certificate", func(t *testing.T, s *scene) {
			s.systemd = 257
			s.files["usr/lib/verity.d/good.crt"] = s.files["etc/verity.d/good.crt"]
			s.link("etc/verity.d/good.crt", "/dev/null")
		}, []string{"error signature-untrusted"}, ""},
		{"a certificate in /usr", func(t *testing.T, s *scene) {
			s.systemd = 257
			s.files["usr/lib/verity.d/good.crt"] = s.files["etc/verity.d/good.crt"]
			delete(s.files, "etc/verity.d/good.crt")
		}, nil, ""},
	}
}

func kernelFlaws() []flaw {
	return []flaw{
		{"no overlayfs", func(t *testing.T, s *scene) {
			s.write("boot/config-6.12", strings.Replace(config, "CONFIG_OVERLAY_FS=m", "# CONFIG_OVERLAY_FS is not set", 1))
		}, []string{"error kernel-lacks"}, "has no overlayfs (CONFIG_OVERLAY_FS)"},
		{"no dm-verity", func(t *testing.T, s *scene) {
			s.write("boot/config-6.12", strings.Replace(config, "CONFIG_DM_VERITY=m\n", "", 1))
		},
			[]string{"error kernel-lacks"}, "CONFIG_DM_VERITY"},
		{"no dm-verity, and no hash tree", func(t *testing.T, s *scene) {
			s.write("boot/config-6.12", strings.Replace(config, "CONFIG_DM_VERITY=m\n", "", 1))
			s.put(place, plain(t, release("ID=_any\n")))
		}, nil, ""},
		{"no erofs", func(t *testing.T, s *scene) {
			s.write("boot/config-6.12", strings.Replace(config, "CONFIG_EROFS_FS=m", "", 1))
		},
			[]string{"error kernel-lacks"}, "another file system"},
		{"module gone", func(t *testing.T, s *scene) {
			s.write("usr/lib/modules/6.12/modules.dep", strings.Replace(depmod, "erofs.ko", "x.ko", 1))
		},
			[]string{"error kernel-lacks"}, "install the package of the kernel's modules"},
		{"built in", func(t *testing.T, s *scene) {
			s.write("boot/config-6.12", strings.ReplaceAll(config, "=m", "=y"))
			s.write("usr/lib/modules/6.12/modules.dep", "")
		}, nil, ""},
		{"modules only", func(t *testing.T, s *scene) { delete(s.files, "boot/config-6.12") }, nil, ""},
		{"modules only, one missing", func(t *testing.T, s *scene) {
			delete(s.files, "boot/config-6.12")
			s.write("usr/lib/modules/6.12/modules.dep", strings.Replace(depmod, "overlay.ko", "x.ko", 1))
		}, []string{"error kernel-lacks"}, "overlayfs"},
		{"modules only, one built in", func(t *testing.T, s *scene) {
			delete(s.files, "boot/config-6.12")
			s.write("usr/lib/modules/6.12/modules.dep", strings.Replace(depmod, "overlay.ko", "x.ko", 1))
			s.write("usr/lib/modules/6.12/modules.builtin", "kernel/fs/overlayfs/overlay.ko\n")
		}, nil, ""},
		{"one of two kernels", func(t *testing.T, s *scene) {
			s.write("usr/lib/modules/6.13/modules.dep", depmod)
			s.write("usr/lib/modules/6.13/config", strings.Replace(config, "CONFIG_EROFS_FS=m", "", 1))
		}, []string{"warning kernel-lacks"}, "kernel 6.13"},
		{"no kernel", func(t *testing.T, s *scene) {
			maps.DeleteFunc(s.files, func(name string, _ *fstest.MapFile) bool {
				return strings.HasPrefix(name, "boot") || strings.HasPrefix(name, "usr/lib/modules")
			})
		}, nil, "the base has no kernel to look at"},
	}
}

func overlayFlaws() []flaw {
	return []flaw{
		{"overlay on /usr", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/usr")} }, []string{"warning overlay-same"}, "keep /usr for the extensions"},
		{"overlay on /opt, which no extension has", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/opt")} }, nil, ""},
		{"overlay on /opt, and another extension", func(t *testing.T, s *scene) {
			s.overlays = []preflight.Overlay{over("/opt")}
			s.write("var/lib/extensions/other.raw", "")
		}, []string{"warning overlay-same"}, ""},
		{"overlay on /etc", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/etc")} }, nil, ""},
		{"overlay on /etc, and configuration", func(t *testing.T, s *scene) {
			s.overlays = []preflight.Overlay{over("/etc")}
			s.put("/var/lib/confexts/tool.raw", plain(t, confext("ID=_any\n")))
		}, []string{"warning overlay-same"}, ""},
		{"overlay on /usr/local, 252", func(t *testing.T, s *scene) { s.systemd, s.overlays = 252, []preflight.Overlay{over("/usr/local")} },
			[]string{"warning overlay-hidden"}, "hides what is mounted below it"},
		{"overlay on /usr/local, 256", func(t *testing.T, s *scene) { s.systemd, s.overlays = 256, []preflight.Overlay{over("/usr/local")} },
			[]string{"warning overlay-hidden"}, ""},
		{"overlay on /usr/local, 257", func(t *testing.T, s *scene) { s.systemd, s.overlays = 257, []preflight.Overlay{over("/usr/local")} }, nil, ""},
		{"overlay where the extension has files, 257", func(t *testing.T, s *scene) { s.systemd, s.overlays = 257, []preflight.Overlay{over("/usr/share/doc")} },
			[]string{"error overlay-hides"}, "hides /usr/share/doc/tool/text of tool.raw"},
		{"overlay where the extension has files, 252", func(t *testing.T, s *scene) { s.systemd, s.overlays = 252, []preflight.Overlay{over("/usr/share/doc")} },
			[]string{"warning overlay-hidden"}, ""},
		{"overlay elsewhere", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/srv"), over("/usrlocal")} }, nil, ""},
		{"two on /usr", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/usr"), over("/usr")} },
			[]string{"error overlay-deep", "warning overlay-same"}, "no more than 2"},
		{"one on / and one on /usr", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/"), over("/usr")} },
			[]string{"error overlay-deep", "warning overlay-same"}, "EINVAL"},
		{"one on /", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/")} }, nil, ""},
		{"one on /usr of another place", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/srv"), over("/usr", "/srv/usr")} },
			[]string{"error overlay-deep", "warning overlay-same"}, ""},
		{"its directories in /usr", func(t *testing.T, s *scene) { s.overlays = []preflight.Overlay{over("/srv", "/usr/share/srv")} },
			[]string{"warning overlay-inside"}, "/usr/share/srv"},
		{"late on /usr", func(t *testing.T, s *scene) {
			s.overlays = []preflight.Overlay{preflight.OverlayOf("/usr", []string{"lowerdir=/usr", "upperdir=/u", "workdir=/w", "nofail"}, "/etc/fstab:2")}
		}, []string{"warning overlay-late"}, "/etc/fstab:2"},
	}
}

func serviceFlaws() []flaw {
	return []flaw{
		{"service not enabled", func(t *testing.T, s *scene) {
			delete(s.files, "etc/systemd/system/sysinit.target.wants/systemd-sysext.service")
		},
			[]string{"warning service-off"}, "enable systemd-sysext.service"},
		{"service masked", func(t *testing.T, s *scene) { s.link("etc/systemd/system/systemd-sysext.service", "/dev/null") },
			[]string{"warning service-off"}, "is masked"},
		{"service is a broken link", func(t *testing.T, s *scene) {
			s.link("etc/systemd/system/systemd-sysext.service", "../../../usr/lib/systemd/system/systemd-sysext.socket")
		}, []string{"warning service-off"}, "nothing tells"},
		{"service missing", func(t *testing.T, s *scene) { delete(s.files, "usr/lib/systemd/system/systemd-sysext.service") },
			[]string{"error service-missing"}, "package systemd"},
		{"service of the other class not enabled", func(t *testing.T, s *scene) {
			delete(s.files, "etc/systemd/system/sysinit.target.wants/systemd-confext.service")
		}, nil, ""},
	}
}
