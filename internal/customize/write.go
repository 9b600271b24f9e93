package customize

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

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
	d, err := p.Begin(ctx, to)
	if err != nil {
		return err
	}
	defer d.Discard()
	return d.Write(ctx)
}

// Draft is a new image without the changes and without a name. The base is
// copied to it while the plan is checked.
type Draft struct {
	plan *Plan
	to   Output
	out  *disk.Output // nil for what is not made of a copy of the disk

	stop   context.CancelFunc
	copied chan struct{}
	err    error // of the copy, when it is done
}

// Begin does what Write does and needs no plan that was checked. Discard must
// follow.
func (p *Plan) Begin(ctx context.Context, to Output) (*Draft, error) {
	if p.Base.tree != nil {
		if to.Format != "" {
			return nil, fmt.Errorf("a %s is written as a %s, not as %s: %w", p.Base.Format(), p.Base.Format(), to.Format, fault.ErrUnsupported)
		}
		return &Draft{plan: p, to: to}, nil
	}
	if to.Format == "" {
		to.Format = p.Base.file.Format
	}
	d := &Draft{plan: p, to: to, copied: make(chan struct{})}
	if p.needsKernel() && to.Format != disk.Raw {
		return d, nil
	}
	var err error
	if d.out, err = p.create(to); err != nil {
		return nil, err
	}
	ctx, d.stop = context.WithCancel(ctx)
	go func() {
		defer close(d.copied)
		d.err = disk.Copy(ctx, d.out, p.Base.file)
	}()
	return d, nil
}

// Write makes the changes and gives the image its name.
func (d *Draft) Write(ctx context.Context) error {
	switch {
	case d.plan.Base.tree != nil:
		return d.plan.writeTree(ctx, d.to.Path, false)
	case d.out == nil:
		return d.plan.writeStaged(ctx, d.to)
	}
	if <-d.copied; d.err != nil {
		return fmt.Errorf("copy: %w", d.err)
	}
	if err := d.plan.Apply(ctx, d.out); err != nil {
		return err
	}
	if d.plan.needsKernel() {
		if err := d.plan.applyByKernel(ctx, d.out.File()); err != nil {
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

func (p *Plan) create(to Output) (*disk.Output, error) {
	return disk.Create(to.Path, to.Format, p.Base.Size, disk.Options{Time: p.Base.now, SectorSize: p.Base.SectorSize})
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
