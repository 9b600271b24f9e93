package merge

import (
	"time"

	"sextant/internal/extension"
)

// Candidate is what discovery found. It becomes discover.Candidate.
type Candidate struct {
	Class  extension.Class `json:"-"`
	Name   string          `json:"name"`
	Kind   string          `json:"type"` // directory, subvolume, raw, block, mstack
	Path   string          `json:"path"` // below the root
	Real   string          `json:"-"`    // on this host
	Time   time.Time       `json:"time"`
	Strict bool            `json:"-"`
	Denied bool            `json:"-"`
}
