package squashfs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"sextant/internal/fault"
)

// Place names a part of the file system.
type Place string

// The places, in the order of a check.
const (
	PlaceSuperblock Place = "superblock"
	PlaceInodes     Place = "inode table"
	PlaceDirectory  Place = "directory"
	PlaceXattrs     Place = "xattr table"
	PlaceExport     Place = "export table"
	PlaceFragments  Place = "fragment table"
	PlaceData       Place = "data"
)

// Problem is what Check found at one place. As an error it wraps
// fault.ErrCorrupt or fault.ErrUnsupported.
type Problem struct {
	Place Place

	// Path is that of a file or directory concerned, where it is known.
	Path string

	// Harmless says that Linux reads the same files all the same.
	Harmless bool

	// Err is the fact, such as "block 3 at 4096 unpacks to 7 bytes, not 8192".
	Err error
}

// Error gives the place, the path and the fact in one line.
func (p Problem) Error() string {
	if p.Path != "" {
		return fmt.Sprintf("%s: %s: %v", p.Place, p.Path, p.Err)
	}
	return fmt.Sprintf("%s: %v", p.Place, p.Err)
}

// Unwrap returns the fact.
func (p Problem) Unwrap() error { return p.Err }

// maxProblems is how many problems a check reports; an image full of them
// needs no more.
const maxProblems = 1000

func (c *check) report(place Place, path *trail, err error) {
	if errors.Is(err, fault.ErrUnsupported) || errors.Is(err, fault.ErrCorrupt) {
		c.add(Problem{Place: place, Path: pathOf(path), Err: err})
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err // the image could not be read
	}
}

// harmless reports a broken rule that Linux does not care about.
func (c *check) harmless(place Place, path *trail, format string, args ...any) {
	c.add(Problem{Place: place, Path: pathOf(path), Harmless: true, Err: corrupt(format, args...)})
}

func (c *check) add(p Problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.problems) < maxProblems {
		c.problems = append(c.problems, p)
	}
}

// stop reports whether there is no use in going on.
func (c *check) stop() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed != nil || len(c.problems) >= maxProblems || c.ctx.Err() != nil
}

func pathOf(t *trail) string {
	if t == nil {
		return ""
	}
	return t.String()
}

// sortProblems puts problems in the order of places. Within one they stay in
// the order in which they were found, but for data, which several goroutines
// look at.
func sortProblems(list []Problem) {
	order := []Place{PlaceSuperblock, PlaceInodes, PlaceDirectory, PlaceXattrs, PlaceExport, PlaceFragments, PlaceData}
	slices.SortStableFunc(list, func(a, b Problem) int {
		if a.Place != b.Place {
			return slices.Index(order, a.Place) - slices.Index(order, b.Place)
		}
		if a.Place == PlaceData {
			return cmp.Compare(a.Error(), b.Error())
		}
		return 0
	})
}
