package roottree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sextant/internal/extract"
)

// writeDirectory writes the tree to a directory that appears when it is
// complete.
func (e *Editor) writeDirectory(ctx context.Context, path string) error {
	path = filepath.Clean(path)
	if err := vacant(path); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	made, err := extract.Extract(ctx, temporary, e.tree, extract.Options{Owners: owners()})
	if err == nil {
		err = adopt(temporary, e)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.RemoveAll(temporary))
	}
	e.tell(made.LeftOut)
	return nil
}

// vacant returns an error if something is at path that a rename would not
// replace, or should not.
func vacant(path string) error {
	list, err := os.ReadDir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(list) > 0:
		return fmt.Errorf("%s: directory is not empty: %w", path, fs.ErrExist)
	}
	return nil
}

// adopt gives the directory itself the attributes of the root: one that exists
// already keeps its own when something is extracted into it.
func adopt(path string, e *Editor) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	left, err := extract.SetAttributes(root, ".", e.tree.Root, extract.Options{Owners: owners()})
	e.tell(left)
	return err
}

// owners reports whether files can be given to others.
func owners() bool { return os.Geteuid() == 0 }

// tell turns what could not be kept into notices.
func (e *Editor) tell(left []extract.LeftOut) {
	for _, l := range left {
		e.notices = append(e.notices, fmt.Sprintf("%s of %d files are not kept, as this is not root or the file system has none: the first is %s", l.What, l.Count, l.First))
	}
}
