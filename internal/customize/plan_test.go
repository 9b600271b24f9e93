package customize_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sextant/internal/customize"
	"sextant/internal/dps"
	"sextant/internal/prism"
	"sextant/internal/tree"
)

// system is a base with partitions for the ESP, /var and /usr, and a systemd
// that is only a name.
func system(t *testing.T) []byte {
	t.Helper()
	root := minimal(files{
		"etc/fstab": "# mounts\nPARTLABEL=esp /boot/efi vfat umask=0077 0 2\nPARTLABEL=var /var ext4 defaults,x-initrd.mount 0 2\n" +
			"PARTLABEL=usr /usr ext4 ro 0 0\ntmpfs /tmp tmpfs mode=1777 0 0\n",
		"etc/machine-id": "5e47a27000000000000000000000c0de\n",
		"etc/passwd":     "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n",
		"etc/group":      "root:x:0:\nlog:x:4:\n",
		"etc/os-release": "ID=test\nVERSION_ID=1\n",
		"etc/link":       "-> /usr/share/real",
		"boot/efi/":      "", "bin": "-> usr/bin", "root/": "", "home/me/": "",
		"etc/modprobe.d/modules-disabled.conf": "blacklist vfio\nblacklist floppy\n",
		"etc/modprobe.d/module-options.conf":   "# options\noptions e1000e InterruptThrottleRate=1 Other=2",
	})
	return newDisk(t, 512,
		part{role: dps.ESP, name: "esp", make: vfat, files: files{"EFI/BOOT/BOOTX64.EFI": "boot"}},
		part{role: dps.Root, name: "root", files: root},
		part{role: dps.LinuxGeneric, name: "var", files: files{"lib/": "", "cache/": ""}},
		part{role: dps.LinuxGeneric, name: "usr", files: files{
			"lib/systemd/system/local-fs.target.wants/media.mount": "-> ../media.mount",
			"lib/systemd/system/media.mount":                       "[Mount]\nWhat=tmpfs\nWhere=/media\nType=tmpfs\n",
			"bin/":                                                 "", "share/": "", "lib/systemd/libsystemd-shared-257.so": "",
			"lib/systemd/systemd": "ELF", "lib/systemd/system/web.service": "[Install]\nWantedBy=multi-user.target\nAlias=http.service\n",
			"lib/systemd/system/multi-user.target": "", "lib/systemd/system/plain.service": "[Service]\nExecStart=true\n",
			"lib/tmpfiles.d/a.conf": "d /var/log/web 2750 daemon log -\nd /srv/%m 0700\nq /var/tmp 1777 root root 30d\n",
		}},
	)
}

// apply makes a plan of a config and applies it to a copy of the disk.
func apply(t *testing.T, disk []byte, config string, sources files) (*customize.Plan, []byte) {
	t.Helper()
	plan, err := planOf(t, disk, config, sources)
	if err != nil {
		t.Fatal(err)
	}
	before := sha256.Sum256(disk)
	out := memory(bytes.Clone(disk))
	if err := plan.Apply(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(disk) != before {
		t.Error("the base changed")
	}
	checkFS(t, out, plan.Base)
	return plan, out
}

func planOf(t *testing.T, disk []byte, config string, sources files) (*customize.Plan, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range sources {
		write(t, filepath.Join(dir, name), name, text)
	}
	cfg, err := prism.Parse([]byte(config), "c.yaml", dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	return customize.New(context.Background(), b, cfg)
}

// listing describes every file below some directories of a disk, as its system
// sees them.
func listing(t *testing.T, disk []byte, dirs ...string) (list []string) {
	t.Helper()
	b, err := open(t, disk)
	if err != nil {
		t.Fatal(err)
	}
	root, err := b.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		err := fs.WalkDir(root, dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || p == dir && d.IsDir() {
				return err
			}
			state, err := root.Lstat(p)
			if err != nil {
				return err
			}
			list = append(list, describe(t, root, p, state.Sys().(*tree.Inode)))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func describe(t *testing.T, root fs.FS, p string, node *tree.Inode) string {
	t.Helper()
	line := fmt.Sprintf("%s %s %04o %d:%d", p, node.Mode.Kind(), node.Mode.Perm(), node.UID, node.GID)
	if !node.ModTime.Equal(now()) {
		line += " old"
	}
	switch {
	case node.Mode.Type() == tree.TypeSymlink:
		line += " " + node.Target
	case node.Mode.IsRegular():
		text, err := fs.ReadFile(root, p)
		if err != nil {
			t.Fatal(err)
		}
		line += fmt.Sprintf(" %q", text)
	}
	for _, x := range node.Xattrs {
		line += fmt.Sprintf(" %s=%q", x.Name, x.Value)
	}
	return line
}

// added returns what a listing has more than another one. The time of a
// directory is that of its last change, so it does not count for those that were
// there.
func added(before, after []string) (list []string) {
	for _, line := range after {
		if slices.Contains(before, line) || strings.Contains(line, " dir ") && slices.Contains(before, line+" old") {
			continue
		}
		list = append(list, line)
	}
	return list
}

func wantAdded(t *testing.T, disk, out []byte, want ...string) {
	t.Helper()
	got := added(listing(t, disk, "."), listing(t, out, "."))
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("new files (-want +got):\n%s", diff)
	}
}

// TestFiles puts files on four partitions, through links, with parents.
func TestFiles(t *testing.T) {
	disk := system(t)
	_, out := apply(t, disk, `
os:
  hostname: sensor
  additionalFiles:
  - source: tool
    destination: /bin/tool
    permissions: "755"
  - source: sub/data
    destination: /var/lib/new/data
  - content: linked
    destination: etc/link
  - content: ""
    destination: /srv/a/../empty
    permissions: 600
  - content: efi
    destination: /boot/efi/EFI/sextant/stub.efi
  - content: second
    destination: /srv/empty
  - content: logged
    destination: /var/log/web/log
`, files{"tool": "#!/bin/sh\n", "sub/data": "data"})
	wantAdded(t, disk, out,
		`etc/hostname file 0644 0:0 "sensor\n"`,
		`usr/bin/tool file 0755 0:0 "#!/bin/sh\n"`,
		`var/lib/new dir 0755 0:0`,
		`var/lib/new/data file 0644 0:0 "data"`,
		`usr/share/real file 0644 0:0 "linked"`,
		`srv dir 0755 0:0`,
		`srv/empty file 0644 0:0 "second"`,
		`boot/efi/EFI/sextant dir 0755 0:0`,
		`boot/efi/EFI/sextant/stub.efi file 0755 0:0 "efi"`,
		`var/log dir 0755 0:0`,
		`var/log/web dir 2750 1:4`,
		`var/log/web/log file 0644 0:0 "logged"`,
	)
}

// TestBinds puts a file where fstab will show another directory.
func TestBinds(t *testing.T) {
	base := fileSystem(t, ext4, 8<<20, minimal(files{"etc/fstab": "/var/homes /home none bind 0 0\n/nowhere /boot none bind,noauto\n", "var/homes/": ""}))
	_, out := apply(t, base, "os: {additionalFiles: [{content: a, destination: /home/me/a}, {content: b, destination: /boot/b}]}", nil)
	got := added(listing(t, base, "var", "boot"), listing(t, out, "var", "boot"))
	want := []string{`var/homes/me dir 0755 0:0`, `var/homes/me/a file 0644 0:0 "a"`, `boot/b file 0644 0:0 "b"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDirs merges a directory into the base, with and without modes.
func TestDirs(t *testing.T) {
	disk := system(t)
	sources := files{"t/bin/one": "one", "t/new/deep/two": "two", "t/new/link": "-> ../bin/one", "t/home/me/three": "three"}
	_, out := apply(t, disk, "os:\n  additionalDirs:\n  - source: t\n    destination: /\n", sources)
	wantAdded(t, disk, out,
		`usr/bin/one file 0755 0:0 "one"`,
		`new dir 0755 0:0`, `new/deep dir 0755 0:0`, `new/deep/two file 0755 0:0 "two"`,
		`new/link file 0755 0:0 "one"`,
		`home/me/three file 0755 0:0 "three"`,
	)
	_, out = apply(t, disk, `
os:
  additionalDirs:
  - source: t
    destination: /home
    newDirPermissions: "750"
    mergedDirPermissions: "701"
    childFilePermissions: "640"
  - source: t/new/deep
    destination: /opt/a/b
    newDirPermissions: 700
`, sources)
	got := added(listing(t, disk, "home"), listing(t, out, "home", "opt"))
	want := []string{
		`home/bin dir 0750 0:0`, `home/bin/one file 0640 0:0 "one"`,
		`home/home dir 0750 0:0`, `home/home/me dir 0750 0:0`, `home/home/me/three file 0640 0:0 "three"`,
		`home/new dir 0750 0:0`, `home/new/deep dir 0750 0:0`, `home/new/deep/two file 0640 0:0 "two"`, `home/new/link file 0640 0:0 "one"`,
		`opt/a dir 0700 0:0`, `opt/a/b dir 0700 0:0`, `opt/a/b/two file 0755 0:0 "two"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("new files (-want +got):\n%s", diff)
	}
	if home := listing(t, out, "."); !slices.ContainsFunc(home, func(l string) bool { return strings.HasPrefix(l, "home dir 0701 0:0") }) {
		t.Errorf("mergedDirPermissions did not change /home")
	}
}

// TestModules writes the files that modprobe and systemd-modules-load read.
func TestModules(t *testing.T) {
	disk := system(t)
	_, out := apply(t, disk, `
os:
  modules:
  - name: vfio
    loadMode: always
    options: {enable_unsafe_noiommu_mode: Y, disable_vga: Y}
  - name: br_netfilter
    loadMode: auto
  - name: e1000e
    options: {InterruptThrottleRate: "3000,3000"}
  - name: mousedev
    loadMode: disable
`, nil)
	got := listing(t, out, "etc/modprobe.d", "etc/modules-load.d")
	want := []string{
		`etc/modprobe.d/module-options.conf file 0644 0:0 "# options\noptions e1000e InterruptThrottleRate=3000,3000 Other=2\noptions vfio enable_unsafe_noiommu_mode=Y disable_vga=Y\n"`,
		`etc/modprobe.d/modules-disabled.conf file 0644 0:0 "blacklist floppy\nblacklist mousedev\n"`,
		`etc/modules-load.d/modules-load.conf file 0644 0:0 "vfio\n"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	_, err := planOf(t, disk, "os: {modules: [{name: floppy, options: {a: b}}]}", nil)
	if err == nil || !strings.Contains(err.Error(), "c.yaml:1:16: os.modules: options for floppy, which the base disables") {
		t.Errorf("options of a disabled module: %v", err)
	}
}

// TestOverlays writes the lines of Image Customizer into fstab.
func TestOverlays(t *testing.T) {
	disk := system(t)
	_, out := apply(t, disk, `
os:
  overlays:
  - mountPoint: /usr/local
    lowerDirs: [/usr/local, /home]
    upperDir: /var/overlays/local/upper
    workDir: /var/overlays/local/work
    mountDependencies: [/var, /usr]
    mountOptions: noatime,xino=off
  - mountPoint: /media
    lowerDirs: [/media]
    upperDir: /overlays/upper
    workDir: /overlays/work
`, nil)
	wantAdded(t, disk, out,
		`etc/fstab file 0644 0:0 `+fmt.Sprintf("%q", "# mounts\nPARTLABEL=esp /boot/efi vfat umask=0077 0 2\nPARTLABEL=var /var ext4 defaults,x-initrd.mount 0 2\n"+
			"PARTLABEL=usr /usr ext4 ro 0 0\ntmpfs /tmp tmpfs mode=1777 0 0\n"+
			"overlay /usr/local overlay lowerdir=/usr/local:/home,upperdir=/var/overlays/local/upper,workdir=/var/overlays/local/work,"+
			"x-systemd.requires=/var,x-systemd.requires=/usr,noatime,xino=off 0 0\n"+
			"overlay /media overlay lowerdir=/media,upperdir=/overlays/upper,workdir=/overlays/work 0 0\n"),
		`usr/local dir 0755 0:0`, `media dir 0755 0:0`,
		`var/overlays dir 0755 0:0`, `var/overlays/local dir 0755 0:0`, `var/overlays/local/upper dir 0755 0:0`, `var/overlays/local/work dir 0755 0:0`,
		`overlays dir 0755 0:0`, `overlays/upper dir 0755 0:0`, `overlays/work dir 0755 0:0`,
	)
	for config, want := range map[string]string{
		"{mountPoint: /etc, lowerDirs: [/etc], upperDir: /var/u, workDir: /srv/w}":                                                   "overlayfs wants both on one",
		"{mountPoint: /etc, lowerDirs: [/etc], upperDir: /etc/fstab, workDir: /etc/w}":                                               "upperDir /etc/fstab is a file",
		"{mountPoint: /etc, lowerDirs: [/etc], upperDir: /var/u, workDir: /var/w, isInitrdOverlay: true, mountDependencies: [/x]}":   "mountDependencies: /x is not in /etc/fstab",
		"{mountPoint: /etc, lowerDirs: [/etc], upperDir: /var/u, workDir: /var/w, isInitrdOverlay: true, mountDependencies: [/usr]}": "mountDependencies: /usr has no option x-initrd.mount in line 4",
		"{mountPoint: /etc, lowerDirs: [/etc], upperDir: /var/u, workDir: /var/w, isInitrdOverlay: true, mountDependencies: [/var]}": "the base has no kernel",
	} {
		if _, err := planOf(t, disk, "os: {overlays: ["+config+"]}", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

// TestServices enables units, one of which the config itself brings.
func TestServices(t *testing.T) {
	disk := system(t)
	plan, out := apply(t, disk, `
os:
  additionalFiles:
  - content: "[Install]\nWantedBy=multi-user.target\n"
    destination: /etc/systemd/system/mine.service
  services:
    enable: [web, mine, plain]
`, nil)
	got := listing(t, out, "etc/systemd")
	want := []string{
		`etc/systemd/system dir 0755 0:0`,
		`etc/systemd/system/http.service symlink 0777 0:0 /usr/lib/systemd/system/web.service`,
		`etc/systemd/system/mine.service file 0644 0:0 "[Install]\nWantedBy=multi-user.target\n"`,
		`etc/systemd/system/multi-user.target.wants dir 0755 0:0`,
		`etc/systemd/system/multi-user.target.wants/mine.service symlink 0777 0:0 /etc/systemd/system/mine.service`,
		`etc/systemd/system/multi-user.target.wants/web.service symlink 0777 0:0 /usr/lib/systemd/system/web.service`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(plan.Warnings) != 1 || !strings.Contains(plan.Warnings[0], "c.yaml:7:25: os.services.enable: plain has no [Install]") {
		t.Errorf("warnings %q", plan.Warnings)
	}
	_, out = apply(t, out, "os: {services: {disable: [http, mine]}}", nil)
	if got := listing(t, out, "etc/systemd/system"); !cmp.Equal(got, []string{want[2]}) {
		t.Errorf("after disable: %q", got)
	}
	if _, err := planOf(t, disk, "os: {services: {enable: [systemd-sysext]}}", nil); err == nil || !strings.Contains(err.Error(), "c.yaml:1:26: os.services.enable: enable systemd-sysext") {
		t.Errorf("missing unit: %v", err)
	}
}

// TestPresets writes a preset where the first boot would undo what was done.
func TestPresets(t *testing.T) {
	for id, want := range map[string][]string{
		"uninitialized\n": {`etc/systemd/system-preset/00-sextant.preset file 0644 0:0 ` +
			`"# What was enabled and disabled when the image was made.\nenable ssh.service\nenable ssh.socket\nenable web@.service one\n"`},
		"": nil,
	} {
		base := fileSystem(t, ext4, 8<<20, minimal(files{
			"etc/machine-id": id, "usr/lib/systemd/systemd": "", "etc/systemd/system-preset/": "",
			"usr/lib/systemd/system/web@.service":           "[Install]\nWantedBy=multi-user.target\n",
			"usr/lib/systemd/system/ssh.service":            "[Install]\nWantedBy=multi-user.target\nAlias=sshd.service\nAlso=ssh.socket\n",
			"usr/lib/systemd/system/ssh.socket":             "[Install]\nWantedBy=sockets.target\n",
			"usr/lib/systemd/system/cron.service":           "[Install]\nWantedBy=multi-user.target\n",
			"usr/lib/systemd/system-preset/99-other.preset": "disable *\n",
		}))
		_, out := apply(t, base, "os: {services: {enable: [ssh, web@one], disable: [cron]}}", nil)
		if diff := cmp.Diff(want, listing(t, out, "etc/systemd/system-preset")); diff != "" {
			t.Errorf("machine-id %q (-want +got):\n%s", id, diff)
		}
	}
}

// TestLabels gives new files the labels of the base's policy, and those below an
// overlay the labels of where it is mounted.
func TestLabels(t *testing.T) {
	const dir = "etc/selinux/targeted/contexts/files/"
	base := fileSystem(t, ext4, 8<<20, minimal(files{
		"etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
		dir + "file_contexts": "/.* system_u:object_r:default_t:s0\n/usr(/.*)? system_u:object_r:usr_t:s0\n" +
			"/usr/bin(/.*)? system_u:object_r:bin_t:s0\n/var(/.*)? system_u:object_r:var_t:s0\n/etc(/.*)? system_u:object_r:etc_t:s0\n",
		dir + "file_contexts.subs_dist":            "/usr/local/bin /usr/bin\n",
		dir + "file_contexts.local.bin":            "compiled",
		"etc/selinux/targeted/policy/policy.33":    "...no_access_t...",
		"var/lib/selinux/targeted/active/policy/x": "",
	}))
	_, out := apply(t, base, `
os:
  additionalFiles:
  - {content: a, destination: /usr/local/bin/a}
  - {content: b, destination: /srv/b}
  overlays:
  - mountPoint: /usr/share
    lowerDirs: [/usr/share]
    upperDir: /var/o/upper
    workDir: /var/o/work
`, nil)
	label := func(name string) string { return ` security.selinux="system_u:object_r:` + name + `:s0\x00"` }
	got := added(listing(t, base, "."), listing(t, out, "."))
	want := []string{
		`etc/fstab file 0644 0:0 "overlay /usr/share overlay lowerdir=/usr/share,upperdir=/var/o/upper,workdir=/var/o/work 0 0\n"` + label("etc_t"),
		dir + `file_contexts.local file 0644 0:0 "# This file is auto-generated by libsemanage\n# Do not edit directly.\n\n/var/o/work(/.*)?    system_u:object_r:no_access_t:s0\n"` + label("etc_t"),
		dir + `file_contexts.subs file 0644 0:0 "/var/o/upper /usr/share\n"` + label("etc_t"),
		`srv dir 0755 0:0` + label("default_t"), `srv/b file 0644 0:0 "b"` + label("default_t"),
		`usr/local dir 0755 0:0` + label("usr_t"), `usr/local/bin dir 0755 0:0` + label("bin_t"),
		`usr/local/bin/a file 0644 0:0 "a"` + label("bin_t"),
		`usr/share dir 0755 0:0` + label("usr_t"),
		`var/lib/selinux/targeted/active/file_contexts.local file 0644 0:0 "# This file is auto-generated by libsemanage\n# Do not edit directly.\n\n/var/o/work(/.*)?    system_u:object_r:no_access_t:s0\n"` + label("var_t"),
		`var/o dir 0755 0:0` + label("var_t"), `var/o/upper dir 0755 0:0` + label("usr_t"), `var/o/work dir 0755 0:0` + label("no_access_t"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if slices.ContainsFunc(listing(t, out, "etc/selinux"), func(l string) bool { return strings.Contains(l, ".bin ") }) {
		t.Error("the compiled form of the rules is still there")
	}
}

// TestRefused refuses what cannot be, before anything is written.
func TestRefused(t *testing.T) {
	disk := system(t)
	for config, want := range map[string]string{
		"additionalFiles: [{source: missing, destination: /a}]":                              "no such file or directory",
		"additionalFiles: [{source: dir, destination: /a}]":                                  "dir is a directory",
		"additionalFiles: [{content: a, destination: /usr/bin}]":                             "c.yaml:1:50: os.additionalFiles: /usr/bin is a directory",
		"additionalFiles: [{content: a, destination: /etc/passwd/a}]":                        "/etc/passwd is a file, not a directory",
		"additionalDirs: [{source: file, destination: /a}]":                                  "file",
		"additionalDirs: [{source: tree, destination: /etc}]":                                "/etc/passwd is a file, not a directory",
		"additionalFiles: [{content: a, destination: /usr/x}, {source: n, destination: /y}]": "no such file",
	} {
		_, err := planOf(t, disk, "os: {"+config+"}", files{"dir/x": "", "file": "x", "tree/passwd/": ""})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

// TestCovered warns of files that nobody will see.
func TestCovered(t *testing.T) {
	plan, err := planOf(t, system(t), `
os:
  additionalFiles:
  - {content: a, destination: /run/verity.d/a.crt}
  - {content: a, destination: /tmp/a}
  - {content: a, destination: /runner}
  - {content: a, destination: /media/a}
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"c.yaml:4:31: /run/verity.d/a.crt will not be seen: another file system is mounted over /run at boot",
		"c.yaml:5:31: /tmp/a will not be seen: another file system is mounted over /tmp at boot",
		"c.yaml:7:31: /media/a will not be seen: another file system is mounted over /media at boot",
	}
	if diff := cmp.Diff(want, plan.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestSameBytes applies a plan twice, to sources of which the second have other
// times, and holes where the first have zeros.
func TestSameBytes(t *testing.T) {
	disk := system(t)
	config := `
os:
  hostname: a
  additionalFiles: [{source: f, destination: /usr/bin/f, permissions: 755}]
  additionalDirs: [{source: d, destination: /var/lib/d}]
  services: {enable: [web]}
`
	text := strings.Repeat("text", 10000) + strings.Repeat("\x00", 1<<20) + "end"
	var sums [][32]byte
	for _, holes := range []bool{false, true} {
		dir := t.TempDir()
		for name, text := range (files{"f": text, "d/x/y": "y", "d/a": "a"}) {
			write(t, filepath.Join(dir, name), name, text)
		}
		if holes {
			f, err := os.Create(filepath.Join(dir, "f"))
			if err != nil {
				t.Fatal(err)
			}
			f.WriteAt([]byte(text[:40000]), 0)
			f.WriteAt([]byte("end"), int64(len(text)-3))
			f.Close()
		}
		cfg, err := prism.Parse([]byte(config), "c.yaml", dir)
		if err != nil {
			t.Fatal(err)
		}
		b, err := open(t, disk)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := customize.New(t.Context(), b, cfg)
		if err != nil {
			t.Fatal(err)
		}
		out := memory(bytes.Clone(disk))
		if err := plan.Apply(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, sha256.Sum256(out))
		if got := listing(t, out, "usr/bin/f"); len(got) != 1 || got[0] != fmt.Sprintf("usr/bin/f file 0755 0:0 %q", text) {
			t.Error("the file is another one")
		}
	}
	if sums[0] != sums[1] {
		t.Error("the same plan gives other bytes")
	}
}

// TestFull refuses what does not fit, and replaces a file that leaves no room for
// two of its size.
func TestFull(t *testing.T) {
	disk := system(t)
	big := func(mib int) string { return strings.Repeat("0123456789abcdef", mib<<16) }
	_, err := planOf(t, disk, "os: {additionalFiles: [{source: big, destination: /usr/big}]}", files{"big": big(16)})
	if err == nil || !strings.Contains(err.Error(), "partition 4 (usr), which is mounted at /usr, has room for") {
		t.Errorf("16 MiB into a partition of 8: %v", err)
	}
	config := "os: {additionalFiles: [{source: big, destination: /usr/big}]}"
	_, out := apply(t, disk, config, files{"big": big(5)})
	_, out = apply(t, out, config, files{"big": big(4) + "end"})
	if got := listing(t, out, "usr/big"); len(got) != 1 || !strings.HasSuffix(got[0], `end"`) {
		t.Errorf("a file of 5 MiB was not replaced")
	}
	// What the plan cannot know, the editor does; the file systems stay whole.
	plan, err := planOf(t, disk, config, files{"big": big(7)})
	if err == nil {
		over := memory(bytes.Clone(disk))
		err = plan.Apply(t.Context(), over)
		checkFS(t, over, plan.Base)
	}
	if err == nil || !strings.Contains(err.Error(), "partition 4 (usr)") {
		t.Errorf("7 MiB into a partition of 8: %v", err)
	}
}
