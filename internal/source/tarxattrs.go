package source

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/format/tar"
	"sextant/internal/tree"
)

// The pax records that hold extended attributes.
const (
	recordXattr      = "SCHILY.xattr."        // star, GNU tar, libarchive: raw value
	recordXattr64    = "LIBARCHIVE.xattr."    // libarchive: name as in a URL, value in base64
	recordSELinux    = "RHT.security.selinux" // GNU tar
	recordACL        = "SCHILY.acl.access"
	recordACLDefault = "SCHILY.acl.default"
	selinux          = "security.selinux"
	xattrNameMax     = 255   // linux/limits.h
	xattrSizeMax     = 65536 // linux/limits.h
)

// entryXattrs returns the extended attributes in the entry's pax records,
// sorted. Those that no image can hold are left out.
func entryXattrs(e *tar.Entry, xattrs Xattrs) ([]tree.Xattr, error) {
	if xattrs == XattrsNone || len(e.Records) == 0 {
		return nil, nil
	}
	values := make(map[string][]byte)
	if err := plainXattrs(e.Records, values); err != nil {
		return nil, err
	}
	if err := aclXattrs(e, values); err != nil {
		return nil, err
	}
	var list []tree.Xattr
	for name, value := range values {
		if !XattrsAll.keep(name) {
			continue
		}
		if len(name) > xattrNameMax || len(value) > xattrSizeMax {
			return nil, fmt.Errorf("extended attribute %.50q of %d bytes, Linux allows %d, and %d in its name: %w",
				name, len(value), xattrSizeMax, xattrNameMax, fault.ErrUnsupported)
		}
		list = append(list, tree.Xattr{Name: name, Value: value})
	}
	slices.SortFunc(list, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// plainXattrs puts the attributes that stand in a record of their own into
// values. libarchive writes both kinds of record for the same attribute; the
// raw one counts.
func plainXattrs(records tar.Records, values map[string][]byte) error {
	for key, value := range records {
		if name, ok := strings.CutPrefix(key, recordXattr64); ok {
			name, decoded, err := decodeXattr64(name, value)
			if err != nil {
				return fmt.Errorf("record %.100q: %w: %w", key, err, fault.ErrCorrupt)
			}
			values[name] = decoded
		}
	}
	if label, ok := records[recordSELinux]; ok {
		// As the kernel hands it out, with the NUL.
		values[selinux] = []byte(strings.TrimRight(label, "\x00") + "\x00")
	}
	for key, value := range records {
		if name, ok := strings.CutPrefix(key, recordXattr); ok {
			values[unescapeKey(name)] = []byte(value)
		}
	}
	return nil
}

func decodeXattr64(key, value string) (name string, decoded []byte, err error) {
	if name, err = url.PathUnescape(key); err != nil {
		return "", nil, err
	}
	decoded, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "=\n"))
	return name, decoded, err
}

// unescapeKey undoes what GNU tar does to names with "=" in them, which would
// end the key (its src/xheader.c).
func unescapeKey(name string) string {
	return strings.NewReplacer("%3D", "=", "%25", "%").Replace(name)
}

// aclXattrs puts the ACLs that stand as text into values. Only directories
// have a default ACL.
func aclXattrs(e *tar.Entry, values map[string][]byte) error {
	for record, name := range map[string]string{recordACL: aclAccess, recordACLDefault: aclDefault} {
		text := e.Records[record]
		if text == "" || values[name] != nil || e.Type == tar.TypeSymlink ||
			record == recordACLDefault && e.Type != tar.TypeDir {
			continue
		}
		list, err := parseACL(text)
		if err != nil {
			return err
		}
		values[name] = list.encode()
	}
	return nil
}

// settleACLs checks the ACLs of an inode and gives it the permission bits of
// its access ACL, as the kernel does with one that it is given: libarchive
// writes the group's own bits into the header, where stat(2) shows the mask.
func settleACLs(node *tree.Inode) error {
	if value, ok := node.Xattr(aclDefault); ok {
		if _, err := decodeACL(value); err != nil {
			return fmt.Errorf("%s: %w", aclDefault, err)
		}
	}
	value, ok := node.Xattr(aclAccess)
	if !ok {
		return nil
	}
	access, err := decodeACL(value)
	if err != nil {
		return fmt.Errorf("%s: %w", aclAccess, err)
	}
	perm, minimal := access.mode()
	node.Mode = node.Mode&^0o777 | perm
	if minimal {
		node.Xattrs = slices.DeleteFunc(node.Xattrs, func(x tree.Xattr) bool { return x.Name == aclAccess })
	}
	return nil
}
