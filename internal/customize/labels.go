package customize

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"

	"sextant/internal/prism"
	"sextant/internal/selinux"
	"sextant/internal/tree"
)

// label gives a new file its SELinux label by the base's own rules, where the
// base has SELinux.
func (p *planner) label(at string, node *tree.Inode) error {
	if p.labels == nil {
		return nil
	}
	label, ok, err := p.labels.Label(at, node.Mode)
	if err != nil {
		return fmt.Errorf("label of %s: %w", at, err)
	}
	if ok {
		// The kernel keeps a label with the NUL that ends it.
		node.PutXattr("security.selinux", append([]byte(label), 0))
	}
	return nil
}

// overlayLabels writes what semanage would: the upper directory has the labels
// of the mount point, and nobody but the kernel has access to the work
// directory. Labels that are given after that follow it.
func (p *planner) overlayLabels(o prism.Overlay) error {
	if p.labels == nil {
		return nil
	}
	policy := p.labels.Policy
	equal := func(text []byte) ([]byte, error) {
		return p.labels.AddEquivalence(text, path.Clean(o.UpperDir.Value), path.Clean(o.MountPoint.Value))
	}
	if err := p.rewriteBytes(selinux.SubsPath(policy), equal); err != nil {
		return err
	}
	if err := p.denyAccess(o, policy); err != nil {
		return err
	}
	var err error
	p.labels, err = selinux.Load(p.root)
	return err
}

// noAccess is the type of files that nobody has access to.
const noAccess = "no_access_t"

func (p *planner) denyAccess(o prism.Overlay, policy string) error {
	known, err := p.policyHas(policy, noAccess)
	if err != nil {
		return err
	}
	if !known {
		p.warn(o.WorkDir.Pos, "the SELinux policy of the base has no type %s, so %s keeps its usual label", noAccess, o.WorkDir.Value)
		return nil
	}
	for _, name := range selinux.LocalPaths(policy) {
		if !p.exists(path.Dir(name)) {
			continue // a base without the store of semanage
		}
		rule := func(text []byte) ([]byte, error) {
			return p.labels.AddRule(text, path.Clean(o.WorkDir.Value)+"(/.*)?", noAccess)
		}
		if err := p.rewriteBytes(name, rule); err != nil {
			return err
		}
		// libselinux takes the compiled form, which does not have the rule, as
		// long as it is the newer one.
		if at, node, err := p.root.Resolve(name + ".bin"); err == nil && node != nil {
			p.root.Remove(at, "os.overlays")
		}
	}
	return nil
}

// policyHas reports whether the compiled policy knows a type. Names stand in it
// as they are.
func (p *planner) policyHas(policy, name string) (bool, error) {
	found, err := fs.Glob(p.root, "etc/selinux/"+policy+"/policy/policy.*")
	if err != nil {
		return false, err
	}
	for _, file := range found {
		text, err := p.root.ReadFile(file)
		if err != nil {
			return false, err
		}
		if bytes.Contains(text, []byte(name)) {
			return true, nil
		}
	}
	return false, nil
}

// rewriteBytes is rewrite for a change that can fail.
func (p *planner) rewriteBytes(name string, change func([]byte) ([]byte, error)) error {
	var failed error
	err := p.rewrite(name, func(text string) string {
		changed, err := change([]byte(text))
		if err != nil {
			failed = err
			return text
		}
		return string(changed)
	}, "os.overlays")
	if failed != nil {
		return failed
	}
	return err
}
