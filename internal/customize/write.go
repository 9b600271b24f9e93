package customize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"sextant/internal/disk"
	"sextant/internal/redo"
)

// Output says what to make of a plan.
type Output struct {
	Path   string
	Format disk.Format
}

// Write makes a new image: a copy of the base with the changes in it. It
// appears under its name when it is whole.
func (p *Plan) Write(ctx context.Context, base *disk.Disk, to Output) error {
	out, err := disk.Create(to.Path, to.Format, base.Size(), disk.Options{Time: p.Base.now, SectorSize: p.Base.SectorSize})
	if err != nil {
		return err
	}
	defer out.Discard()
	if err := disk.Copy(ctx, out, base); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	if err := p.Apply(ctx, out); err != nil {
		return err
	}
	return out.Commit()
}

// logName is the file beside a base in which changes in place wait.
func logName(path string) string { return path + ".sextant-redo" }

// WriteInPlace changes the raw image at path itself. What changes is written to
// a file beside it first; once that is complete, the change counts: a program
// that is killed after that leaves the file for Recover.
func (p *Plan) WriteInPlace(ctx context.Context, path string) error {
	image, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer image.Close()
	var file *os.File
	defer func() {
		if file != nil {
			file.Close()
		}
	}()
	log := redo.New(image, p.Base.Size, func() (redo.File, error) {
		file, err = os.OpenFile(logName(path), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return file, err
	})
	err = p.Apply(ctx, log)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = log.Seal()
	}
	if err != nil {
		if file != nil {
			os.Remove(logName(path))
		}
		return err
	}
	if !log.Changed() {
		return nil
	}
	return finish(log, image, path)
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
	size, err := image.Seek(0, 2)
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

// Interrupted reports whether a change in place of the image at path was begun
// and not ended.
func Interrupted(path string) bool {
	_, err := os.Lstat(logName(path))
	return err == nil
}
