// Package subvolume tells a btrfs subvolume from a directory, and when either
// was made.
package subvolume

import "time"

// Facts are what stat(2) does not say about a directory. A time that the file
// system does not keep is zero.
type Facts struct {
	Subvolume bool
	Birth     time.Time // of the directory
	Changed   time.Time // of the subvolume: the last change anywhere in it
}
