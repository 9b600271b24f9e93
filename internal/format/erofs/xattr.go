package erofs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"sextant/internal/fault"
	"sextant/internal/span"
	"sextant/internal/tree"
)

// xattrTable finds the xattrs that several inodes have. Such an entry is
// stored once, and the inodes hold its number.
type xattrTable struct {
	uses    map[string]int    // of each entry, by its bytes on disk
	numbers map[string]uint32 // of the entries that have a place in shared
	shared  []byte
	bodies  map[string]string // so that equal bodies are one string

	entry, ids, inline []byte // room to encode in
}

// planXattrs encodes the xattrs of all nodes. The shared area holds its
// entries in the order of their first use.
func (l *Layout) planXattrs() error {
	t := xattrTable{
		uses:    make(map[string]int),
		numbers: make(map[string]uint32),
		bodies:  make(map[string]string),
	}
	for i := range l.nodes {
		for _, x := range l.nodes[i].src.Xattrs {
			if err := t.encodeEntry(x); err != nil {
				return fmt.Errorf("%s: extended attribute %q: %w", l.origin(int32(i)), x.Name, err)
			}
			t.uses[string(t.entry)]++
		}
	}
	for i := range l.nodes {
		body, err := t.encodeBody(l.nodes[i].src.Xattrs)
		if err != nil {
			return fmt.Errorf("%s: %w", l.origin(int32(i)), err)
		}
		l.nodes[i].body = body
	}
	l.shared = t.shared
	return nil
}

// encodeBody returns what stands between an inode and its data: a header, the
// numbers of shared entries, then the inode's own entries.
func (t *xattrTable) encodeBody(xattrs []tree.Xattr) (string, error) {
	if len(xattrs) == 0 {
		return "", nil
	}
	var header XattrHeader
	t.ids, t.inline = t.ids[:0], t.inline[:0]
	for _, x := range xattrs {
		if err := t.encodeEntry(x); err != nil {
			return "", err
		}
		if header.SharedCount < maxSharedXattrs && t.worthSharing() {
			header.SharedCount++
			t.ids = binary.LittleEndian.AppendUint32(t.ids, t.number())
		} else {
			t.inline = append(t.inline, t.entry...)
		}
	}
	size := xattrHeaderSize + len(t.ids) + len(t.inline)
	if size > maxXattrBody {
		return "", fmt.Errorf("extended attributes take %d bytes, EROFS allows %d", size, maxXattrBody)
	}
	body := make([]byte, xattrHeaderSize, size)
	put(body, header)
	body = append(append(body, t.ids...), t.inline...)
	if known, ok := t.bodies[string(body)]; ok {
		return known, nil
	}
	t.bodies[string(body)] = string(body)
	return t.bodies[string(body)], nil
}

// worthSharing reports whether storing t.entry once, with a number in each of
// its inodes, takes less room.
func (t *xattrTable) worthSharing() bool {
	uses, size := t.uses[string(t.entry)], len(t.entry)
	return size+4*uses < size*uses
}

// number returns the shared number of t.entry.
func (t *xattrTable) number() uint32 {
	number, ok := t.numbers[string(t.entry)]
	if !ok {
		number = uint32(len(t.shared) / 4)
		t.numbers[string(t.entry)] = number
		t.shared = append(t.shared, t.entry...)
	}
	return number
}

// encodeEntry sets t.entry to the bytes of x on disk.
func (t *xattrTable) encodeEntry(x tree.Xattr) error {
	prefix, rest, err := splitXattrName(x.Name)
	if err != nil {
		return err
	}
	if len(x.Value) > maxXattrValue {
		return fmt.Errorf("the value has %d bytes, EROFS allows %d", len(x.Value), maxXattrValue)
	}
	size := span.AlignUp(int64(xattrEntrySize+len(rest)+len(x.Value)), 4)
	var header [xattrEntrySize]byte
	put(header[:], XattrEntry{NameLength: uint8(len(rest)), Prefix: prefix, ValueSize: uint16(len(x.Value))})
	t.entry = append(t.entry[:0], header[:]...)
	t.entry = append(t.entry, rest...)
	t.entry = append(t.entry, x.Value...)
	for int64(len(t.entry)) < size {
		t.entry = append(t.entry, 0)
	}
	return nil
}

// splitXattrName replaces the start of an xattr's name with its prefix number.
func splitXattrName(name string) (prefix XattrPrefix, rest string, err error) {
	if len(name) > maxXattrName {
		return 0, "", fmt.Errorf("the name has %d bytes, Linux allows %d", len(name), maxXattrName)
	}
	for _, prefix := range []XattrPrefix{PrefixACLAccess, PrefixACLDefault} {
		if name == prefix.String() {
			return prefix, "", nil
		}
	}
	for _, prefix := range []XattrPrefix{PrefixUser, PrefixTrusted, PrefixSecurity} {
		rest, ok := strings.CutPrefix(name, prefix.String())
		if ok && rest == "" {
			return 0, "", errors.New("nothing follows the prefix of the name")
		}
		if ok {
			return prefix, rest, nil
		}
	}
	return 0, "", fmt.Errorf("EROFS has no prefix for the name: %w", fault.ErrUnsupported)
}
