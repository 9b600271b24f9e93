package preflight

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"sextant/internal/extension"
	"sextant/internal/inroot"
	"sextant/internal/report"
	"sextant/internal/unit"
)

// places finds the classes of the extensions that there will be, and checks
// where they lie.
func (c *checker) places(images []Image) error {
	for _, m := range images {
		class, ok := ClassOf(m.Path)
		if !ok {
			c.add(report.Error, PlaceUnread, m.Path, "put it into "+extension.Sysext.InstallDir(), "systemd does not look for extensions in %s", path.Dir(m.Path))
			continue
		}
		c.classes[class] = true
		c.unread(class, m.Path)
	}
	for _, class := range []extension.Class{extension.Sysext, extension.Confext} {
		if err := c.directories(class, images); err != nil {
			return err
		}
	}
	return nil
}

// unread notes a directory that the base's release does not look into.
func (c *checker) unread(class extension.Class, p string) {
	if dir := path.Dir(p); !slices.Contains(Directories(class, c.Systemd), dir) {
		c.add(report.Error, PlaceUnread, p, "put it into "+class.InstallDir(), "systemd %s does not look into %s", c.releaseName(), dir)
	}
}

// directories looks through the directories of a class: at what hides what, and
// at directories that would be merged into themselves.
func (c *checker) directories(class extension.Class, images []Image) error {
	first := map[string]string{} // name to path
	for _, dir := range Directories(class, c.Systemd) {
		list, err := fs.ReadDir(c.Root, dir[1:])
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, e := range list {
			p := path.Join(dir, e.Name())
			info, err := fs.Stat(c.Root, p[1:])
			if err != nil {
				continue // a link that leads nowhere
			}
			name, ok := extension.ImageName(class, e.Name(), info.IsDir(), c.Systemd)
			if !ok {
				continue
			}
			c.classes[class] = true
			if !slices.ContainsFunc(images, func(m Image) bool { return path.Clean(m.Path) == p }) {
				c.others[class] = true
			}
			if other, taken := first[name]; taken {
				c.add(report.Warning, PlaceHidden, p, "remove one of the two, or give it another name",
					"%s has the same name and comes first, so this one is never merged", other)
				continue
			}
			first[name] = p
			c.inside(class, dir, p, info.IsDir())
		}
	}
	return nil
}

// inside notes extensions that lie in what they are merged over. The kernel
// refuses an overlay one of whose layers is inside of another (ELOOP, systemd
// issue 26947); an image is mounted elsewhere first, and merges, but the
// directory that it lies in is then seen through the merge.
func (c *checker) inside(class extension.Class, dir, p string, isDir bool) {
	real, _, err := inroot.ResolveIn(c.Root, dir)
	if err != nil {
		real = dir
	}
	for _, h := range class.Hierarchies() {
		if !below(real, h) {
			continue
		}
		if isDir {
			c.add(report.Error, PlaceInside, p, "put it into "+class.InstallDir(), "a directory inside of %s cannot be merged over %s: Linux refuses it (ELOOP)", h, h)
		} else {
			c.add(report.Warning, PlaceInside, p, "put it into "+class.InstallDir(), "it lies inside of %s, which it is merged over", h)
		}
	}
}

// services checks that something merges the extensions when the base boots.
func (c *checker) services([]Image) error {
	system := unit.System{Root: c.Root, Systemd: c.Systemd, Architecture: c.Architecture}
	for _, class := range []extension.Class{extension.Sysext, extension.Confext} {
		if !c.classes[class] {
			continue
		}
		name := "systemd-" + class.String() + ".service"
		state, err := system.State(name)
		if err != nil {
			c.add(report.Warning, ServiceOff, "base", "look at `systemctl status "+name+"` in the base", "nothing tells whether %s will run: %v", name, err)
			continue
		}
		switch state {
		case unit.Enabled:
			c.found.Good(name, "is enabled")
		case unit.Missing:
			c.add(report.Error, ServiceMissing, "base", system.SysextHelp(), "there is no %s, so nothing merges the extensions", name)
		case unit.Masked:
			c.add(report.Warning, ServiceOff, "base", "remove the link in /etc/systemd/system", "%s is masked, so the extensions are not merged at boot", name)
		default:
			c.add(report.Warning, ServiceOff, "base", "enable "+name, "%s is %s, so the extensions are not merged at boot", name, state)
		}
	}
	return nil
}
