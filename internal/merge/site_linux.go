package merge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sextant/internal/hierarchy"
	"sextant/internal/inroot"
)

// workspace is where everything is built, on a tmpfs that nobody else sees. On
// the host it is an empty directory, which is also what is locked. Confexts use
// it too, as in systemd.
const workspace = "/run/systemd/sysext"

// site is one hierarchy and what is being done to it.
type site struct {
	path   string // as it was asked for: /usr
	real   string // on this host; the directory may be missing
	status hierarchy.Status

	mode      fs.FileMode // of the host's own directory
	submounts []submount
	dropped   []submount // what is not carried over to the new overlay
	foreign   []hierarchy.Foreign
	parts     []part // what extensions have there, the top one first
	upper     upper

	// tree is the new overlay with all that belongs on it. It stands nowhere
	// yet; nil where there is nothing to merge.
	tree *os.File

	// classic says that the old overlay must be gone before the new one is made.
	classic bool
}

// look finds out what lies on the hierarchies.
func (r *run) look() error {
	r.sites = nil
	for _, path := range r.hierarchies() {
		status, err := hierarchy.Look(r.opts.Root, r.opts.Class, path)
		if err != nil {
			return fmt.Errorf("hierarchy %s: %w", path, err)
		}
		s := &site{path: path, real: status.Real, status: status, mode: 0o755}
		if s.real == "" {
			resolved, err := inroot.ResolveNew(r.opts.Root, path)
			if err != nil {
				return fmt.Errorf("hierarchy %s: %w", path, err)
			}
			s.real = inroot.Join(r.opts.Root, resolved)
		}
		r.sites = append(r.sites, s)
	}
	return nil
}

func (r *run) hierarchies() []string {
	if r.opts.Hierarchies != nil {
		return r.opts.Hierarchies
	}
	return r.opts.Class.Hierarchies()
}

// close lets go of the mounts that stand nowhere, which vanish with that.
func (r *run) close() {
	closeAll(r.kept)
	for _, s := range r.sites {
		if s.tree != nil {
			s.tree.Close()
		}
		for _, m := range s.submounts {
			if m.tree != nil {
				m.tree.Close()
			}
		}
	}
}

// in returns where the workspace has something of a kind for the hierarchy.
func (s *site) in(kind string) string { return filepath.Join(workspace, kind, s.path) }

// uncover takes our own overlays off the hierarchies inside the namespace, where
// nobody else sees it, so that the host's own directories can be layers. The
// sub-mounts are copied first, which works for unbindable ones only here, where
// they are private.
func (r *run) uncover() (err error) {
	for _, s := range r.sites {
		if s.status.Real == "" {
			continue
		}
		if err := r.copySubmounts(s.submounts); err != nil {
			return fmt.Errorf("mounts below %s: %w", s.real, err)
		}
		for ours := s.status.Merged; ours; {
			if err := r.k.detach(s.real); err != nil {
				return err
			}
			if ours, err = hierarchy.Ours(s.real, r.opts.Class); err != nil {
				return err
			}
		}
		if err := s.stat(); err != nil {
			return err
		}
	}
	return nil
}

// stat notes the mode that the merged directory will have too.
func (s *site) stat() error {
	found, err := os.Stat(s.real)
	if err != nil {
		return err
	}
	s.mode = found.Mode().Perm()
	return nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
