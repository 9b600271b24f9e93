package merge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sextant/internal/inroot"
	"sextant/internal/linux/mount"
)

// mutableBase is where the directories are that take changes.
const mutableBase = "/var/lib/extensions.mutable"

// upper is what takes the changes below a hierarchy.
type upper struct {
	dir, work string // "" for none

	// keepWork says that the work directory outlives the merge, so the dot
	// directory must tell which it is.
	keepWork bool

	// isHost says that dir is the host's own directory.
	isHost bool

	// imported are directories with changes that become layers.
	imported []string
}

// component returns the name of a hierarchy's mutable directory: /usr/local
// becomes usr.local.
func component(hierarchy string) string {
	return strings.ReplaceAll(strings.Trim(hierarchy, "/"), "/", ".")
}

// resolveMutable returns the mutable directory of a hierarchy, "" if there is
// none. It changes nothing.
func (r *run) resolveMutable(s *site) (string, error) {
	mode := r.opts.mutable()
	switch mode {
	case MutableNo:
		return "", nil
	case MutableEphemeral, MutableEphemeralImport:
		return filepath.Join(workspace, "mh_workspace", s.path, component(s.path)), nil
	}
	path := filepath.Join(mutableBase, component(s.path))
	resolve := inroot.Resolve
	if mode == MutableYes {
		resolve = inroot.ResolveNew
	}
	resolved, err := resolve(r.opts.Root, path)
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return inroot.Join(r.opts.Root, resolved), nil
}

// mutableDirs lists the mutable directories for the origin file. An ephemeral
// one is elsewhere in truth: systemd writes where it would look for it.
func (r *run) mutableDirs() (list object, err error) {
	for _, s := range r.sites {
		dir, err := r.resolveMutable(s)
		if mode := r.opts.mutable(); mode == MutableEphemeral || mode == MutableEphemeralImport {
			list = append(list, pair{s.path, filepath.Join(workspace, component(s.path))})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("mutable directory of %s: %w", s.path, err)
		}
		if dir != "" {
			list = append(list, pair{s.path, withoutRoot(r.opts.Root, dir)})
		}
	}
	return list, nil
}

// chooseUpper decides on upper directory, work directory and imports, and makes
// what the mode asks for.
func (r *run) chooseUpper(s *site) error {
	mode := r.opts.mutable()
	dir, err := r.resolveMutable(s)
	if err != nil || dir == "" {
		return err
	}
	if mode == MutableImport {
		return r.importDir(s, dir)
	}
	if err := r.checkUpper(s, dir); err != nil {
		return err
	}
	if r.dry && (mode == MutableYes || mode == MutableAuto) {
		return r.pretendUpper(s, dir)
	}
	if err := r.makeUpper(s, dir); err != nil {
		return err
	}
	if mode == MutableEphemeralImport {
		path, err := inroot.Resolve(r.opts.Root, filepath.Join(mutableBase, component(s.path)))
		if err == nil {
			err = r.importDir(s, inroot.Join(r.opts.Root, path))
		}
		if err != nil && !missing(err) {
			return err
		}
	}
	return r.chooseWork(s, dir)
}

// importDir makes a directory with changes a layer.
func (r *run) importDir(s *site, dir string) error {
	same, err := sameDir(dir, s.real)
	if err != nil {
		return err
	}
	if same {
		return fmt.Errorf("mutable directory %s is the hierarchy itself, which cannot be a layer twice: %w", dir, syscall.ELOOP)
	}
	s.upper.imported = append(s.upper.imported, dir)
	return nil
}

// checkUpper refuses a mutable directory that cannot take changes, or would change
// the mode of the hierarchy.
func (r *run) checkUpper(s *site, dir string) error {
	if mode := r.opts.mutable(); mode != MutableYes && mode != MutableAuto {
		return nil
	}
	found, err := os.Stat(dir)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.Mode().Perm() != s.mode {
		return fmt.Errorf("mutable directory %s has mode %04o, the hierarchy %04o", dir, found.Mode().Perm(), s.mode)
	}
	readOnly, err := mount.IsReadOnly(dir)
	if err == nil && readOnly {
		err = fmt.Errorf("mutable directory %s: %w", dir, syscall.EROFS)
	}
	return err
}

// pretendUpper is makeUpper and chooseWork for a dry run: with directories in the
// workspace.
func (r *run) pretendUpper(s *site, dir string) (err error) {
	s.upper.dir, s.upper.work = s.in("dry")+"/upper", s.in("dry")+"/work"
	if err := errors.Join(r.k.mkdirAll(s.upper.dir, 0o755), r.k.mkdirAll(s.upper.work, 0o700)); err != nil {
		return err
	}
	s.upper.isHost, err = sameDir(dir, s.real)
	return err
}

// makeUpper makes the upper directory where the mode asks for it.
func (r *run) makeUpper(s *site, dir string) error {
	if r.opts.mutable() != MutableAuto {
		if err := r.makeDir(dir, 0o755); err != nil {
			return err
		}
		if err := r.k.chmod(dir, s.mode); err != nil {
			return err
		}
	}
	readOnly, err := mount.IsReadOnly(dir)
	if err != nil {
		return err
	}
	if readOnly {
		return fmt.Errorf("mutable directory %s: %w", dir, syscall.EROFS)
	}
	s.upper.dir = dir
	s.upper.isHost, err = sameDir(dir, s.real)
	return err
}

// chooseWork makes the work directory, beside the upper directory as it must be
// on the same mount.
func (r *run) chooseWork(s *site, dir string) error {
	parent := filepath.Dir(dir)
	a, err1 := deviceOf(dir)
	b, err2 := deviceOf(parent)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if a != b {
		return fmt.Errorf("mutable directory %s: its parent is on another file system, the work directory must be on the same: %w", dir, syscall.EXDEV)
	}
	s.upper.work = workDir(dir, s.path)
	mode := r.opts.mutable()
	s.upper.keepWork = mode == MutableYes || mode == MutableAuto
	return r.makeDir(s.upper.work, 0o700)
}

// makeDir makes a directory with those above it, which go again if the merge
// fails.
func (r *run) makeDir(dir string, mode os.FileMode) error {
	var made []string
	for path := dir; path != "/"; path = filepath.Dir(path) {
		if _, err := os.Lstat(path); !missing(err) {
			break
		}
		made = append(made, path)
	}
	r.later(func() error {
		for _, path := range made {
			if err := r.unmake(path); err != nil {
				return err
			}
		}
		return nil
	})
	return r.k.mkdirAll(dir, mode)
}

// unmake removes a directory that was made for nothing. The overlay makes one in
// its work directory.
func (r *run) unmake(path string) error {
	return r.space.do(func() error {
		if strings.HasSuffix(path, workSuffix) {
			return r.k.removeAll(path)
		}
		return ignoreMissing(r.k.rmdir(path))
	})
}

// workSuffix ends the names of work directories.
const workSuffix = "-workdir"

// workDir returns the work directory that goes with an upper directory.
func workDir(upper, hierarchy string) string {
	return filepath.Join(filepath.Dir(upper), ".systemd-"+component(hierarchy)+workSuffix)
}

// sameDir reports whether two paths lead to one directory.
func sameDir(a, b string) (bool, error) {
	x, err := os.Stat(a)
	if missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	y, err := os.Stat(b)
	if missing(err) {
		return false, nil
	}
	return err == nil && os.SameFile(x, y), err
}
