package source

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/tree"
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

// acl is a POSIX ACL, sorted as the kernel wants it.
type acl []aclEntry

// aclEntry is one entry of an ACL.
type aclEntry struct {
	tag, perm uint16
	id        uint32
}

// parseACL reads the text of an ACL (acl(5), with commas or line ends).
func parseACL(text string) (acl, error) {
	var a acl
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		e, err := parseACLEntry(line)
		if err != nil {
			return nil, fmt.Errorf("ACL entry %.100q: %w", line, err)
		}
		a = append(a, e)
	}
	slices.SortFunc(a, aclEntry.compare)
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("ACL %.100q: %w", text, err)
	}
	return a, nil
}

// decodeACL reads the value of an ACL's extended attribute.
func decodeACL(value []byte) (acl, error) {
	if len(value) < aclHeader || (len(value)-aclHeader)%aclEntrySize != 0 || binary.LittleEndian.Uint32(value) != aclVersion {
		return nil, fmt.Errorf("ACL of %d bytes is not version %d: %w", len(value), aclVersion, fault.ErrCorrupt)
	}
	var a acl
	for v := value[aclHeader:]; len(v) > 0; v = v[aclEntrySize:] {
		a = append(a, aclEntry{
			tag:  binary.LittleEndian.Uint16(v),
			perm: binary.LittleEndian.Uint16(v[2:]),
			id:   binary.LittleEndian.Uint32(v[4:]),
		})
	}
	if err := a.check(); err != nil {
		return nil, fmt.Errorf("ACL %w", err)
	}
	return a, nil
}

// encode returns the value of the ACL's extended attribute.
func (a acl) encode() []byte {
	value := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range a {
		value = binary.LittleEndian.AppendUint16(value, e.tag)
		value = binary.LittleEndian.AppendUint16(value, e.perm)
		value = binary.LittleEndian.AppendUint32(value, e.id)
	}
	return value
}

// mode returns the nine permission bits that go with an access ACL: the
// group's are the mask, if there is one (posix_acl_equiv_mode in
// fs/posix_acl.c). minimal says that the ACL has no more to say than they do.
func (a acl) mode() (mode tree.Mode, minimal bool) {
	perm := make(map[uint16]tree.Mode)
	for _, e := range a {
		perm[e.tag] = tree.Mode(e.perm)
	}
	group, masked := perm[aclMask]
	if !masked {
		group = perm[aclGroupObj]
	}
	return perm[aclUserObj]<<6 | group<<3 | perm[aclOther], len(a) == 3
}

func (e aclEntry) compare(other aclEntry) int {
	return cmp.Or(cmp.Compare(e.tag, other.tag), cmp.Compare(e.id, other.id))
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

// check applies the kernel's rules (posix_acl_valid in fs/posix_acl.c): sorted
// by tag, one entry each for owner, group and others, a mask where there are
// named ones. Somebody twice would be legal, and a mistake.
func (a acl) check() error {
	count := make(map[uint16]int)
	for i, e := range a {
		count[e.tag]++
		switch {
		case e.perm > 7:
			return fmt.Errorf("has permissions %#o: %w", e.perm, fault.ErrCorrupt)
		case i > 0 && e.tag < a[i-1].tag:
			return fmt.Errorf("is not sorted: %w", fault.ErrCorrupt)
		case i > 0 && e.tag == a[i-1].tag && e.id == a[i-1].id:
			return fmt.Errorf("says something twice: %w", fault.ErrCorrupt)
		}
	}
	named := count[aclUser] + count[aclGroup]
	single := count[aclUserObj] == 1 && count[aclGroupObj] == 1 && count[aclOther] == 1 && count[aclMask] <= 1
	if !single || named > 0 && count[aclMask] == 0 || named+3+count[aclMask] != len(a) {
		return fmt.Errorf("is not complete: %w", fault.ErrCorrupt)
	}
	return nil
}
