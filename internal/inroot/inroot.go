// Package inroot resolves paths of a system that lies below a directory, its
// root, as that system itself would: a symbolic link, absolute or full of "..",
// never leads out of the root.
//
// The steps are those of systemd's chase() with CHASE_PREFIX_ROOT
// (src/basic/chase.c): at most 32 links, ".." at the top stays at the top, a
// name behind a file is ENOTDIR. As there, the result is a path and not a
// handle: who may write below the root can change what it means afterwards.
package inroot

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links one path may lead through (CHASE_MAX).
const maxLinks = 32

// Join returns the path on this host of path, which is absolute in the system
// below root. An empty root is "/".
func Join(root, path string) string {
	if root == "" || root == "/" {
		return filepath.Clean("/" + path)
	}
	return filepath.Join(root, path)
}

// Resolve follows all symbolic links of path in the system below root. It
// returns the path there, without links: Join makes it one of this host. The
// error of something that does not exist is fs.ErrNotExist.
func Resolve(root, path string) (string, error) {
	w := walk{root: root, todo: path}
	for {
		name, more := w.next()
		if !more {
			return w.done(), nil
		}
		if err := w.step(name); err != nil {
			return "", &os.PathError{Op: "resolve", Path: Join(root, path), Err: err}
		}
	}
}

// ResolveNew is Resolve for a path whose last parts may be missing.
func ResolveNew(root, path string) (string, error) {
	w := walk{root: root, todo: path}
	for {
		name, more := w.next()
		if !more {
			return w.done(), nil
		}
		err := w.step(name)
		if err == syscall.ENOENT {
			w.parts = append(w.parts, name)
			return filepath.Join(w.done(), w.todo), nil
		}
		if err != nil {
			return "", &os.PathError{Op: "resolve", Path: Join(root, path), Err: err}
		}
	}
}

// walk is the way through a path.
type walk struct {
	root  string
	parts []string // names gone through, none of them a link
	todo  string   // what is still to go
	links int

	// file says that the last part is no directory.
	file bool
}

func (w *walk) done() string { return "/" + strings.Join(w.parts, "/") }

// next takes the first name off what is still to go.
func (w *walk) next() (name string, more bool) {
	todo := strings.TrimLeft(w.todo, "/")
	if todo == "" {
		// A slash at the end asks for a directory.
		more = w.file && w.todo != ""
		w.todo = ""
		return ".", more
	}
	name, w.todo = todo, ""
	if at := strings.IndexByte(todo, '/'); at >= 0 {
		name, w.todo = todo[:at], todo[at:]
	}
	return name, true
}

// step goes on by one name.
func (w *walk) step(name string) error {
	if w.file {
		return syscall.ENOTDIR
	}
	switch name {
	case ".":
		return nil
	case "..":
		w.parts = w.parts[:max(0, len(w.parts)-1)]
		return nil
	}
	here := Join(w.root, w.done()+"/"+name)
	found, err := os.Lstat(here)
	if err != nil {
		return plain(err)
	}
	if found.Mode()&os.ModeSymlink != 0 {
		return w.follow(here)
	}
	w.parts, w.file = append(w.parts, name), !found.IsDir()
	return nil
}

func (w *walk) follow(link string) error {
	if w.links++; w.links > maxLinks {
		return syscall.ELOOP
	}
	target, err := os.Readlink(link)
	if err != nil {
		return plain(err)
	}
	if strings.HasPrefix(target, "/") {
		w.parts = nil
	}
	w.todo = target + w.todo
	return nil
}

// plain returns the number of an error, without operation and path.
func plain(err error) error {
	if e, ok := err.(*os.PathError); ok {
		return e.Err
	}
	return err
}
