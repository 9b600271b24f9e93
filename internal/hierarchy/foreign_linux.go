package hierarchy

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"

	"sextant/internal/extension"
	"sextant/internal/linux/mount"
)

// Foreigners returns the mounts of others that meet the hierarchy at real:
// what others put at it, overlays above it, and whatever is mounted over our
// overlay or below.
// Hides and HiddenBy are for the caller to fill in.
func Foreigners(real string, class extension.Class, table []mount.Mount) (list []Foreign, err error) {
	for i, m := range table {
		f := Foreign{Path: m.Point, Type: m.Type, Source: m.Source}
		switch {
		case m.Point == real:
			if f.Place = at(real, class, table, i); f.Place == "" {
				continue
			}
			f.Upper = m.Upper()
		case within(m.Point, real) && m.Type == "overlay":
			f.Place = Above
		case within(real, m.Point) && m.Point != path.Join(real, DotDir(class)):
			seen, err := visible(m)
			if err != nil {
				return nil, err
			}
			f.Dropped = !seen && dropped(real, class, table, i)
			if !seen && !f.Dropped || nested(list, m.Point) {
				continue
			}
			f.Place = Below
		default:
			continue
		}
		list = append(list, f)
	}
	return list, nil
}

// at returns what a mount at the hierarchy itself is, "" for one that does not
// count: our own, and the file system that the host has there.
func at(real string, class extension.Class, table []mount.Mount, i int) Place {
	if isOurs(table[i], class) {
		return ""
	}
	for _, below := range table[:i] {
		if below.Point == real && below.ID == table[i].Parent && isOurs(below, class) {
			return Covers
		}
	}
	if ofTheHost(table, i) {
		return ""
	}
	return Beneath
}

// ofTheHost reports whether a mount at a hierarchy is what a system has there for
// itself: all of the file system of a block device, or a subvolume, and no other
// mount beneath; or the directory itself, mounted again to be read-only, as systemd
// does in an initrd.
func ofTheHost(table []mount.Mount, i int) bool {
	m := table[i]
	for _, below := range table[:i] {
		switch {
		case below.ID != m.Parent:
		case below.Point == m.Point:
			return false
		case below.Dev == m.Dev && m.Root == path.Join(below.Root, strings.TrimPrefix(m.Point, below.Point)):
			return true
		}
	}
	return m.Type == "btrfs" || m.Type == "zfs" || m.Root == "/" && strings.HasPrefix(m.Source, "/dev/")
}

// isOurs reports whether a mount may be an overlay of the class. What is in its
// dot directory cannot be seen where something covers it.
func isOurs(m mount.Mount, class extension.Class) bool {
	return m.Type == "overlay" && m.Source == class.String()
}

// within reports whether inner lies below dir.
func within(dir, inner string) bool {
	return strings.HasPrefix(inner, strings.TrimSuffix(dir, "/")+"/")
}

// nested reports whether point lies below a mount that is listed: what is
// mounted there goes where that goes.
func nested(list []Foreign, point string) bool {
	return slices.ContainsFunc(list, func(f Foreign) bool { return f.Place == Below && within(f.Path, point) })
}

// dropped reports whether a mount below the hierarchy lies on what our overlay
// lies on, and nothing is mounted in its place on that. What lies on another mount
// there comes and goes with it.
func dropped(real string, class extension.Class, table []mount.Mount, i int) bool {
	for _, m := range table {
		if m.Point == real && isOurs(m, class) && m.Parent == table[i].Parent {
			return !slices.ContainsFunc(table, func(other mount.Mount) bool {
				return other.Point == table[i].Point && other.Parent == m.ID
			})
		}
	}
	return false
}

// visible reports whether a mount is what one finds at its path.
func visible(m mount.Mount) (bool, error) {
	id, err := mount.ID(m.Point)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	return err == nil && id == m.ID, err
}
