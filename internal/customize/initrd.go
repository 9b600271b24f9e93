package customize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sextant/internal/format/cpio"
	"sextant/internal/format/program"
)

// needInInitrd wants a kernel module where an initrd can use it: built into
// each kernel of the base, or in the initrd of that kernel. sextant builds no
// initrd, so there is no third way.
func (p *planner) needInInitrd(ctx context.Context, module string) error {
	kernels, err := p.kernels()
	if err != nil {
		return err
	}
	if len(kernels) == 0 {
		return fmt.Errorf("isInitrdOverlay: the base has no kernel in /usr/lib/modules, so it cannot be known whether its initrd has the module %s", module)
	}
	for _, version := range kernels {
		if p.builtIn(version, module) {
			continue
		}
		initrds, err := p.initrds(version)
		if err != nil {
			return err
		}
		if len(initrds) == 0 {
			return &advised{fmt.Errorf("isInitrdOverlay: no initrd of kernel %s was found, and the kernel has no %s built in", version, module), overlayAdvice}
		}
		for _, name := range initrds {
			has, err := p.inInitrd(ctx, name, module)
			if err != nil {
				return fmt.Errorf("isInitrdOverlay: /%s: %w", name, err)
			}
			if !has {
				return &advised{fmt.Errorf("isInitrdOverlay: /%s has no module %s, and sextant does not build an initrd", name, module), overlayAdvice}
			}
		}
	}
	return nil
}

const overlayAdvice = "add the overlay driver to the initrd of the base, with add_drivers of dracut or in /etc/initramfs-tools/modules"

// kernels returns the versions of the kernels whose modules the base has.
func (p *planner) kernels() (versions []string, err error) {
	for _, dir := range []string{"usr/lib/modules", "lib/modules"} {
		entries, err := p.root.ReadDir(dir)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			_, err := p.root.Stat(path.Join(dir, e.Name(), "modules.builtin"))
			if err == nil && !slices.Contains(versions, e.Name()) {
				versions = append(versions, e.Name())
			}
		}
	}
	return versions, nil
}

// builtIn reports whether a kernel has a module built in.
func (p *planner) builtIn(version, module string) bool {
	for _, dir := range []string{"usr/lib/modules", "lib/modules"} {
		list, err := p.root.ReadFile(path.Join(dir, version, "modules.builtin"))
		if err == nil {
			return bytes.Contains(list, []byte("/"+module+".ko"))
		}
	}
	return false
}

// initrds returns the files that are or hold the initrd of a kernel: by its
// version in their names, and all unified kernel images, as those have any name.
func (p *planner) initrds(version string) (names []string, err error) {
	for _, pattern := range []string{
		"boot/initr*" + version + "*",
		"boot/*/" + version + "/initr*", // kernel-install: token, version
		"efi/*/" + version + "/initr*", "boot/efi/*/" + version + "/initr*",
		"usr/lib/modules/" + version + "/initr*",
	} {
		found, err := fs.Glob(p.root, pattern)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	if len(names) > 0 {
		return slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "kdump.img") || strings.Contains(n, "rescue") }), nil
	}
	for _, dir := range []string{"boot/EFI/Linux", "efi/EFI/Linux", "boot/efi/EFI/Linux"} {
		found, err := fs.Glob(p.root, dir+"/*.efi")
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	return names, nil
}

// errFound ends a search.
var errFound = errors.New("found")

// inInitrd reports whether an initrd has a module in it.
func (p *planner) inInitrd(ctx context.Context, name, module string) (bool, error) {
	f, err := p.root.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var archive io.Reader = f
	if strings.HasSuffix(name, ".efi") {
		if archive, err = initrdSection(f); err != nil {
			return false, err
		}
	}
	err = cpio.Names(archive, func(file string) error {
		base := path.Base(file)
		if base == module+".ko" || strings.HasPrefix(base, module+".ko.") {
			return errFound
		}
		return ctx.Err()
	})
	if errors.Is(err, errFound) {
		return true, nil
	}
	return false, err
}

// initrdSection returns the initrd inside a unified kernel image.
func initrdSection(f fs.File) (io.Reader, error) {
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	state, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return program.Section(r, state.Size(), ".initrd")
}
