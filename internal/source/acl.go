package source

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sextant/internal/fault"
)

// The binary form of POSIX ACLs (linux/posix_acl_xattr.h): a version, then
// eight bytes for each entry, all little-endian.
const (
	aclVersion   = 2
	aclHeader    = 4 // bytes
	aclEntrySize = 8 // bytes

	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20

	aclUndefined = 0xffffffff // the id of entries that have none
)

// aclEntry is one entry of an ACL.
type aclEntry struct {
	tag, perm uint16
	id        uint32
}

// encodeACL turns the text of an ACL (acl(5), with commas or line ends) into
// the value of its extended attribute.
func encodeACL(text string) ([]byte, error) {
	var entries []aclEntry
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		e, err := parseACLEntry(line)
		if err != nil {
			return nil, fmt.Errorf("ACL entry %.100q: %w", line, err)
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b aclEntry) int {
		return cmp.Or(cmp.Compare(a.tag, b.tag), cmp.Compare(a.id, b.id))
	})
	if err := checkACL(entries); err != nil {
		return nil, fmt.Errorf("ACL %.100q: %w", text, err)
	}
	value := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range entries {
		value = binary.LittleEndian.AppendUint16(value, e.tag)
		value = binary.LittleEndian.AppendUint16(value, e.perm)
		value = binary.LittleEndian.AppendUint32(value, e.id)
	}
	return value, nil
}

// parseACLEntry reads "TAG:QUALIFIER:PERMISSIONS[:ID]". star(1) adds the
// number of the user or group that QUALIFIER names; GNU tar does not.
func parseACLEntry(line string) (aclEntry, error) {
	fields := strings.Split(line, ":")
	if len(fields) == 2 { // Solaris leaves the empty qualifier out
		fields = []string{fields[0], "", fields[1]}
	}
	if len(fields) < 3 || len(fields) > 4 {
		return aclEntry{}, fmt.Errorf("has %d fields: %w", len(fields), fault.ErrCorrupt)
	}
	e := aclEntry{id: aclUndefined}
	var err error
	if e.tag, err = aclTag(fields[0], fields[1] != ""); err != nil {
		return e, err
	}
	if e.perm, err = aclPerm(fields[2]); err != nil {
		return e, err
	}
	if fields[1] != "" {
		e.id, err = aclID(fields)
	}
	return e, err
}

func aclTag(word string, qualified bool) (uint16, error) {
	switch word {
	case "user", "u":
		if qualified {
			return aclUser, nil
		}
		return aclUserObj, nil
	case "group", "g":
		if qualified {
			return aclGroup, nil
		}
		return aclGroupObj, nil
	case "mask", "m":
		return aclMask, nil
	case "other", "o":
		return aclOther, nil
	}
	return 0, fmt.Errorf("no such tag: %w", fault.ErrCorrupt)
}

func aclPerm(s string) (uint16, error) {
	var perm uint16
	for _, c := range s {
		switch c {
		case 'r':
			perm |= 4
		case 'w':
			perm |= 2
		case 'x':
			perm |= 1
		case '-':
		default:
			return 0, fmt.Errorf("no such permission: %w", fault.ErrCorrupt)
		}
	}
	return perm, nil
}

// aclID returns the number of a named user or group. A name alone would mean
// another number on every machine, so it is not looked up.
func aclID(fields []string) (uint32, error) {
	digits := fields[1]
	if len(fields) == 4 {
		digits = strings.TrimSpace(fields[3])
	}
	if digits == "root" {
		return 0, nil
	}
	id, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || id == aclUndefined {
		return 0, fmt.Errorf("%q is no number; make the archive with --numeric-owner: %w", digits, fault.ErrUnsupported)
	}
	return uint32(id), nil
}

// checkACL applies the kernel's rules (fs/posix_acl.c, posix_acl_valid): one
// entry each for owner, group and others, a mask where there are named ones,
// nobody twice. The entries are sorted.
func checkACL(entries []aclEntry) error {
	count := make(map[uint16]int)
	for i, e := range entries {
		count[e.tag]++
		if i > 0 && e.tag == entries[i-1].tag && e.id == entries[i-1].id {
			return fmt.Errorf("says something twice: %w", fault.ErrCorrupt)
		}
	}
	named := count[aclUser]+count[aclGroup] > 0
	if count[aclUserObj] != 1 || count[aclGroupObj] != 1 || count[aclOther] != 1 || named && count[aclMask] != 1 {
		return fmt.Errorf("is incomplete: %w", fault.ErrCorrupt)
	}
	return nil
}
