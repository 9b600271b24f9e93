package customize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"sextant/internal/disk"
	"sextant/internal/fault"
	"sextant/internal/redo"
	"sextant/internal/roottree"
)

// Output says what to make of a plan.
type Output struct {
	Path string

	// Format is what contains the disk, empty for that of the base.
	Format disk.Format
}

// Format says what contains the base: a format of disks, "directory" or "tar".
func (b *Base) Format() string {
	if b.file != nil {
		return string(b.file.Format)
	}
	return string(b.Mounts[0].Part.Content.Kind)
}

// Write makes a new image: a copy of the base, which was opened by its path,
// with the changes in it. It appears under its name when it is whole. A
// directory becomes a directory, and an archive an archive.
func (p *Plan) Write(ctx context.Context, to Output) error {
	d, err := p.Base.Begin(ctx, to)
	if err != nil {
		return err
	}
	defer d.Discard()
	return d.Write(ctx, p)
}

// Draft is a new image without changes and without a name. The base is copied
// to it while the changes are decided and checked.
type Draft struct {
	base *Base
	to   Output
	out  *disk.Output // nil while it is not known that a copy of the disk is wanted

	stop   context.CancelFunc
	copied chan struct{}
	err    error // of the copy, when it is done
}

// Begin begins a new image of the base, which must stay open until Discard.
func (b *Base) Begin(ctx context.Context, to Output) (*Draft, error) {
	d := &Draft{base: b, to: to}
	if b.tree != nil {
		if to.Format != "" {
			return nil, fmt.Errorf("a %s is written as a %s, not as %s: %w", b.Format(), b.Format(), to.Format, fault.ErrUnsupported)
		}
		return d, nil
	}
	if to.Format == "" {
		d.to.Format = b.file.Format
	}
	if d.to.Format != disk.Raw && slices.ContainsFunc(b.Mounts, func(m Mount) bool { return m.Kernel }) {
		return d, nil
	}
	return d, d.copy(ctx)
}

// copy starts to copy the base.
func (d *Draft) copy(ctx context.Context) (err error) {
	if d.out, err = d.base.create(d.to); err != nil {
		return err
	}
	ctx, d.stop = context.WithCancel(ctx)
	d.copied = make(chan struct{})
	go func() {
		defer close(d.copied)
		d.err = disk.Copy(ctx, d.out, d.base.file)
	}()
	return nil
}

// Write makes the changes of a plan for the base and gives the image its name.
func (d *Draft) Write(ctx context.Context, p *Plan) error {
	switch {
	case d.base.tree != nil:
		return p.writeTree(ctx, d.to.Path, false)
	case d.to.Format != disk.Raw && p.needsKernel():
		return p.writeStaged(ctx, d.to)
	case d.out == nil:
		if err := d.copy(ctx); err != nil {
			return err
		}
	}
	if <-d.copied; d.err != nil {
		return fmt.Errorf("copy: %w", d.err)
	}
	if err := p.Apply(ctx, d.out); err != nil {
		return err
	}
	if p.needsKernel() {
		if err := p.applyByKernel(ctx, d.out.File()); err != nil {
			return err
		}
	}
	return d.out.Commit()
}

// Discard drops a draft that was not written. It does nothing after Write.
func (d *Draft) Discard() {
	if d.out == nil {
		return
	}
	d.stop()
	<-d.copied
	d.out.Discard()
}

func (b *Base) create(to Output) (*disk.Output, error) {
	return disk.Create(to.Path, to.Format, b.Size, disk.Options{Time: b.now, SectorSize: b.SectorSize})
}

// logName is the file beside a base in which changes in place wait.
func logName(path string) string { return path + ".sextant-redo" }

// WriteInPlace changes the base itself. What changes in a raw image is written
// to a file beside it first; once that is complete, the change counts: a program
// that is killed after that leaves the file for Recover. Other formats, and what
// the kernel changes, are written anew, and take the place of the old file.
func (p *Plan) WriteInPlace(ctx context.Context) error {
	switch {
	case p.Base.tree != nil:
		return p.writeTree(ctx, p.Base.path, true)
	case p.Base.file.Format != disk.Raw || p.needsKernel():
		return p.Write(ctx, Output{Path: p.Base.path})
	}
	image, err := os.OpenFile(p.Base.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer image.Close()
	log, closeLog := newLog(image, p.Base.Size, logName(p.Base.path))
	defer closeLog()
	err = p.Apply(ctx, log)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = log.Seal()
	}
	if err != nil && log.Changed() {
		os.Remove(logName(p.Base.path))
	}
	if err != nil || !log.Changed() {
		return err
	}
	return finish(log, image, p.Base.path)
}

// newLog begins a log in a file that must not exist and is made when something
// is written. The function that comes back closes it.
func newLog(image *os.File, size int64, name string) (log *redo.Log, closeLog func()) {
	var file *os.File
	log = redo.New(image, size, func() (redo.File, error) {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		file = f
		return f, nil
	})
	return log, func() {
		if file != nil {
			file.Close()
		}
	}
}

// finish brings a sealed log into its image and removes it.
func finish(log *redo.Log, image *os.File, path string) error {
	if err := log.Apply(image); err != nil {
		return err
	}
	if err := image.Sync(); err != nil {
		return err
	}
	return os.Remove(logName(path))
}

// Recover ends what a WriteInPlace that was killed had begun: a change that was
// complete is made, and one that was not is dropped. It reports whether a change
// was made.
func Recover(path string) (done bool, err error) {
	if state, err := os.Stat(path); err == nil && state.IsDir() {
		return roottree.Recover(path)
	}
	file, err := os.OpenFile(logName(path), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	image, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer image.Close()
	size, err := image.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	log, err := redo.Open(image, size, file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, os.Remove(logName(path))
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", logName(path), err)
	}
	return true, finish(log, image, path)
}

// Interrupted reports whether a change in place of the base at path was begun
// and not ended.
func Interrupted(path string) bool {
	if state, err := os.Stat(path); err == nil && state.IsDir() {
		return roottree.Interrupted(path)
	}
	_, err := os.Lstat(logName(path))
	return err == nil
}
