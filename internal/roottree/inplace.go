package roottree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sextant/internal/extract"
	"sextant/internal/fault"
	"sextant/internal/linux/dir"
	"sextant/internal/tree"
)

// The directory, below the root, that a change in place is prepared in. As long
// as there is no journal in it nothing has been changed.
const (
	stageName   = ".sextant-customize"
	journalName = "journal"
	newName     = "new"
)

var errInterrupted = errors.New("a change of this directory was interrupted; recover it first")

// step is one line of the journal. Doing it again does nothing.
type step struct {
	// Path is that of what is changed, relative to the root.
	Path string `json:"path"`

	// From is the name of what takes its place, in the directory of new files.
	// What was there goes.
	From string `json:"from,omitempty"`

	// Is gives a directory that stays its attributes. Without From and Is what
	// is at Path is removed.
	Is *attributes `json:"is,omitempty"`
}

// attributes are those of a directory.
type attributes struct {
	Mode    tree.Mode    `json:"mode"`
	UID     uint32       `json:"uid"`
	GID     uint32       `json:"gid"`
	ModTime time.Time    `json:"modTime"`
	Xattrs  []tree.Xattr `json:"xattrs,omitempty"`
}

func attributesOf(n *tree.Inode) *attributes {
	return &attributes{n.Mode, n.UID, n.GID, n.ModTime, n.Xattrs}
}

func (a *attributes) inode() *tree.Inode {
	return &tree.Inode{Mode: a.Mode, UID: a.UID, GID: a.GID, ModTime: a.ModTime, Xattrs: a.Xattrs}
}

// difference finds the steps from one tree to another.
type difference struct {
	moves []step
	marks []step // attributes, those of inner directories first
	fresh *tree.Tree
}

// compare adds the steps that make the directory old like new. Both begin as the
// same, so what is not the same inode was changed.
func (d *difference) compare(at string, old, new *tree.Inode) error {
	if old == new {
		return nil
	}
	for _, e := range old.Entries() {
		if new.Child(e.Name) == nil {
			d.moves = append(d.moves, step{Path: path.Join(at, e.Name)})
		}
	}
	for _, e := range new.Entries() {
		was, below := old.Child(e.Name), path.Join(at, e.Name)
		var err error
		switch {
		case was == e.Inode:
		case was != nil && was.Mode.IsDir() && e.Inode.Mode.IsDir():
			err = d.compare(below, was, e.Inode)
		default:
			err = d.place(below, e.Inode)
		}
		if err != nil {
			return err
		}
	}
	// The renames in it changed its time.
	d.marks = append(d.marks, step{Path: at, Is: attributesOf(new)})
	return nil
}

func (d *difference) place(at string, node *tree.Inode) error {
	from := strconv.Itoa(d.fresh.Root.Len())
	d.moves = append(d.moves, step{Path: at, From: from})
	return d.fresh.Root.Put(from, node)
}

// rename gives what was left out the paths that it would have in the root.
func (d *difference) rename(left []extract.LeftOut) []extract.LeftOut {
	for i, l := range left {
		from, below, _ := strings.Cut(strings.TrimPrefix(l.First, "/"), "/")
		for _, s := range d.moves {
			if s.From != "" && s.From == from {
				left[i].First = path.Join("/", s.Path, below)
			}
		}
	}
	return left
}

// changeDirectory changes the base itself.
func (e *Editor) changeDirectory(ctx context.Context) error {
	d := &difference{fresh: &tree.Tree{Root: tree.NewDir(0o700)}}
	d.fresh.Root.UID, d.fresh.Root.GID = uint32(os.Geteuid()), uint32(os.Getegid())
	if err := d.compare(".", e.base.Tree.Root, e.tree.Root); err != nil {
		return err
	}
	root, err := os.OpenRoot(e.base.path)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Mkdir(stageName, 0o700); err != nil {
		return err
	}
	if err := e.prepare(ctx, root, d); err != nil {
		err = errors.Join(err, root.RemoveAll(stageName))
		_, markErr := step{Path: ".", Is: attributesOf(e.base.Tree.Root)}.mark(root, nil)
		return errors.Join(err, markErr)
	}
	left, err := replay(root, append(d.moves, d.marks...), e.checkpoint)
	e.tell(left)
	return err
}

// prepare makes all new files and then the journal.
func (e *Editor) prepare(ctx context.Context, root *os.Root, d *difference) error {
	if err := oneFileSystem(e.base.path, d.marks); err != nil {
		return err
	}
	fresh := filepath.Join(e.base.path, stageName, newName)
	made, err := extract.Extract(ctx, fresh, d.fresh, extract.Options{Owners: owners()})
	if err != nil {
		return err
	}
	e.tell(d.rename(made.LeftOut))
	if err := syncAll(root, path.Join(stageName, newName)); err != nil {
		return err
	}
	text, err := json.MarshalIndent(append(d.moves, d.marks...), "", "\t")
	if err != nil {
		return err
	}
	temporary := path.Join(stageName, journalName+".tmp")
	if err := root.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	if err := syncOne(root, temporary); err != nil {
		return err
	}
	if err := root.Rename(temporary, path.Join(stageName, journalName)); err != nil {
		return err
	}
	return syncOne(root, stageName)
}

// oneFileSystem returns an error if something changes in a directory of another
// file system, into which nothing can be renamed: better before than half-way.
func oneFileSystem(root string, steps []step) error {
	device, err := deviceOf(root)
	if err != nil {
		return err
	}
	for _, s := range steps {
		if s.Is == nil {
			continue
		}
		if d, err := deviceOf(filepath.Join(root, s.Path)); err == nil && d != device {
			return fmt.Errorf("/%s is on another file system, and cannot be changed in place: %w", s.Path, fault.ErrUnsupported)
		}
	}
	return nil
}

func deviceOf(path string) (uint64, error) {
	d, err := dir.Open(path)
	if err != nil {
		return 0, err
	}
	st, err := d.Self()
	return st.Dev, errors.Join(err, d.Close())
}

// syncAll brings files and directories to stable storage.
func syncAll(root *os.Root, top string) error {
	return fs.WalkDir(root.FS(), top, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() && !entry.Type().IsRegular() {
			return err
		}
		return syncOne(root, at)
	})
}

func syncOne(root *os.Root, at string) error {
	f, err := root.Open(at)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a file that even its owner may not read
	}
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrInvalid) {
		err = nil // no system but Unix syncs directories
	}
	return errors.Join(err, f.Close())
}

// Interrupted reports whether a change of the directory at path was interrupted.
func Interrupted(path string) bool {
	_, err := os.Lstat(filepath.Join(path, stageName))
	return err == nil
}

// Recover ends a change of the directory at a path that was interrupted: one whose
// journal is there is completed, another one has changed nothing and is
// forgotten. It reports whether one was completed.
func Recover(at string) (completed bool, err error) {
	if !Interrupted(at) {
		return false, nil
	}
	root, err := os.OpenRoot(at)
	if err != nil {
		return false, err
	}
	defer root.Close()
	steps, err := readJournal(root)
	if errors.Is(err, fs.ErrNotExist) {
		return false, root.RemoveAll(stageName)
	}
	if err != nil {
		return false, fmt.Errorf("journal %s: %w", path.Join(stageName, journalName), err)
	}
	_, err = replay(root, steps, nothing)
	return err == nil, err
}

// journalMax bounds the journal that Recover reads. A step has some hundred bytes.
const journalMax = 64 << 20

// readJournal reads what somebody else may have written. Whatever it says is
// done inside the root.
func readJournal(root *os.Root) (steps []step, err error) {
	name := path.Join(stageName, journalName)
	state, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !state.Mode().IsRegular() || state.Size() > journalMax {
		return nil, fmt.Errorf("%s of %d bytes: %w", tree.ModeOf(state.Mode()).Kind(), state.Size(), fault.ErrCorrupt)
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &steps); err != nil {
		return nil, fmt.Errorf("%w: %w", err, fault.ErrCorrupt)
	}
	return steps, nil
}

// nothing is done between the steps but by tests.
func nothing() error { return nil }

// replay makes the changes of a journal, and removes it.
func replay(root *os.Root, steps []step, between func() error) (left []extract.LeftOut, err error) {
	for _, s := range steps {
		if err := between(); err != nil {
			return left, err
		}
		switch {
		case s.From != "":
			err = s.place(root)
		case s.Is == nil:
			err = root.RemoveAll(s.Path)
		case s.Path == ".":
			continue // comes last
		default:
			left, err = s.mark(root, left)
		}
		if err != nil {
			return left, fmt.Errorf("/%s: %w", s.Path, err)
		}
	}
	// The journal goes before the new files: without it nothing is done again.
	if err := root.Remove(path.Join(stageName, journalName)); err != nil {
		return left, err
	}
	if err := root.RemoveAll(stageName); err != nil {
		return left, err
	}
	for _, s := range steps {
		if s.Is != nil && s.Path == "." {
			return s.mark(root, left)
		}
	}
	return left, nil
}

// place moves a new file or directory to its place. Where it is not in the stage
// it is there already, or could not be made.
func (s step) place(root *os.Root) error {
	from := path.Join(stageName, newName, s.From)
	state, err := root.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	there, err := root.Lstat(s.Path)
	if err == nil && (there.IsDir() || state.IsDir()) {
		// Only a file is renamed over a file.
		err = root.RemoveAll(s.Path)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.Rename(from, s.Path)
}

// mark gives a directory its attributes.
func (s step) mark(root *os.Root, left []extract.LeftOut) ([]extract.LeftOut, error) {
	more, err := extract.SetAttributes(root, s.Path, s.Is.inode(), extract.Options{Owners: owners()})
	return append(left, more...), err
}
