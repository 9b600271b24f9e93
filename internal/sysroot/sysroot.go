// Package sysroot shows the file systems of a base image as the one tree that
// its system will see, with changes on top that are not made yet.
//
//	/            partition 3 ─┐
//	/var         partition 4 ─┼─ Root ─ fs.FS
//	/boot/efi    partition 1 ─┘    │
//	changes ───────────────────────┘
//
// Paths go through symbolic links as they would in that system: an absolute link
// begins at its root, ".." ends there, and both lead from one partition into
// another. Root reads; the changes are noted in their order, for somebody to
// carry out.
package sysroot

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sextant/internal/span"
	"sextant/internal/tree"
)

// Mount is a file system and where it will be mounted.
type Mount struct {
	// Dir is an absolute path without links: "/", "/var".
	Dir string

	// FS reads it, and implements fs.ReadLinkFS and fs.ReadDirFS. The Sys of
	// what its Lstat returns is a *tree.Inode; where it is not, an owner other
	// than root and extended attributes are not seen.
	FS fs.FS

	// Err says why FS is nil: whatever leads below Dir is this error.
	Err error

	// Bind is an absolute path whose directory is mounted at Dir instead of a
	// file system of its own; FS and Err are nil then.
	Bind string
}

// Edit is one change. Edits are made in their order.
type Edit struct {
	// Path is absolute and goes through no symbolic link.
	Path string

	// Node is what is at Path from now on, with its attributes. A directory
	// keeps what is in it. Nil removes what is there, with all below it.
	Node *tree.Inode

	// Why says what asked for it, for people.
	Why string
}

// Root is the tree. It implements fs.FS, fs.StatFS, fs.ReadDirFS, fs.ReadFileFS
// and fs.ReadLinkFS.
type Root struct {
	mounts []Mount           // those deeper in the tree first
	binds  map[string]string // directories that show others
	edits  []Edit

	known    map[string]*tree.Inode     // directories of the base that were looked at
	changed  map[string]*tree.Inode     // by path; nil for what is removed
	children map[string]map[string]bool // names in a directory that are in changed
	emptied  map[string]bool            // nothing of the base is left below
}

// New returns the tree of some mounts, one of which is at "/".
func New(mounts []Mount) (*Root, error) {
	r := &Root{
		known: map[string]*tree.Inode{}, changed: map[string]*tree.Inode{}, binds: map[string]string{},
		children: map[string]map[string]bool{}, emptied: map[string]bool{},
	}
	for _, m := range mounts {
		if m.Bind == "" {
			r.mounts = append(r.mounts, m)
		} else if m.Bind != m.Dir {
			r.binds[m.Dir] = m.Bind
		}
	}
	slices.SortFunc(r.mounts, func(a, b Mount) int { return strings.Compare(b.Dir, a.Dir) })
	for i, m := range r.mounts {
		if i > 0 && m.Dir == r.mounts[i-1].Dir {
			return nil, fmt.Errorf("two file systems are mounted at %s", m.Dir)
		}
	}
	if len(r.mounts) == 0 || r.mounts[len(r.mounts)-1].Dir != "/" {
		return nil, errors.New("no file system is mounted at /")
	}
	return r, nil
}

// Edits returns the changes, in order.
func (r *Root) Edits() []Edit { return slices.Clone(r.edits) }

// Mount returns the file system that a path without links is on, as the
// directory where it is mounted, and the name of the path inside it.
func (r *Root) Mount(at string) (dir, name string) {
	m, name := r.mount(at)
	return m.Dir, name
}

func (r *Root) mount(at string) (Mount, string) {
	for _, m := range r.mounts {
		if at == m.Dir {
			return m, "."
		}
		if rest, ok := strings.CutPrefix(at, strings.TrimSuffix(m.Dir, "/")+"/"); ok {
			return m, rest
		}
	}
	panic("internal error: " + at + " is not below /")
}

// Put notes that node is at a path from now on. The path is one that Resolve
// returned, and its parent is there.
func (r *Root) Put(at string, node *tree.Inode, why string) {
	if before, err := r.node(at); err == nil && before.Mode.Type() != node.Mode.Type() {
		r.Remove(at, why)
	}
	r.edits = append(r.edits, Edit{at, node, why})
	r.change(at, node)
}

// Remove notes that nothing is at a path any more, nor below it.
func (r *Root) Remove(at, why string) {
	r.edits = append(r.edits, Edit{Path: at, Why: why})
	r.change(at, nil)
	r.emptied[at] = true
	for below := range maps.Clone(r.changed) {
		if strings.HasPrefix(below, at+"/") {
			delete(r.changed, below)
			delete(r.children[path.Dir(below)], path.Base(below))
		}
	}
}

func (r *Root) change(at string, node *tree.Inode) {
	r.changed[at] = node
	dir := path.Dir(at)
	if r.children[dir] == nil {
		r.children[dir] = map[string]bool{}
	}
	r.children[dir][path.Base(at)] = true
}

// node returns what is at a path whose directory is there. What it returns must
// not be changed.
func (r *Root) node(at string) (*tree.Inode, error) {
	if node, ok := r.changed[at]; ok {
		if node == nil {
			return nil, fs.ErrNotExist
		}
		return node, nil
	}
	if r.gone(at) {
		return nil, fs.ErrNotExist
	}
	if node, ok := r.known[at]; ok {
		return node, nil
	}
	m, name := r.mount(at)
	if m.FS == nil {
		return nil, m.Err
	}
	state, err := fs.Lstat(m.FS, name)
	if err != nil {
		return nil, err
	}
	node, err := inodeOf(m.FS, name, state)
	if err == nil && node.Mode.IsDir() {
		r.known[at] = node
	}
	return node, err
}

// gone reports whether a directory above the path was removed, so that what the
// base has there does not count.
func (r *Root) gone(at string) bool {
	if len(r.emptied) == 0 {
		return false
	}
	for dir := at; dir != "/"; dir = path.Dir(dir) {
		if r.emptied[dir] {
			return true
		}
	}
	return false
}

// inodeOf returns the inode behind a state.
func inodeOf(fsys fs.FS, name string, state fs.FileInfo) (*tree.Inode, error) {
	node := &tree.Inode{Mode: tree.ModeOf(state.Mode()), ModTime: state.ModTime()}
	if told, ok := state.Sys().(*tree.Inode); ok {
		c := *told
		node = &c
	}
	switch {
	case node.Mode.IsRegular() && node.Content == nil:
		node.Content = content{fsys, name, state.Size()}
	case node.Mode.Type() == tree.TypeSymlink && node.Target == "":
		target, err := fs.ReadLink(fsys, name)
		if err != nil {
			return nil, err
		}
		node.Target = target
	}
	return node, nil
}

// content is what a file of the base has in it.
type content struct {
	fsys fs.FS
	name string
	size int64
}

// Size returns the length in bytes.
func (c content) Size() int64 { return c.size }

// Extents returns the whole content: what is a hole is not known.
func (c content) Extents() []span.Span { return span.Whole(c.size) }

// Open opens the file, which must be one that can be read at any offset.
func (c content) Open() (tree.Reader, error) {
	f, err := c.fsys.Open(c.name)
	if err != nil {
		return nil, err
	}
	if r, ok := f.(tree.Reader); ok {
		return r, nil
	}
	f.Close()
	return nil, fmt.Errorf("%s cannot be read at any offset: %w", c.name, errors.ErrUnsupported)
}
