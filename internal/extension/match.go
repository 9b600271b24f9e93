package extension

import "strings"

// The releases of systemd that brought a rule about names.
const (
	// cutRelease compares with the name up to the first _ or + too.
	cutRelease = 256

	// suffixRelease takes .sysext and .confext off the name of an image.
	suffixRelease = 256
)

// Candidate is a file in the directory for release files.
type Candidate struct {
	Name string // behind ReleasePrefix

	// Link says that it is a symbolic link, which counts under its exact name
	// only.
	Link bool

	// Lenient says that StrictXattr has a false value.
	Lenient bool
}

// Match says how a release file was found for an image.
type Match int

// The ways in which systemd finds a release file (src/basic/os-util.c,
// open_extension_release_at).
const (
	NoMatch   Match = iota
	Exact           // it has the name of the image
	CutName         // it has that up to the first _ or +, since 256
	ByXattr         // it says that its name does not matter
	Ambiguous       // several would do, so none does
)

// Find returns the release file that the given release of systemd takes for
// the image called name. The index is that in list, -1 without one.
func Find(name string, list []Candidate, systemd int) (index int, how Match) {
	for i, c := range list {
		if c.Name == name {
			return i, Exact
		}
	}
	index = -1
	for i, c := range list {
		match := c.fits(name, systemd)
		if match == NoMatch {
			continue
		}
		if index >= 0 {
			return -1, Ambiguous
		}
		index, how = i, match
	}
	return index, how
}

func (c Candidate) fits(name string, systemd int) Match {
	switch {
	case c.Link:
		return NoMatch
	case systemd >= cutRelease && c.Name == BaseName(name):
		return CutName
	case c.Lenient:
		return ByXattr
	}
	return NoMatch
}

// BaseName returns the name of an image up to the first _ or +, where its
// version begins (src/basic/os-util.c, path_extract_image_name).
func BaseName(name string) string {
	if at := strings.IndexAny(name, "_+"); at >= 0 {
		return name[:at]
	}
	return name
}

// ImageName returns the name that systemd gives to the image in the file or
// directory called file (src/shared/discover-image.c), and whether it takes
// files or directories of that name at all.
func ImageName(class Class, file string, directory bool, systemd int) (name string, ok bool) {
	name, ok = file, true
	if !directory {
		name, ok = strings.CutSuffix(file, ".raw")
	}
	if systemd >= suffixRelease {
		name = strings.TrimSuffix(name, "."+class.String())
	}
	return name, ok && CheckName(name) == nil
}

// Lenient reports whether the value of StrictXattr is one that systemd takes
// for false (src/basic/parse-util.c, parse_boolean).
func Lenient(value string) bool {
	switch strings.ToLower(value) {
	case "0", "no", "n", "false", "f", "off":
		return true
	}
	return false
}
