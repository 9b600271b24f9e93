// Package symlink follows a path through the symbolic links of a system, inside
// that system's root.
//
// The steps are those of the kernel for a process whose root directory it is
// (path_resolution(7)): an absolute target begins at the root, ".." at the root
// stays there, a name behind what is no directory is ENOTDIR, as is a slash, and
// a link of no target leads nowhere. What the system is made of, and how many
// links a path may lead through, its reader says: directories of this host, the
// inodes of an image, a tree in memory.
package symlink

import (
	"strings"
	"syscall"
)

// Kind is what has to be known about something to go on from it.
type Kind uint8

const (
	// Other is what has nothing below it.
	Other Kind = iota

	// Dir is a directory.
	Dir

	// Link is a symbolic link.
	Link

	// Bind shows another directory in its place, and is followed as a Link is,
	// also where the last name is not.
	Bind
)

// KindOf returns the kind of a file.
func KindOf(dir, link bool) Kind {
	switch {
	case dir:
		return Dir
	case link:
		return Link
	}
	return Other
}

// Reader knows what a system is made of, whose things are named by values of T:
// inodes, or paths without links.
type Reader[T any] interface {
	// Child returns what the last directory of way has by a name, which is
	// neither "." nor "..". The way leads there from the root, and belongs to
	// the caller.
	Child(way []T, name string) (T, Kind, error)

	// Target returns where a Link or Bind leads.
	Target(link T) (string, error)
}

// Rules say how to follow.
type Rules struct {
	// Links is how many links a path may lead through.
	Links int

	// Stay does not follow a link that is the last name.
	Stay bool
}

// Follow returns what is at a path of the system whose root directory is root.
// It makes no difference whether the path begins with a slash.
//
// With an error of the reader, ENOTDIR or ELOOP, at is what was reached, and
// rest what was still to go from there: the name that the error is about comes
// first.
func Follow[T any](r Reader[T], root T, path string, rules Rules) (at T, rest string, err error) {
	var few [8]T
	way, here, links := append(few[:0], root), Dir, 0
	for path != "" {
		if here != Dir {
			return way[len(way)-1], path, syscall.ENOTDIR
		}
		name, behind := cut(path)
		switch name {
		case "", ".":
			path = behind
			continue
		case "..":
			way, path = way[:max(1, len(way)-1)], behind
			continue
		}
		child, kind, err := r.Child(way, name)
		if err != nil {
			return way[len(way)-1], path, err
		}
		if kind == Dir || kind == Other || kind == Link && rules.Stay && behind == "" {
			way, here, path = append(way, child), kind, behind
			continue
		}
		if links++; links > rules.Links {
			return way[len(way)-1], path, syscall.ELOOP
		}
		target, err := r.Target(child)
		if err == nil && target == "" {
			err = syscall.ENOENT
		}
		if err != nil {
			return way[len(way)-1], path, err
		}
		if target[0] == '/' {
			way = way[:1]
		}
		path = target + behind
	}
	return way[len(way)-1], "", nil
}

// cut takes the first name off a path. What is behind it begins with its slash.
func cut(path string) (name, behind string) {
	path = strings.TrimLeft(path, "/")
	if at := strings.IndexByte(path, '/'); at >= 0 {
		return path[:at], path[at:]
	}
	return path, ""
}
