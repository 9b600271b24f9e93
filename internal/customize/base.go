package customize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"sextant/internal/disk"
	"sextant/internal/dps"
	"sextant/internal/fault"
	"sextant/internal/format/gpt"
	"sextant/internal/fstab"
	"sextant/internal/mounted"
	"sextant/internal/probe"
	"sextant/internal/redo"
	"sextant/internal/roottree"
	"sextant/internal/sysroot"
	"sextant/internal/tree"
)

// Mount is a partition of the base and where it will be mounted.
type Mount struct {
	Dir  string
	Part *Part

	// FS reads it; nil where it cannot be read.
	FS fs.FS

	// Free is how many bytes are left for files.
	Free int64

	// Why says why it cannot be changed, and is nil if it can.
	Why error

	// Kernel says that only the kernel can change it.
	Kernel bool

	// Subvolume is that of a btrfs, the default one if empty.
	Subvolume string
}

// Base is a base image that was looked at. Nothing of it is ever written to.
type Base struct {
	Size       int64
	SectorSize int // of the partition table; 512 without one
	Parts      []*Part
	Mounts     []Mount // the root first
	Fstab      []fstab.Entry
	Warnings   []string

	units []fstab.Entry // mount units

	// path is where the base is, if it was opened by that: then one of file and
	// tree is not nil.
	path string
	file *disk.Disk
	tree *roottree.Base // a directory, or a tar archive

	disk   io.ReaderAt
	logs   []*redo.Log
	kernel []io.Closer // what the kernel has mounted
	raw    *os.File    // what it is mounted from
	now    time.Time
}

// Options say how to look at a base.
type Options struct {
	// Partitions chooses between several roots or /usr partitions: numbers,
	// PARTUUIDs or labels of partitions.
	Partitions []string

	// Now is the time that everything new gets.
	Now time.Time
}

// OpenPath looks at the base at path: a disk image, a directory, or a tar archive.
func OpenPath(ctx context.Context, path string, opts Options) (*Base, error) {
	isTree, err := roottree.Is(path)
	if err != nil {
		return nil, err
	}
	if isTree {
		return openTree(ctx, path, opts)
	}
	file, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	b := &Base{Size: file.Size(), disk: file, now: opts.Now, path: path, file: file}
	return b.opened(opts)
}

// Open looks at a base image of size bytes. A base that cannot be customized
// (encrypted, protected, with two roots ...) is an error that says why.
func Open(disk io.ReaderAt, size int64, opts Options) (*Base, error) {
	return (&Base{Size: size, disk: disk, now: opts.Now}).opened(opts)
}

func (b *Base) opened(opts Options) (*Base, error) {
	if err := b.open(opts); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Base) open(opts Options) (err error) {
	if err := b.readParts(); err != nil {
		return err
	}
	chosen, err := b.choose(opts.Partitions)
	if err != nil {
		return err
	}
	root, err := b.findRoot(chosen)
	if err != nil {
		return err
	}
	if root.Why != nil && !root.readOnly() {
		return fmt.Errorf("root file system on %w", root.Why)
	}
	b.Mounts = []Mount{root}
	if err := b.readFstab(); err != nil {
		return err
	}
	if err := b.mountLines(b.Fstab); err != nil {
		return err
	}
	if err := b.mountByType(chosen); err != nil {
		return err
	}
	// Units lie in /usr, which may have been mounted only now.
	if err := b.readMountUnits(); err != nil {
		return err
	}
	if err := b.mountLines(b.units); err != nil {
		return err
	}
	for _, p := range chosen {
		if !slices.ContainsFunc(b.Mounts, func(m Mount) bool { return m.Part == p }) {
			return fmt.Errorf("--partition: %s has neither a root file system nor one for /usr", p.Name())
		}
	}
	return nil
}

// Close gives back what looking at the base took.
func (b *Base) Close() error {
	var errs []error
	for _, c := range b.kernel {
		errs = append(errs, c.Close())
	}
	if b.raw != nil {
		errs = append(errs, b.raw.Close())
	}
	for _, l := range b.logs {
		errs = append(errs, l.Close())
	}
	if b.file != nil {
		errs = append(errs, b.file.Close())
	}
	if b.tree != nil {
		errs = append(errs, b.tree.Close())
	}
	return errors.Join(errs...)
}

// Root returns the tree of the base as its system will see it.
func (b *Base) Root() (*sysroot.Root, error) {
	var mounts []sysroot.Mount
	for _, m := range b.Mounts {
		mounts = append(mounts, sysroot.Mount{Dir: m.Dir, FS: m.FS, Err: m.Why})
	}
	for _, e := range b.lines() {
		if _, ok := bindOf(e); ok && !b.mounted(e.Target) {
			mounts = append(mounts, sysroot.Mount{Dir: e.Target, Bind: path.Clean(e.Source)})
		}
	}
	return sysroot.New(mounts)
}

// choose returns the partitions that the user named.
func (b *Base) choose(names []string) (chosen []*Part, err error) {
	for _, name := range names {
		i := slices.IndexFunc(b.Parts, func(p *Part) bool {
			return fmt.Sprint(p.Number) == name || strings.EqualFold(p.UUID, name) || p.Label == name && name != ""
		})
		if i < 0 {
			return nil, fmt.Errorf("no partition %q: the image has %s", name, listParts(b.Parts))
		}
		chosen = append(chosen, b.Parts[i])
	}
	return chosen, nil
}

func listParts(parts []*Part) string {
	var names []string
	for _, p := range parts {
		names = append(names, p.Name())
	}
	return strings.Join(names, ", ")
}

// mount opens the file system of a partition, or a subvolume of it. What cannot
// be read or changed is in the result.
func (b *Base) mount(dir string, p *Part, subvolume string) Mount {
	m := Mount{Dir: dir, Part: p, Subvolume: subvolume}
	if why := p.Content.Kind.Reason(); why != "" {
		m.Why = fmt.Errorf("%s %s: %w", p.Name(), why, fault.ErrUnsupported)
		return m
	}
	if p.hash == nil && slices.Contains(mounted.Kinds(), string(p.Content.Kind)) {
		return b.mountByKernel(m)
	}
	if p.hash == nil {
		scratch := redo.Scratch(section(b.disk, p), p.Span.Length)
		b.logs = append(b.logs, scratch)
		editor, err := edit(p.Content.Kind, scratch, p.Span.Length, b.now)
		if err == nil {
			m.FS, m.Free = editor.FS(), editor.Free()
			return m
		}
		m.Why = fmt.Errorf("%s: %w", p.Name(), err)
	} else {
		m.Why = fmt.Errorf("%s is protected by dm-verity, with its hash tree in %s; a change would make it unreadable: %w",
			p.Name(), p.hash.Name(), fault.ErrUnsupported)
	}
	if fsys, err := read(p.Content.Kind, section(b.disk, p), p.Span.Length); err == nil {
		m.FS = fsys
	}
	return m
}

// findRoot finds the root file system: the partition that has /etc and /usr in
// it, or that has the type of a root, where its content cannot be seen.
func (b *Base) findRoot(chosen []*Part) (Mount, error) {
	var roots []Mount
	for _, p := range b.Parts {
		m := b.mount("/", p, "")
		if name, ok := m.rootSubvolume(); ok {
			m = b.mount("/", p, name)
		}
		if m.isRoot() {
			roots = append(roots, m)
		}
	}
	for _, p := range chosen {
		for _, m := range roots {
			if m.Part == p {
				return m, nil
			}
		}
	}
	switch len(roots) {
	case 0:
		return Mount{}, b.noRoot()
	case 1:
		return roots[0], nil
	}
	if typed := onlyTyped(roots); typed != nil {
		return *typed, nil
	}
	return Mount{}, &advised{
		fmt.Errorf("%d root file systems: %s", len(roots), listMounts(roots)),
		"choose one with --partition NUMBER",
	}
}

func listMounts(mounts []Mount) string {
	var parts []*Part
	for _, m := range mounts {
		parts = append(parts, m.Part)
	}
	return listParts(parts)
}

// onlyTyped returns the one root that has the type of a root and is not to be
// left alone.
func onlyTyped(roots []Mount) (found *Mount) {
	for i, m := range roots {
		if m.Part.Type.Designator != dps.Root || m.Part.Attributes&gpt.NoAuto != 0 {
			continue
		}
		if found != nil {
			return nil
		}
		found = &roots[i]
	}
	return found
}

// isRoot reports whether the file system is that of a root.
func (m Mount) isRoot() bool {
	if m.FS == nil {
		// What cannot be seen counts by its type, so that the reason is told; but
		// not a partition that waits for its first content.
		return m.Part.Type.Designator == dps.Root && m.Part.Content.Kind != ""
	}
	return isDir(m.FS, "etc") && isDir(m.FS, "usr")
}

// readOnly reports whether nobody can change the file system, by its nature, so
// that a base with its /var elsewhere is a good one.
func (m Mount) readOnly() bool {
	kind := m.Part.Content.Kind
	return m.FS != nil && m.Part.hash == nil && (kind == probe.EROFS || kind == probe.SquashFS)
}

func isDir(fsys fs.FS, name string) bool {
	state, err := fs.Lstat(fsys, name)
	return err == nil && state.IsDir()
}

// noRoot says why there is no root file system, as well as it can be known.
func (b *Base) noRoot() error {
	var hidden []string
	for _, p := range b.Parts {
		switch kind := p.Content.Kind; {
		case kind.Reason() != "" && kind != probe.Verity:
			hidden = append(hidden, p.Name()+" "+kind.Reason())
		case slices.Contains(mounted.Kinds(), string(kind)):
			m := b.mount("/", p, "")
			if m.Why != nil {
				hidden = append(hidden, m.Why.Error())
			}
		case kind == probe.F2FS || kind == probe.Bcachefs:
			hidden = append(hidden, p.Name()+" has a file system of type "+string(kind)+", which sextant cannot change")
		}
	}
	if len(hidden) > 0 {
		return fmt.Errorf("no root file system that can be seen: %s: %w", strings.Join(hidden, ", "), fault.ErrUnsupported)
	}
	return fmt.Errorf("no partition has a root file system, one with /etc and /usr: %s: %w", listParts(b.Parts), fault.ErrUnsupported)
}

// advised is an error with what to do about it.
type advised struct {
	error
	advice string
}

// Hint returns what to do, for the line after the error message.
func (a *advised) Hint() string { return a.advice }

// Unwrap returns the error.
func (a *advised) Unwrap() error { return a.error }

// modeOf returns the mode of what is at a path, 0 if nothing is.
func modeOf(r *sysroot.Root, name string) tree.Mode {
	_, node, err := r.Resolve(name)
	if err != nil || node == nil {
		return 0
	}
	return node.Mode
}

// sizeOf returns the length of a regular file of the base.
func sizeOf(m Mount, name string) (int64, bool) {
	state, err := fs.Lstat(m.FS, name)
	if err != nil || !state.Mode().IsRegular() {
		return 0, false
	}
	return state.Size(), true
}
