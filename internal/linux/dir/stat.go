package dir

import "time"

// Stat is what lstat(2) says about a file.
type Stat struct {
	Mode      uint32 // st_mode: file type and permission bits
	UID, GID  uint32
	Links     uint64 // number of hard links
	Dev, Ino  uint64 // the same for all hard links of a file
	Major     uint32 // of a device
	Minor     uint32
	Size      int64 // bytes
	Allocated int64 // bytes that take space
	ModTime   time.Time
}

// Xattr is one extended attribute, with its full name.
type Xattr struct {
	Name  string
	Value []byte
}

// Range is the half-open byte range [Start, End).
type Range struct {
	Start, End int64
}
