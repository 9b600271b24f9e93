package customize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"sextant/internal/disk"
	"sextant/internal/fault"
	"sextant/internal/mounted"
)

// mountByKernel opens a file system that only the kernel can change. It wants
// the bytes of the disk in a file.
func (b *Base) mountByKernel(m Mount) Mount {
	m.Kernel = true
	file, err := b.rawFile()
	if err == nil {
		var e *mounted.Editor
		e, err = mounted.Edit(mounted.Storage{File: file, Span: m.Part.Span}, string(m.Part.Content.Kind), b.kernelOptions(m, true))
		if err == nil {
			b.kernel = append(b.kernel, e)
			m.FS, m.Free = e.FS(), e.Free()
		}
	}
	if err != nil {
		m.Why = fmt.Errorf("%s: %w", m.Part.Name(), err)
	}
	return m
}

func (b *Base) kernelOptions(m Mount, readOnly bool) mounted.Options {
	return mounted.Options{Time: b.now, ReadOnly: readOnly, Subvolume: m.Subvolume, SectorSize: b.SectorSize}
}

// rawFile returns a file with the bytes of the disk: the base itself, or a copy
// of what another format holds, which has no name and goes with the program.
func (b *Base) rawFile() (*os.File, error) {
	switch {
	case b.raw != nil:
		return b.raw, nil
	case b.file == nil:
		return nil, fmt.Errorf("the disk is not in a file: %w", fault.ErrUnsupported)
	case os.Geteuid() != 0:
		// It would be refused, so nothing needs to be copied.
		return nil, fmt.Errorf("a file system that is changed through the kernel alone, which takes root on Linux: %w", fault.ErrUnsupported)
	}
	var err error
	if b.file.Format == disk.Raw {
		b.raw, err = os.Open(b.path)
	} else {
		b.raw, err = b.unpack()
	}
	return b.raw, err
}

// unpack copies the disk into a raw file.
func (b *Base) unpack() (*os.File, error) {
	dir, err := os.MkdirTemp("", "sextant-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "disk")
	out, err := disk.Create(name, disk.Raw, b.Size, disk.Options{SectorSize: b.SectorSize, Perm: 0o600})
	if err != nil {
		return nil, err
	}
	defer out.Discard()
	if err := disk.Copy(context.Background(), out, b.file); err != nil {
		return nil, err
	}
	if err := out.Commit(); err != nil {
		return nil, err
	}
	return os.Open(name)
}

// rootSubvolume returns the subvolume of a btrfs that is the root, where the
// default one is not and one alone looks like a root.
func (m Mount) rootSubvolume() (name string, ok bool) {
	if m.Part.Content.Kind != "btrfs" || m.FS == nil || m.isRoot() {
		return "", false
	}
	entries, err := fs.ReadDir(m.FS, ".")
	if err != nil {
		return "", false
	}
	var found []string
	for _, e := range entries {
		if e.IsDir() && isDir(m.FS, e.Name()+"/etc") && isDir(m.FS, e.Name()+"/usr") {
			found = append(found, e.Name())
		}
	}
	if len(found) != 1 {
		return "", false
	}
	return found[0], true
}

// needsKernel reports whether a change is on a file system that only the kernel
// can change.
func (p *Plan) needsKernel() bool {
	return slices.ContainsFunc(p.Base.Mounts, func(m Mount) bool { return m.Kernel && len(p.editsOn(m.Dir)) > 0 })
}

// applyByKernel makes the changes that take the kernel in a raw copy of the
// base. One file system is unmounted before the next is mounted: two of them may
// be subvolumes of one.
func (p *Plan) applyByKernel(ctx context.Context, file *os.File) error {
	for _, m := range p.Base.Mounts {
		edits := p.editsOn(m.Dir)
		if len(edits) == 0 || !m.Kernel {
			continue
		}
		e, err := mounted.Edit(mounted.Storage{File: file, Span: m.Part.Span}, string(m.Part.Content.Kind), p.Base.kernelOptions(m, false))
		if err == nil {
			err = errors.Join(p.carryOut(ctx, e, m, edits), e.Close())
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.Part.Name(), err)
		}
	}
	return nil
}

// writeStaged makes the new image as a raw file beside the output first, for the
// kernel, and then what it shall be.
func (p *Plan) writeStaged(ctx context.Context, to Output) error {
	dir, err := os.MkdirTemp(filepath.Dir(to.Path), ".sextant-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	staged := filepath.Join(dir, "disk.raw")
	if err := p.Write(ctx, Output{Path: staged, Format: disk.Raw}); err != nil {
		return err
	}
	from, err := disk.Open(staged)
	if err != nil {
		return err
	}
	defer from.Close()
	out, err := p.Base.create(to)
	if err != nil {
		return err
	}
	defer out.Discard()
	if err := disk.Copy(ctx, out, from); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return out.Commit()
}
