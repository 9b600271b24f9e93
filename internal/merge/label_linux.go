package merge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"sextant/internal/inroot"
	"sextant/internal/linux/dir"
	"sextant/internal/linux/mount"
	"sextant/internal/selinux"
	"sextant/internal/tree"
)

// labelXattr holds the SELinux label of a file.
const labelXattr = "security.selinux"

// label gives path the SELinux label that the policy of the running system has for
// where it will be seen, rel below the hierarchy (sysext.c, mac_selinux_fix_full).
// Where the policy has none, or cannot be read, that is the label of the host's own
// directory.
func (r *run) label(s *site, path, rel string) error {
	if !r.selinux {
		return nil
	}
	found, err := os.Lstat(path)
	if err != nil {
		return err
	}
	label := r.policyLabel(filepath.Join(s.path, rel), tree.ModeOf(found.Mode()))
	if label == "" {
		list, err := dir.Xattrs(s.real, func(name string) bool { return name == labelXattr })
		if err != nil || len(list) == 0 {
			return ignoreMissing(err)
		}
		label = string(list[0].Value)
	}
	err = r.k.call("setxattr", path, func() error { return syscall.Setxattr(path, labelXattr, []byte(label), 0) })
	switch {
	case err == nil || errors.Is(err, syscall.EOPNOTSUPP):
		return nil
	case selinuxEnforces():
		return fmt.Errorf("label %s as %s: %w", path, label, err)
	}
	r.opts.log(Debug, fmt.Sprintf("label %s as %s: %v", path, label, err))
	return nil
}

// labelDot labels the dot directory of a hierarchy and what is in it so far.
func (r *run) labelDot(s *site, dot string) error {
	if !r.selinux {
		return nil
	}
	entries, err := os.ReadDir(dot)
	if err != nil {
		return err
	}
	name := filepath.Base(dot)
	for _, e := range entries {
		if err := r.label(s, filepath.Join(dot, e.Name()), filepath.Join(name, e.Name())); err != nil {
			return err
		}
	}
	return r.label(s, dot, name)
}

// policyLabel returns what the policy has for a path, "" if that is not known.
func (r *run) policyLabel(path string, mode tree.Mode) string {
	contexts, err := r.contexts()
	if err == nil && contexts != nil {
		label, ok, labelErr := contexts.Label(path, mode)
		if ok && labelErr == nil {
			return label + "\x00" // as libselinux writes it
		}
		err = labelErr
	}
	if err != nil {
		r.opts.log(Debug, fmt.Sprintf("label of %s: %v", path, err))
	}
	return ""
}

// selinuxOn reports whether the kernel enforces or records SELinux labels.
func selinuxOn() bool {
	on, err := mount.IsPoint("/sys/fs/selinux")
	return err == nil && on
}

func selinuxEnforces() bool {
	text, err := os.ReadFile("/sys/fs/selinux/enforce")
	return err == nil && strings.TrimSpace(string(text)) == "1"
}

// loadContexts reads the labels that the running system has for files.
func loadContexts() (*selinux.Contexts, error) { return selinux.Load(inroot.Dir("")) }
