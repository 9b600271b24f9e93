package merge

import (
	"errors"
	"fmt"
	"os"

	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/image"
	"sextant/internal/linux/loop"
	"sextant/internal/linux/mount"
)

// mountImage mounts the file systems of an image in the workspace. The image is
// opened and its table read once; what the kernel mounts is the open file.
func (r *run) mountImage(l *layer) (rule string, err error) {
	m, err := image.Open(l.Path)
	if err != nil {
		return RuleTable, err
	}
	defer m.Close()
	file, err := os.Open(l.Path)
	if err != nil {
		return RuleFile, err
	}
	defer file.Close()
	volumes := m.Volumes()
	if len(volumes) == 0 {
		return RuleTable, fmt.Errorf("has neither root nor usr partition: %w", fault.ErrCorrupt)
	}
	for _, v := range volumes {
		if rule, err := r.mountVolume(l, m, file, v); err != nil {
			return rule, err
		}
	}
	return "", nil
}

func (r *run) mountVolume(l *layer, m *image.Image, file *os.File, v image.Volume) (rule string, err error) {
	_, kind, err := m.FileSystem(v.Data)
	if kind == "" {
		return RuleTable, err
	}
	device, err := r.k.loop(file, loop.Options{Offset: v.Data.Span.Offset, Size: v.Data.Span.Length})
	if err != nil {
		return RuleMount, err
	}
	defer device.Close()
	target := l.dir
	if v.Role() == dps.Usr {
		target += "/usr"
	}
	return RuleMount, r.mountDevice(device.Name(), string(kind), target)
}

// mountDevice mounts a file system of an image, read-only.
func (r *run) mountDevice(device, kind, target string) error {
	options := []mount.Option{{Key: "ro", Flag: true}}
	tree, err := r.k.newMount(kind, device, options, mount.ReadOnly|mount.NoDev)
	if err != nil {
		return err
	}
	defer tree.Close()
	if _, err := os.Stat(target); errors.Is(err, os.ErrNotExist) {
		if err := r.k.mkdir(target, 0o755); err != nil {
			return err
		}
	}
	return r.k.attach(tree, target)
}
