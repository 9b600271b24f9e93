package source

import (
	"fmt"
	"slices"
	"strings"

	"sextant/internal/linux/dir"
	"sextant/internal/tree"
)

// Xattrs says which extended attributes of a source go into the tree.
type Xattrs int

const (
	// XattrsPortable takes from a directory what means the same on every
	// machine: file capabilities, POSIX ACLs and user.*. From an archive it
	// takes all, as somebody put them there on purpose.
	XattrsPortable Xattrs = iota

	// XattrsAll takes from a directory also the rest of security.* and
	// trusted.*: labels and signatures of the building machine.
	XattrsAll

	// XattrsNone takes none.
	XattrsNone
)

// String returns the word for the choice.
func (x Xattrs) String() string {
	switch x {
	case XattrsPortable:
		return "portable"
	case XattrsAll:
		return "all"
	case XattrsNone:
		return "none"
	}
	return fmt.Sprintf("Xattrs(%d)", int(x))
}

// The names of POSIX ACLs as extended attributes (linux/xattr.h).
const (
	aclAccess  = "system.posix_acl_access"
	aclDefault = "system.posix_acl_default"
)

// keep reports whether the attribute called name is taken from a directory.
// Those that no image can hold (btrfs.*, NFS ACLs) never are.
func (x Xattrs) keep(name string) bool {
	portable := name == "security.capability" || name == aclAccess || name == aclDefault ||
		strings.HasPrefix(name, "user.")
	all := portable || strings.HasPrefix(name, "security.") || strings.HasPrefix(name, "trusted.")
	return x == XattrsPortable && portable || x == XattrsAll && all
}

// xattrs returns the extended attributes of the file at path, sorted.
func (x Xattrs) of(path string) ([]tree.Xattr, error) {
	if x == XattrsNone {
		return nil, nil
	}
	found, err := dir.Xattrs(path, x.keep)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	list := make([]tree.Xattr, 0, len(found))
	for _, a := range found {
		list = append(list, tree.Xattr(a))
	}
	slices.SortFunc(list, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}
