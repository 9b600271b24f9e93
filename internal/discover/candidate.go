package discover

import (
	"time"

	"sextant/internal/extension"
)

// Kind says what an extension is made of, in systemd's words.
type Kind int

// The kinds. Of a candidate with a fault none is known.
const (
	Unknown Kind = iota
	Directory
	Subvolume
	Raw
	Block
	Mstack
)

// String returns systemd's word: directory, subvolume, raw, block or mstack.
func (k Kind) String() string {
	switch k {
	case Directory:
		return "directory"
	case Subvolume:
		return "subvolume"
	case Raw:
		return "raw"
	case Block:
		return "block"
	case Mstack:
		return "mstack"
	}
	return "unknown"
}

// Image reports whether the extension is in an image that must be opened, and
// not in directories.
func (k Kind) Image() bool { return k == Raw || k == Block }

// MarshalText returns systemd's word.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Trust says which image policy holds for a candidate where the user named none.
type Trust int

// What systemd-stub puts below /.extra comes from the boot partition, where
// anybody may have written. Only an initrd knows these (pick_image_policy in
// systemd's sysext.c).
const (
	Default Trust = iota // the policy of the class
	Strict               // the strict policy of the class
	Denied               // none: it is never merged
)

// Candidate is something that may be merged.
type Candidate struct {
	Class extension.Class `json:"-"`
	Name  string          `json:"name"` // what it is merged as, without suffix
	Kind  Kind            `json:"type,omitzero"`
	Trust Trust           `json:"-"`

	// Path is where it lies, with the root in front and no link in it: what to
	// open, and what systemd prints.
	Path string `json:"path,omitempty"`

	// Found is the entry of the search path that led there, with the root in
	// front: a link, a .v directory, or the same as Path.
	Found string `json:"found"`

	// Time is when a raw image was changed, a directory made, or a subvolume
	// last changed; zero where nobody knows.
	Time time.Time `json:"time,omitzero"`

	// Version is what was picked out of a .v directory, else empty.
	Version string `json:"version,omitempty"`

	// Fault is why there is nothing to open, where systemd would list nothing
	// at all. Such a candidate has no kind and no time, and hides no other.
	Fault error `json:"-"`
}

// PassedOver is an entry of the search path that is no candidate.
type PassedOver struct {
	Path   string // with the root in front
	Name   string // that it would have had, where it has one
	Reason string
}
