package customize

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"sextant/internal/fstab"
	"sextant/internal/prism"
	"sextant/internal/tree"
)

// overlays makes the directories of os.overlays and writes their lines into
// fstab.
func (p *planner) overlays(ctx context.Context) error {
	for _, o := range p.cfg.OS.Overlays {
		entry, err := p.overlayEntry(ctx, o)
		if err != nil {
			return placed(o.Pos, "os.overlays", err)
		}
		if err := p.overlayLabels(o); err != nil {
			return placed(o.Pos, "os.overlays", err)
		}
		if err := p.overlayDirs(o); err != nil {
			return placed(o.Pos, "os.overlays", err)
		}
		add := func(text string) string { return ended(text) + entry.String() + "\n" }
		if err := p.rewrite("/etc/fstab", add, "os.overlays"); err != nil {
			return placed(o.Pos, "os.overlays", err)
		}
	}
	return nil
}

// overlayEntry returns the line for fstab, in the words and the order of Image
// Customizer.
func (p *planner) overlayEntry(ctx context.Context, o prism.Overlay) (fstab.Entry, error) {
	inRoot := func(dir string) string { return dir }
	var late []string
	if o.IsInitrdOverlay.Value {
		if err := p.checkInitrd(ctx, o); err != nil {
			return fstab.Entry{}, err
		}
		inRoot = func(dir string) string { return path.Join("/sysroot", dir) }
		late = []string{"x-initrd.mount", "x-systemd.wanted-by=initrd-fs.target"}
	}
	var lower []string
	for _, dir := range o.LowerDirs {
		lower = append(lower, inRoot(dir.Value))
	}
	options := []string{
		"lowerdir=" + strings.Join(lower, ":"),
		"upperdir=" + inRoot(o.UpperDir.Value),
		"workdir=" + inRoot(o.WorkDir.Value),
	}
	for _, dir := range o.MountDependencies {
		options = append(options, "x-systemd.requires="+inRoot(dir.Value))
	}
	options = append(options, late...)
	if o.MountOptions.Value != "" {
		options = append(options, o.MountOptions.Value)
	}
	return fstab.Entry{Source: "overlay", Target: o.MountPoint.Value, Type: "overlay", Options: options}, nil
}

// checkInitrd wants what an overlay needs that is mounted in the initrd: the
// driver there, and its dependencies mounted there too.
func (p *planner) checkInitrd(ctx context.Context, o prism.Overlay) error {
	for _, dir := range o.MountDependencies {
		i := slices.IndexFunc(p.base.Fstab, func(e fstab.Entry) bool { return e.Target == path.Clean(dir.Value) })
		if i < 0 {
			return fmt.Errorf("mountDependencies: %s is not in /etc/fstab", dir.Value)
		}
		if _, ok := p.base.Fstab[i].Option("x-initrd.mount"); !ok {
			return fmt.Errorf("mountDependencies: %s has no option x-initrd.mount in line %d of /etc/fstab", dir.Value, p.base.Fstab[i].Line)
		}
	}
	return p.needInInitrd(ctx, "overlay")
}

// overlayDirs makes the directories of an overlay. What is mounted has the
// owner and the mode of its upper directory, so that one gets those of the
// uppermost lower directory.
func (p *planner) overlayDirs(o prism.Overlay) error {
	const why = "os.overlays"
	for _, dir := range []string{o.MountPoint.Value, o.WorkDir.Value} {
		if _, err := p.makeDirs(dir, 0o755, why); err != nil {
			return err
		}
	}
	at, node, err := p.root.Resolve(o.UpperDir.Value)
	if err != nil {
		return err
	}
	if node == nil {
		if _, err := p.makeDirs(path.Dir(at), 0o755, why); err != nil {
			return err
		}
		if err := p.put(at, p.likeLower(o), why); err != nil {
			return err
		}
	} else if !node.Mode.IsDir() {
		return fmt.Errorf("upperDir %s is a %s", at, node.Mode.Kind())
	}
	work, _, err := p.root.Resolve(o.WorkDir.Value)
	if err != nil {
		return err
	}
	upperOn, workOn := p.mountOf(at), p.mountOf(work)
	if upperOn.Dir != workOn.Dir {
		return fmt.Errorf("upperDir %s is on the file system at %s, workDir %s on that at %s: overlayfs wants both on one",
			at, upperOn.Dir, work, workOn.Dir)
	}
	return nil
}

func (p *planner) likeLower(o prism.Overlay) *tree.Inode {
	dir := tree.NewDir(0o755)
	if _, lower, err := p.root.Resolve(o.LowerDirs[0].Value); err == nil && lower != nil && lower.Mode.IsDir() {
		dir.Mode, dir.UID, dir.GID = lower.Mode, lower.UID, lower.GID
	}
	return dir
}
