package vmtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sextant/internal/vmtest/guest"
)

// bootModules are what the kernel needs to see the disks and to mount the root
// disk; those that a kernel has built in are left out.
func bootModules() []string { return []string{"virtio_pci", "virtio_blk", "ext4"} }

// writeInitramfs writes an initramfs with the guest program as /init, its
// configuration and the kernel modules it is to load.
func writeInitramfs(w io.Writer, program, modulesDir string, config guest.Config, modules []string) error {
	files, err := moduleFiles(modulesDir, modules)
	if err != nil {
		return err
	}
	out := cpio{w: w}
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(modulesDir, file))
		if err != nil {
			return err
		}
		path := "/" + filepath.Base(file)
		config.Modules = append(config.Modules, path)
		out.add(path, content, 0o644)
	}
	self, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	settings, err := json.Marshal(config)
	if err != nil {
		return err
	}
	out.add("/init", self, 0o755)
	out.add(guest.ConfigPath, settings, 0o644)
	out.close()
	return out.err
}

// cpio writes the one archive format that the kernel unpacks, newc: a header
// of hexadecimal numbers, the name, the content, each padded to four bytes
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	w     io.Writer
	inode int
	err   error
}

func (c *cpio) add(path string, content []byte, mode int) {
	const regular = 0o100000
	c.entry(strings.TrimPrefix(path, "/"), content, regular|mode)
}

func (c *cpio) close() { c.entry("TRAILER!!!", nil, 0) }

func (c *cpio) entry(name string, content []byte, mode int) {
	if c.err != nil {
		return
	}
	c.inode++
	var b bytes.Buffer
	b.WriteString("070701")
	for _, field := range [...]int{c.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0} {
		fmt.Fprintf(&b, "%08x", field)
	}
	b.WriteString(name + "\x00")
	pad(&b)
	b.Write(content)
	pad(&b)
	_, c.err = c.w.Write(b.Bytes())
}

func pad(b *bytes.Buffer) {
	for b.Len()%4 != 0 {
		b.WriteByte(0)
	}
}

// moduleFiles returns the files of the named modules and of all that they
// need, in the order to load them, relative to dir.
func moduleFiles(dir string, names []string) ([]string, error) {
	needs, err := readDependencies(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	builtin, err := os.ReadFile(filepath.Join(dir, "modules.builtin"))
	if err != nil {
		return nil, err
	}
	var files []string
	for _, name := range names {
		if strings.Contains(string(builtin), "/"+name+".ko\n") {
			continue
		}
		found, ok := needs[moduleName(name)]
		if !ok {
			return nil, fmt.Errorf("no kernel module %s in %s", name, dir)
		}
		// modules.dep lists what a module needs after it, deepest last.
		for _, file := range slices.Backward(found) {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files, nil
}

// readDependencies returns, for each module, its file and those it needs.
func readDependencies(path string) (map[string][]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	needs := map[string][]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		file, rest, _ := strings.Cut(lines.Text(), ":")
		needs[moduleName(file)] = append([]string{file}, strings.Fields(rest)...)
	}
	return needs, lines.Err()
}

// moduleName is the name of a module's file without directory and suffixes, in
// one spelling: the kernel takes dashes and underscores for the same.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return strings.ReplaceAll(name, "-", "_")
}
