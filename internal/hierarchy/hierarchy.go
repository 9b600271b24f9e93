// Package hierarchy tells what lies on a directory that extensions are merged
// into: one of our own overlays, with what its dot directory says, and whatever
// else is mounted at, below or above it.
//
//	/usr                      an overlay
//	  .systemd-sysext/        its top layer: the dot directory
//	    extensions            names, one a line, lowest layer first
//	    dev                   major:minor of the overlay
//	    work_dir              upper directory's work directory, mutable only
//	    backing               block device of the host's own /usr
//	    origin                what it was made of, JSON
//
// The layout is systemd's (src/sysext/sysext.c of 262), which reads what we
// write as we read what it writes.
package hierarchy

import (
	"encoding/json"
	"time"
)

// Status is what lies on one hierarchy now.
type Status struct {
	// Path is the hierarchy as it was asked for: /usr.
	Path string

	// Real is where it is on this host, with symbolic links followed inside
	// the root. It is "" where the directory does not exist.
	Real string

	// Merged says that an overlay of the class is mounted there.
	Merged bool

	// Extensions are the names of what is merged, lowest layer first.
	Extensions []string

	// Since is when the merge was made, the zero time if there is none.
	Since time.Time

	// Mutable says that the overlay has an upper directory.
	Mutable bool

	// WorkDir is the work directory below the root, "" without an upper
	// directory that outlives the merge.
	WorkDir string

	// Broken is what keeps the overlay from being taken away: a work directory
	// that cannot be one. Somebody wrote to the dot directory.
	Broken error

	// Backing is the device number of the block device behind the host's own
	// directory, "" where there is none.
	Backing string

	// Origin is what the merge was made of, nil before systemd 260.
	Origin json.RawMessage

	// Foreign are mounts at, below and above the hierarchy that are not ours.
	Foreign []Foreign
}

// Place says where a foreign mount lies.
type Place string

// A foreign mount lies on top of our overlay, or beneath it as its lowest
// layer, or at a directory below the hierarchy, or at one above it.
const (
	Covers  Place = "covers"
	Beneath Place = "beneath"
	Below   Place = "below"
	Above   Place = "above"
)

// Foreign is a mount that others made.
type Foreign struct {
	Place  Place  `json:"place"`
	Path   string `json:"path"`   // mount point
	Type   string `json:"type"`   // file system type: overlay, tmpfs …
	Source string `json:"source"` // as mountinfo has it

	// Hides are files of extensions that cannot be seen for it, each as
	// "extension: /path".
	Hides []string `json:"hides,omitempty"`

	// HiddenBy are files of extensions that are seen in the place of its own, each
	// as "extension: /path": those that its upper directory has too, or all that
	// are where it was mounted, if it is not carried over.
	HiddenBy []string `json:"hiddenBy,omitempty"`

	// Upper is the upper directory of an overlay, as its options have it. It may be
	// a path in another mount namespace.
	Upper string `json:"-"`

	// Dropped says that it is mounted on the host's own directory, beneath our
	// overlay: it was not carried over.
	Dropped bool `json:"-"`

	// Advice is what to do about it, "" where nothing needs to be done.
	Advice string `json:"advice,omitempty"`
}
