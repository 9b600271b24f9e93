package preflight

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sextant/internal/image"
	"sextant/internal/report"
)

// need is something that the kernel must have.
type need struct {
	what   string // for messages
	option string // of the configuration
	module string // its module, empty for what is part of another
}

// merging is what every merge needs.
func merging() []need {
	return []need{{"overlayfs", "CONFIG_OVERLAY_FS", "overlay"}, {"loop devices", "CONFIG_BLK_DEV_LOOP", "loop"}}
}

// needsOf returns what the kernel needs to mount an image.
func needsOf(m *image.Image) (list []need) {
	for _, v := range m.Volumes() {
		if v.Hash != nil {
			list = append(list, need{"dm-verity", "CONFIG_DM_VERITY", "dm_verity"})
		}
		facts, err := m.Facts(v.Data)
		if err != nil {
			continue // Verify has said why
		}
		compressors, _ := m.Compressors(v.Data)
		list = append(list, fileSystemNeeds(string(facts.Kind), compressors)...)
	}
	return list
}

// fileSystemNeeds returns what a file system needs (Kconfig of fs/erofs,
// fs/squashfs and the others).
func fileSystemNeeds(kind string, compressors []string) []need {
	list := []need{{kind, "CONFIG_" + strings.ToUpper(kind) + "_FS", kind}}
	options := map[string]string{}
	switch kind {
	case "erofs":
		options = map[string]string{
			"lz4": "CONFIG_EROFS_FS_ZIP", "lzma": "CONFIG_EROFS_FS_ZIP_LZMA",
			"deflate": "CONFIG_EROFS_FS_ZIP_DEFLATE", "zstd": "CONFIG_EROFS_FS_ZIP_ZSTD",
		}
	case "squashfs":
		list[0].option = "CONFIG_SQUASHFS"
		options = map[string]string{
			"gzip": "CONFIG_SQUASHFS_ZLIB", "lz4": "CONFIG_SQUASHFS_LZ4", "lzo": "CONFIG_SQUASHFS_LZO",
			"xz": "CONFIG_SQUASHFS_XZ", "zstd": "CONFIG_SQUASHFS_ZSTD",
		}
	case "vfat":
		list[0].option = "CONFIG_VFAT_FS"
	}
	for _, c := range compressors {
		if option := options[c]; option != "" {
			list = append(list, need{kind + " compressed with " + c, option, ""})
		}
	}
	return list
}

// kernel is what is known of a kernel of the base.
type kernel struct {
	release string
	config  map[string]string // nil if there is no configuration
	modules map[string]bool   // nil if there are no lists
	builtin map[string]bool
}

// answer is whether a kernel has something.
type answer int

const (
	unknown answer = iota
	yes
	no
	moduleGone // it is built as a module that is not there
)

func (k kernel) has(n need) answer {
	if k.config != nil {
		switch value := k.config[n.option]; {
		case value == "y":
			return yes
		case value == "m" && k.modules != nil && n.module != "" && !k.modules[n.module]:
			return moduleGone
		case value == "m":
			return yes
		}
		return no
	}
	switch {
	case n.module == "" || k.modules == nil:
		return unknown
	case k.modules[n.module] || k.builtin[n.module]:
		return yes
	}
	return no
}

// kernels checks that the kernels of the base can merge the images.
func (c *checker) kernels([]Image) error {
	list, err := c.readKernels()
	if err != nil {
		return err
	}
	if len(list) == 0 {
		c.add(report.Note, KernelUnknown, "kernel", "", "the base has no kernel to look at, neither in /boot nor in /usr/lib/modules")
		return nil
	}
	needs := merging()
	for _, m := range c.content {
		needs = append(needs, m.needs...)
	}
	for _, n := range unique(needs) {
		c.need(list, n)
	}
	return nil
}

func unique(needs []need) (list []need) {
	for _, n := range needs {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// need checks one thing in all kernels. Which of several boots is not known
// here: that none has it is an error, that some have not is a warning.
func (c *checker) need(list []kernel, n need) {
	var without, missing, unsure []string
	for _, k := range list {
		switch k.has(n) {
		case no:
			without = append(without, k.release)
		case moduleGone:
			missing = append(missing, k.release)
		case unknown:
			unsure = append(unsure, k.release)
		}
	}
	severity := report.Warning
	if len(without)+len(missing) == len(list) {
		severity = report.Error
	}
	if len(without) > 0 {
		c.add(severity, KernelLacks, "kernel "+strings.Join(without, ", "), c.kernelAdvice(n), "has no %s (%s)", n.what, n.option)
	}
	if len(missing) > 0 {
		c.add(severity, KernelLacks, "kernel "+strings.Join(missing, ", "), "install the package of the kernel's modules",
			"has %s as the module %s, which is not in /usr/lib/modules", n.what, n.module)
	}
	if len(unsure) > 0 {
		c.add(report.Note, KernelUnknown, "kernel "+strings.Join(unsure, ", "), "", "nothing tells whether it has %s", n.what)
	}
}

func (c *checker) kernelAdvice(n need) string {
	if strings.Contains(n.what, " compressed with ") {
		return "build the extension with another compressor, or take another kernel"
	}
	switch n.option {
	case "CONFIG_OVERLAY_FS", "CONFIG_BLK_DEV_LOOP":
		return "no extension can be merged there: take another kernel"
	case "CONFIG_DM_VERITY":
		return "build the extension without hash tree, or take another kernel"
	}
	return "build the extension with another file system, or take another kernel"
}

// moduleDirs are where kernels have their modules.
func moduleDirs() []string { return []string{"usr/lib/modules", "lib/modules"} }

// readKernels finds the kernels of the base.
func (c *checker) readKernels() ([]kernel, error) {
	found := map[string]kernel{}
	for _, dir := range moduleDirs() {
		list, err := fs.ReadDir(c.Root, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range list {
			if _, seen := found[e.Name()]; seen || !e.IsDir() {
				continue
			}
			k, err := c.readModules(e.Name(), path.Join(dir, e.Name()))
			if err != nil {
				return nil, err
			}
			if k.modules != nil || k.config != nil {
				found[e.Name()] = k
			}
		}
	}
	if err := c.readConfigs(found); err != nil {
		return nil, err
	}
	var list []kernel
	for _, release := range slices.Sorted(maps.Keys(found)) {
		list = append(list, found[release])
	}
	return list, nil
}

// readConfigs adds what /boot/config-* says.
func (c *checker) readConfigs(found map[string]kernel) error {
	list, err := fs.ReadDir(c.Root, "boot")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range list {
		release, ok := strings.CutPrefix(e.Name(), "config-")
		if !ok {
			continue
		}
		k := found[release]
		k.release = release
		if k.config, err = c.readConfig("boot/" + e.Name()); err != nil {
			return err
		}
		found[release] = k
	}
	return nil
}

// readModules reads the lists that depmod and the kernel's build leave.
func (c *checker) readModules(release, dir string) (k kernel, err error) {
	k.release = release
	if k.builtin, err = c.readList(dir + "/modules.builtin"); err != nil {
		return k, err
	}
	if k.modules, err = c.readList(dir + "/modules.dep"); err != nil {
		return k, err
	}
	k.config, err = c.readConfig(dir + "/config")
	return k, err
}

// maxList is the largest list or configuration in bytes that is read.
const maxList = 16 << 20

// readText returns the content of a file, and false if there is none.
func (c *checker) readText(name string) (string, bool, error) {
	f, err := c.Root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxList+1))
	if err == nil && len(text) > maxList {
		err = fmt.Errorf("/%s is larger than %d bytes", name, maxList)
	}
	return string(text), err == nil, err
}

// readList returns the names of modules: of "kernel/fs/erofs/erofs.ko.xz: ..."
// it is erofs. A - is a _ there.
func (c *checker) readList(name string) (map[string]bool, error) {
	text, ok, err := c.readText(name)
	if err != nil || !ok {
		return nil, err
	}
	modules := map[string]bool{}
	for line := range strings.Lines(text) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if module, _, ok := strings.Cut(path.Base(file), ".ko"); ok {
			modules[strings.ReplaceAll(module, "-", "_")] = true
		}
	}
	return modules, nil
}

// readConfig returns the options of a kernel's configuration that are set.
func (c *checker) readConfig(name string) (map[string]string, error) {
	text, ok, err := c.readText(name)
	if err != nil || !ok {
		return nil, err
	}
	config := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && strings.HasPrefix(key, "CONFIG_") {
			config[key] = value
		}
	}
	return config, nil
}
