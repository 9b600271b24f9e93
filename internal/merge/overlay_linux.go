package merge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sextant/internal/extension"
	"sextant/internal/hierarchy"
	"sextant/internal/inroot"
	"sextant/internal/linux/mount"
	"sextant/internal/linux/smallfile"
)

// maxLower is how many lower directories an overlay takes (OVL_MAX_STACK of the
// kernel's fs/overlayfs/params.c).
const maxLower = 500

// maxData is how many bytes of options mount(2) takes: a page with its NUL.
const maxData = 4095

// attributes of the overlay (sysext.c, image_class_info).
func (o Options) attributes() mount.Attributes {
	a := mount.ReadOnly | mount.NoDev
	if o.Class == extension.Confext {
		a |= mount.NoSuid | mount.NoExec
	}
	if o.NoExec != nil {
		a &^= mount.NoExec
		if *o.NoExec {
			a |= mount.NoExec
		}
	}
	return a
}

// part is what an extension has at a hierarchy.
type part struct {
	*layer
	dir string
}

// chooseLayers finds out what each extension has at each hierarchy, and leaves
// out those that are too many for the kernel.
func (r *run) chooseLayers() {
	for _, s := range r.sites {
		s.parts = r.partsAt(s)
	}
	for _, s := range r.sites {
		room := maxLower - 2 // dot directory and host
		if mode := r.opts.mutable(); mode == MutableImport || mode == MutableEphemeralImport {
			room--
		}
		for len(s.parts) > room {
			excess := s.parts[len(s.parts)-room-1].layer
			r.drop(excess, RuleLimit, fmt.Errorf("would be one of %d at %s, the kernel takes %d", len(s.parts), s.path, room))
		}
	}
}

// partsAt lists what the extensions have at a hierarchy, the top one first.
func (r *run) partsAt(s *site) (list []part) {
	for _, l := range slices.Backward(slices.Clone(r.layers)) {
		dir, err := l.at(s.path)
		if err != nil {
			r.drop(l, RuleHierarchy, err)
			continue
		}
		if dir != "" {
			list = append(list, part{l, dir})
		}
	}
	return list
}

// at returns the directory that an extension has at a hierarchy, "" where that
// is missing or empty.
func (l *layer) at(path string) (string, error) {
	resolved, err := inroot.Resolve(l.dir, path)
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	dir := inroot.Join(l.dir, resolved)
	empty, err := smallfile.EmptyDir(dir)
	if err != nil {
		if errors.Is(err, syscall.ENOTDIR) {
			err = fmt.Errorf("its %s is no directory", path)
		}
		return "", err
	}
	if empty {
		return "", nil
	}
	return dir, nil
}

// wanted reports whether there is anything to mount on the hierarchy.
func (r *run) wanted(s *site) bool { return len(s.parts) > 0 || r.opts.mutable() != MutableNo }

// lower returns the lower directories of the new overlay, the top one first:
// dot directory, imported changes, extensions, the host's own.
func (r *run) lower(s *site) (list []string, backing string, err error) {
	list = append([]string{s.in("meta")}, s.upper.imported...)
	for _, p := range s.parts {
		list = append(list, p.dir)
	}
	host := s.status.Real != "" && !s.upper.isHost
	if host {
		empty, err := smallfile.EmptyDir(s.real)
		if err != nil {
			return nil, "", err
		}
		host = !empty
	}
	switch {
	case host:
		backing, err = mount.BlockDevice(s.real)
		return append(list, s.real), backing, err
	case len(list) == 1 && s.upper.dir == "":
		// The kernel takes no overlay of one directory.
		nothing := s.in("empty")
		return append(list, nothing), "", r.k.mkdirAll(nothing, 0o755)
	}
	return list, "", nil
}

// buildOverlay makes the new overlay of a hierarchy, with dot directory and
// sub-mounts, and notes it in s.tree.
func (r *run) buildOverlay(s *site) error {
	if err := r.chooseUpper(s); err != nil {
		return err
	}
	lower, backing, err := r.lower(s)
	if err != nil {
		return err
	}
	if len(lower) > maxLower {
		return fmt.Errorf("%d lower directories, the kernel takes %d", len(lower), maxLower)
	}
	overlay, meta := s.in("overlay"), s.in("meta")
	for _, dir := range []string{overlay, meta} {
		if err := r.k.mkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := r.prepareTop(s, meta); err != nil {
		return err
	}
	dot := filepath.Join(meta, hierarchy.DotDir(r.opts.Class))
	if err := r.writeDotDir(s, dot, backing); err != nil {
		return err
	}
	if err := r.makePoints(s, lower, meta); err != nil {
		return err
	}
	if err := r.mountOverlay(s, lower, overlay); err != nil {
		return r.blame(s, err)
	}
	if err := r.sealDotDir(s, dot, overlay, meta); err != nil {
		return err
	}
	if err := r.attachSubmounts(s, overlay); err != nil {
		return err
	}
	s.tree, err = r.k.clone(overlay, true)
	return err
}

// prepareTop gives the top layer the mode of the host's directory: the merged
// one takes it from there. Its label it gets from the policy, but for a directory
// that was there for changes before, as systemd has it.
func (r *run) prepareTop(s *site, meta string) error {
	top := meta
	if s.upper.dir != "" {
		top = s.upper.dir
	}
	if err := r.k.chmod(top, s.mode); err != nil {
		return err
	}
	if top != meta && r.opts.mutable() == MutableAuto {
		return nil
	}
	return r.label(s, top, "")
}

// writeDotDir writes all but what is known only of a mounted overlay.
func (r *run) writeDotDir(s *site, dot, backing string) error {
	if err := r.k.mkdir(dot, 0o755); err != nil {
		return err
	}
	names := ""
	for _, l := range r.layers {
		names += l.Name + "\n"
	}
	files := []struct{ name, text string }{
		{hierarchy.ListFile(r.opts.Class), names},
		{hierarchy.OriginFile, r.origin},
	}
	if s.upper.keepWork {
		rel := strings.TrimPrefix(withoutRoot(r.opts.Root, s.upper.work), "/")
		files = append(files, struct{ name, text string }{hierarchy.WorkDirFile, hierarchy.Escape(rel) + "\n"})
	}
	if backing != "" {
		files = append(files, struct{ name, text string }{hierarchy.BackingFile, backing + "\n"})
	}
	for _, f := range files {
		if err := r.k.write(filepath.Join(dot, f.name), f.text); err != nil {
			return err
		}
	}
	return r.labelDot(s, dot)
}

// sealDotDir adds the device number of the overlay, which makes it ours, and the
// time. Where the overlay can be written to the dot directory cannot.
func (r *run) sealDotDir(s *site, dot, overlay, meta string) error {
	dev, err := deviceOf(overlay)
	if err != nil {
		return err
	}
	path := filepath.Join(dot, hierarchy.DevFile)
	if err := r.k.write(path, dev+"\n"); err != nil {
		return err
	}
	if err := r.label(s, path, filepath.Join(hierarchy.DotDir(r.opts.Class), hierarchy.DevFile)); err != nil {
		return err
	}
	now := r.now()
	if err := os.Chtimes(meta, now, now); err != nil {
		return err
	}
	if s.upper.dir == "" {
		return nil
	}
	inside := filepath.Join(overlay, hierarchy.DotDir(r.opts.Class))
	tree, err := r.k.clone(inside, false)
	if err != nil {
		return err
	}
	defer tree.Close()
	if err := r.k.readOnly(tree); err != nil {
		return err
	}
	return r.k.attach(tree, inside)
}

// makePoints makes, in the layer of the dot directory, the mount points of others
// that no other layer has any more.
func (r *run) makePoints(s *site, lower []string, meta string) error {
	for _, m := range s.submounts {
		there := slices.ContainsFunc(lower, func(dir string) bool {
			_, err := os.Lstat(filepath.Join(dir, m.rel))
			return err == nil
		})
		if there {
			continue
		}
		if err := r.makePoint(m.tree, filepath.Join(meta, m.rel)); err != nil {
			return fmt.Errorf("mount point %s: %w", m.Point, err)
		}
	}
	return nil
}

// mountOverlay mounts the overlay in the workspace.
func (r *run) mountOverlay(s *site, lower []string, overlay string) error {
	o := overlayMount{
		source: r.opts.Class.String(), lower: lower, upper: s.upper.dir, work: s.upper.work,
		attributes: r.opts.attributes(),
	}
	if s.upper.dir != "" {
		o.attributes &^= mount.ReadOnly
		o.options = mutableOptions
	}
	if r.opts.MountOptions != nil && *r.opts.MountOptions != "" || r.opts.MountOptions != nil && s.upper.dir != "" {
		o.options = *r.opts.MountOptions
	}
	return r.k.mountOverlay(o, overlay)
}

// mutableOptions are those of an overlay with an upper directory: redirect_dir
// and noatime avoid copies, without metacopy what was copied is whole, and
// without index the same directory can be used again (sysext.c,
// MUTABLE_EXTENSIONS_MOUNT_OPTIONS).
const mutableOptions = "redirect_dir=on,noatime,metacopy=off,index=off"

// overlayMount is an overlay to mount.
type overlayMount struct {
	source      string
	lower       []string
	upper, work string
	attributes  mount.Attributes
	options     string // as mount(8) takes them
}

// mountOverlay mounts an overlay on target. mount(2) is tried first: it is
// faster, and the table of mounts then shows what systemd's shows. Only what is
// too long for it goes one directory at a time (Linux 6.8), or by short names.
func (k kernel) mountOverlay(o overlayMount, target string) error {
	extra, options := parseOptions(o.options)
	o.attributes |= extra
	data := o.data(o.lower, options)
	if len(data) <= maxData {
		err := k.classicMount(o.source, target, "overlay", o.attributes, data)
		return o.explain(err)
	}
	tree, err := k.newMount("overlay", o.source, o.parameters(options), o.attributes)
	if errors.Is(err, syscall.EINVAL) {
		return o.explain(k.mountShort(o, options, target))
	}
	if err != nil {
		return o.explain(err)
	}
	defer tree.Close()
	return k.attach(tree, target)
}

// mountShort mounts with names of a few bytes, relative to a directory of
// symbolic links.
func (k kernel) mountShort(o overlayMount, options []mount.Option, target string) error {
	dir := filepath.Join(workspace, "l")
	if err := k.mkdir(dir, 0o700); err != nil {
		return err
	}
	names := make([]string, len(o.lower))
	for i, path := range o.lower {
		names[i] = fmt.Sprint(i)
		if err := k.symlink(path, filepath.Join(dir, names[i])); err != nil {
			return err
		}
	}
	data := o.data(names, options)
	if len(data) > maxData {
		return fmt.Errorf("the options of an overlay of %d directories have %d bytes, the kernel takes %d", len(names), len(data), maxData)
	}
	err := mount.InDir(dir, func() error {
		return k.classicMount(o.source, target, "overlay", o.attributes, data)
	})
	return errors.Join(err, k.removeAll(dir))
}

// data gives the options as mount(2) takes them.
func (o overlayMount) data(lower []string, options []mount.Option) string {
	var b strings.Builder
	for i, path := range lower {
		b.WriteString([]string{":", "lowerdir="}[b2i(i == 0)])
		b.WriteString(mount.Escape(path))
	}
	if o.upper != "" {
		b.WriteString(",upperdir=" + mount.Escape(o.upper) + ",workdir=" + mount.Escape(o.work))
	}
	for _, option := range options {
		b.WriteString("," + option.String())
	}
	return b.String()
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parameters gives the options one by one.
func (o overlayMount) parameters(options []mount.Option) (list []mount.Option) {
	if o.attributes&mount.ReadOnly != 0 {
		list = append(list, mount.Option{Key: "ro", Flag: true})
	}
	for _, path := range o.lower {
		list = append(list, mount.Option{Key: "lowerdir+", Value: path})
	}
	if o.upper != "" {
		list = append(list, mount.Option{Key: "upperdir", Value: o.upper}, mount.Option{Key: "workdir", Value: o.work})
	}
	return append(list, options...)
}

// explain adds what is usually behind an error that the kernel leaves bare.
func (o overlayMount) explain(err error) error {
	switch {
	case errors.Is(err, syscall.EINVAL) && len(o.lower) > 0:
		return fmt.Errorf("%w (overlays may lie on one another only two deep, and an upper directory needs a file system with d_type and extended attributes; the kernel's log says which it was)", err)
	case errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("%w (a lower directory lies inside another one)", err)
	}
	return err
}

// parseOptions splits mount options into attributes of the mount and options of
// the file system.
func parseOptions(text string) (attributes mount.Attributes, options []mount.Option) {
	for word := range strings.SplitSeq(text, ",") {
		switch word {
		case "", "rw", "relatime", "defaults":
		case "ro":
			attributes |= mount.ReadOnly
		case "nosuid":
			attributes |= mount.NoSuid
		case "nodev":
			attributes |= mount.NoDev
		case "noexec":
			attributes |= mount.NoExec
		case "noatime":
			attributes |= mount.NoAtime
		default:
			key, value, valued := strings.Cut(word, "=")
			options = append(options, mount.Option{Key: key, Value: value, Flag: !valued})
		}
	}
	return attributes, options
}

// deviceOf returns major:minor of what is mounted on path.
func deviceOf(path string) (string, error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(path, &st); err != nil {
		return "", &os.PathError{Op: "stat", Path: path, Err: err}
	}
	major, minor := mount.Device(st.Dev)
	return fmt.Sprintf("%d:%d", major, minor), nil
}

// classOfSource tells whose overlay a mount may be by its source.
func classOfSource(m mount.Mount) (extension.Class, bool) {
	class, err := extension.ParseClass(m.Source)
	return class, err == nil && m.Type == "overlay"
}
