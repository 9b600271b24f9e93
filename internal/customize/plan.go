package customize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"sextant/internal/prism"
	"sextant/internal/selinux"
	"sextant/internal/sysroot"
	"sextant/internal/tree"
)

// Plan is every change of a base, decided and not made.
type Plan struct {
	Base *Base

	// Root is the tree of the base with the changes on it.
	Root *sysroot.Root

	// Edits are the changes in their order.
	Edits []sysroot.Edit

	// Notes are what is worth knowing, Warnings what will surprise somebody.
	Notes    []string
	Warnings []string

	system     system
	configured []prism.Overlay // the overlays of the config
}

// New decides what a config changes in a base. It reads the sources that the
// config names, and writes nothing.
func New(ctx context.Context, b *Base, cfg *prism.Config) (*Plan, error) {
	p, err := newPlanner(b, cfg)
	if err != nil {
		return nil, err
	}
	return p.run(ctx)
}

func (p *planner) run(ctx context.Context) (*Plan, error) {
	// The order is that of Image Customizer: what comes later may depend on it.
	for _, step := range []func(context.Context) error{p.hostname, p.dirs, p.files, p.services, p.modules, p.overlays} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p.plan()
}

// planner is a plan on its way.
type planner struct {
	base     *Base
	cfg      *prism.Config
	root     *sysroot.Root
	system   system
	rules    map[string]dirRule
	labels   *selinux.Contexts // nil without SELinux
	zeros    scanner
	notes    []string
	warnings []string

	// enabled and disabled are the units that were changed, for presets.
	enabled, disabled []string
}

func newPlanner(b *Base, cfg *prism.Config) (*planner, error) {
	root, err := b.Root()
	if err != nil {
		return nil, err
	}
	p := &planner{base: b, cfg: cfg, root: root, warnings: b.Warnings}
	if p.system, err = readSystem(root); err != nil {
		return nil, err
	}
	if p.labels, err = selinux.Load(root); err != nil {
		return nil, err
	}
	p.rules, err = readDirRules(root)
	return p, err
}

// plan returns the result, having seen that all of it can be carried out.
func (p *planner) plan() (*Plan, error) {
	result := &Plan{Base: p.base, Root: p.root, Edits: p.root.Edits(), Notes: p.notes, Warnings: p.warnings, system: p.system, configured: p.cfg.OS.Overlays}
	for _, e := range result.Edits {
		m := p.mountOf(e.Path)
		if m.Why != nil {
			return nil, fmt.Errorf("%s: %s: %w", e.Why, e.Path, m.Why)
		}
	}
	if err := result.fits(); err != nil {
		return nil, err
	}
	return result, nil
}

// mountOf returns the mount that a path without links is on.
func (p *planner) mountOf(at string) Mount {
	dir, _ := p.root.Mount(at)
	return p.base.Mounts[slices.IndexFunc(p.base.Mounts, func(m Mount) bool { return m.Dir == dir })]
}

// placed adds to an error what asked for it, and where, if it was a config.
func placed(at prism.Pos, what string, err error) error {
	if at.Given() {
		what = at.String() + ": " + what
	}
	return fmt.Errorf("%s: %w", what, err)
}

func (p *planner) warn(at prism.Pos, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if at.Given() {
		text = at.String() + ": " + text
	}
	p.warnings = append(p.warnings, text)
}

// put notes a new file, with everything that a file needs: an owner, a label, a
// time.
func (p *planner) put(at string, node *tree.Inode, why string) error {
	node.ModTime = p.base.now
	if err := p.label(at, node); err != nil {
		return err
	}
	p.root.Put(at, node, why)
	return nil
}

// makeDirs makes a directory and its parents, where they are missing, and
// returns where the path leads. The mode is that of systemd-tmpfiles, where it
// has a line for the directory, else perm.
func (p *planner) makeDirs(name string, perm tree.Mode, why string) (at string, err error) {
	at, node, err := p.root.Resolve(name)
	if err != nil {
		return "", err
	}
	if node != nil {
		if !node.Mode.IsDir() {
			return "", fmt.Errorf("%s is a %s, not a directory", at, node.Mode.Kind())
		}
		return at, nil
	}
	if _, err := p.makeDirs(path.Dir(at), perm, why); err != nil {
		return "", err
	}
	return at, p.put(at, p.newDir(at, perm), why)
}

// newDir returns the directory to make at a path.
func (p *planner) newDir(at string, perm tree.Mode) *tree.Inode {
	dir := tree.NewDir(perm)
	if rule, ok := p.rules[at]; ok {
		dir.Mode = tree.TypeDir | rule.mode
		dir.UID, dir.GID = rule.uid, rule.gid
	}
	return dir
}

// putFile puts a file at a path, makes its parents, and replaces what is there.
// A link there is followed, as by a program that writes to the path.
func (p *planner) putFile(name string, node *tree.Inode, why string) error {
	at, before, err := p.root.Resolve(name)
	if err != nil {
		return err
	}
	if before != nil && before.Mode.IsDir() {
		return fmt.Errorf("%s is a directory", at)
	}
	if _, err := p.makeDirs(path.Dir(at), 0o755, why); err != nil {
		return err
	}
	return p.put(at, node, why)
}

// putText puts a text file that root alone may change.
func (p *planner) putText(name, text, why string) error {
	return p.putFile(name, &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: tree.Bytes(text)}, why)
}

// rewrite changes a text file, or makes it, and keeps its owner and mode.
func (p *planner) rewrite(name string, change func(text string) string, why string) error {
	at, node, err := p.root.Resolve(name)
	if err != nil {
		return err
	}
	text := ""
	if node != nil {
		raw, err := p.root.ReadFile(at[1:])
		if err != nil {
			return err
		}
		text = string(raw)
	}
	changed := change(text)
	if changed == text && node != nil {
		return nil
	}
	file := &tree.Inode{Mode: tree.TypeRegular | 0o644, Content: tree.Bytes(changed)}
	if node != nil {
		file.Mode, file.UID, file.GID = node.Mode, node.UID, node.GID
		file.Xattrs = append(file.Xattrs, node.Xattrs...)
	}
	return p.putFile(name, file, why)
}

// exists reports whether there is something at a path, following links.
func (p *planner) exists(name string) bool { return modeOf(p.root, name) != 0 }

// missing reports whether an error says that there is no such file.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
