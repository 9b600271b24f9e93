package vmtest

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"sextant/internal/vmtest/guest"
)

// initrd is an initramfs with systemd in it: parts of a release's tree, and
// files of the test.
type initrd struct{ files []initrdFile }

// initrdFile is a file, or a symlink where the mode says so.
type initrdFile struct {
	path    string
	content []byte
	mode    fs.FileMode
}

// Initrd has the machine start the way that most systems do: systemd runs in the
// initramfs first, mounts the disk on /sysroot and goes on there. The initramfs
// has systemd, its units, udev and the usual programs of the release. The
// modules that Modules names are loaded before.
func (vm *VM) Initrd() {
	vm.initrd = &initrd{}
	vm.InitrdFile("/etc/initrd-release", []byte("ID=debian\nVERSION_ID=initrd\n"), 0o644)
	vm.InitrdFile("/etc/systemd/system/emergency.service", []byte(emergencyUnit), 0o644)
	vm.KernelArgs("root=/dev/disk/by-id/virtio-"+guest.RootSerial, "rw", "fsck.mode=skip")
}

// InitrdFile gives the initramfs a file, as systemd-stub does below /.extra.
// Initrd comes before it.
func (vm *VM) InitrdFile(path string, content []byte, mode fs.FileMode) {
	vm.initrd.files = append(vm.initrd.files, initrdFile{path, content, mode.Perm()})
}

// InitrdSymlink gives the initramfs a symlink at path.
func (vm *VM) InitrdSymlink(target, path string) {
	vm.initrd.files = append(vm.initrd.files, initrdFile{path, []byte(target), fs.ModeSymlink | 0o777})
}

// initrdParts are what is taken of a release's tree: a directory stands for all
// below it.
func initrdParts() []string {
	const libraries = "usr/lib/x86_64-linux-gnu"
	parts := []string{
		"bin", "sbin", "lib", "lib64", "etc/passwd", "etc/group", "etc/os-release", "usr/lib/os-release", "usr/lib64",
		libraries + "/*.so*", libraries + "/systemd", "usr/lib/systemd", "usr/lib/udev", "usr/sbin",
	}
	for _, program := range strings.Fields(`bash cat cp cut dmesg findmnt grep head journalctl kmod ls mkdir mktemp mount mv readlink rm
		sed sh dash seq sleep systemctl systemd-* tail test touch tr udevadm umount`) {
		parts = append(parts, "usr/bin/"+program)
	}
	return parts
}

// initrdLeftOut are large, or of no use before there is a system.
func initrdLeftOut() []string {
	return []string{"usr/lib/systemd/tests", "usr/lib/systemd/boot", "usr/lib/systemd/catalog", "usr/lib/udev/hwdb.bin", "usr/lib/udev/hwdb.d"}
}

// appendTo adds another archive to an initramfs: the kernel unpacks one after the
// other.
func (i *initrd) appendTo(initramfs, tree string) error {
	f, err := os.OpenFile(initramfs, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	out := &initrdWriter{cpio: cpio{w: f}, made: map[string]bool{}}
	return errors.Join(i.write(out, tree), f.Close())
}

func (i *initrd) write(out *initrdWriter, tree string) error {
	for _, dir := range []string{"dev", "proc", "run", "sys", "sysroot", "tmp", "var"} {
		out.directory(dir)
	}
	for _, part := range initrdParts() {
		found, err := filepath.Glob(filepath.Join(tree, part))
		if err != nil {
			return err
		}
		for _, file := range found {
			if err := out.copy(tree, file); err != nil {
				return err
			}
		}
	}
	for _, f := range i.files {
		out.add(strings.TrimPrefix(f.path, "/"), f.content, f.mode)
	}
	out.close()
	return out.err
}

// initrdWriter writes an archive in which each directory comes before what is in
// it.
type initrdWriter struct {
	cpio
	made map[string]bool
}

func (w *initrdWriter) directory(name string) {
	const directory = 0o040000
	if name == "." || w.made[name] {
		return
	}
	w.directory(path.Dir(name))
	w.made[name] = true
	w.entry(name, nil, directory|0o755)
}

func (w *initrdWriter) add(name string, content []byte, mode fs.FileMode) {
	const regular, symlink = 0o100000, 0o120000
	w.directory(path.Dir(name))
	kind := regular
	if mode&fs.ModeSymlink != 0 {
		kind = symlink
	}
	w.entry(name, content, kind|int(mode.Perm()))
}

// copy adds a file of the tree, or all below a directory.
func (w *initrdWriter) copy(tree, file string) error {
	return filepath.WalkDir(file, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(tree, file)
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains(initrdLeftOut(), name) {
			return filepath.SkipDir
		}
		return w.copyOne(file, name, d)
	})
}

func (w *initrdWriter) copyOne(file, name string, d fs.DirEntry) error {
	switch found, err := d.Info(); {
	case err != nil:
		return err
	case d.IsDir():
		w.directory(name)
	case d.Type() == fs.ModeSymlink:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		w.add(name, []byte(target), fs.ModeSymlink|0o777)
	case d.Type().IsRegular() && !slices.Contains(initrdLeftOut(), name):
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		w.add(name, content, found.Mode())
	}
	return w.err
}
