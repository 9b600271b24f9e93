// Package source turns what a build takes in into a tree: directories, single
// files, and tar archives, plain or compressed.
//
//	path ── Directory ─┐
//	path ── File ──────┼─> tree.Tree ── Merge at the target ──> the image's tree
//	path ── Tar ───────┘
//
// A tree made here says what is there: real owners, modes, times to the
// nanosecond, hard links, holes. What the image shall have instead is decided
// by the tree's own methods (SquashOwners, ClampTimes, Restrict, ...). Only
// extended attributes are chosen here, as reading those that nobody wants
// costs time.
//
// File contents stay where they are and are opened when they are read; one
// that changed since its tree was made is an error then. Compressed archives
// are unpacked into a Spool.
//
// Left out: raw images and OCI layers (whiteouts are files like any other
// here), and outside Linux all that io/fs does not know.
package source

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/tree"
)

// Options say how sources are read.
type Options struct {
	Xattrs Xattrs
	Spool  *Spool // needed for compressed archives
}

// Extra is one source and its place in the image, as in mkosi's ExtraTrees=.
type Extra struct {
	// Source is a directory, a file or an archive. A symbolic link to one
	// stands for it.
	Source string

	// Target is a path in the image, "" if the user gave none. A file goes
	// into a target that is a directory or ends in a slash, else the target
	// is its new name.
	Target string

	// Unpack says that an archive with a target is unpacked there. mkosi
	// copies it as a file.
	Unpack bool
}

// Add reads the source and merges it into dst with the rules of tree.Merge.
// Without a target directories and archives land on the root, and so does any
// other file, under its own name. The notices tell the user, in a sentence
// each, what may not be what was meant.
//
// The errors name the source. After one, dst is of no use.
func Add(ctx context.Context, dst *tree.Tree, extra Extra, opts Options) (notices []string, err error) {
	notices, err = add(ctx, dst, extra, opts)
	if err != nil {
		return nil, fmt.Errorf("add %s: %w", extra, err)
	}
	return notices, nil
}

// String gives the extra as it stands in a configuration.
func (e Extra) String() string {
	if e.Target == "" {
		return e.Source
	}
	return e.Source + ":" + e.Target
}

func add(ctx context.Context, dst *tree.Tree, extra Extra, opts Options) ([]string, error) {
	path, err := filepath.EvalSymlinks(extra.Source)
	if err != nil {
		return nil, err
	}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case fi.IsDir():
		t, err := Directory(ctx, path, opts)
		if err != nil {
			return nil, err
		}
		return nil, dst.Merge(extra.Target, t.Root)
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("a source is a directory, a file or an archive, not a %s", tree.ModeOf(fi.Mode()).Kind())
	}
	return addFile(ctx, dst, path, extra, opts)
}

// addFile adds what is in a regular file. An archive with a target stays one,
// unless told otherwise: mkosi unpacks only those without.
func addFile(ctx context.Context, dst *tree.Tree, path string, extra Extra, opts Options) ([]string, error) {
	archive, err := IsTar(path)
	if err != nil {
		return nil, err
	}
	switch {
	case archive && (extra.Target == "" || extra.Unpack):
		t, err := Tar(ctx, path, opts)
		if err != nil {
			return nil, err
		}
		return nil, dst.Merge(extra.Target, t.Root)
	case extra.Unpack:
		return nil, fmt.Errorf("no archive that could be unpacked: %w", fault.ErrUnsupported)
	case extra.Target == "" && filepath.Ext(path) == ".raw":
		return nil, fmt.Errorf("disk images are no source: %w", fault.ErrUnsupported)
	}
	file, err := File(path, opts)
	if err != nil {
		return nil, err
	}
	target := fileTarget(dst, extra.Target, filepath.Base(path))
	if err := dst.Merge(target, file); err != nil {
		return nil, err
	}
	if archive {
		return []string{fmt.Sprintf("the archive %s is copied to %s as a file, as it has a target; without one it is unpacked", extra.Source, target)}, nil
	}
	return nil, nil
}

// fileTarget returns the path of a file called name that is copied to target.
func fileTarget(dst *tree.Tree, target, name string) string {
	into := target == "" || strings.HasSuffix(target, "/")
	if !into {
		_, err := dst.ResolveDir(target, false)
		into = err == nil
	}
	path := "/" + strings.Join(tree.Split(target), "/")
	if into {
		path = strings.TrimSuffix(path, "/") + "/" + name
	}
	return path
}
