package fat

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// badLong are the characters that no name has (the specification, "Name Limits
// and Character Sets").
const badLong = `"*/:<>?\|`

var errNoAlias = errors.New("no short name is left in the directory")

// CheckName returns an error unless name can be the name of a file: UTF-8, at
// most 255 units of UTF-16, without control characters and "*/:<>?\|, and without
// a dot or space at its end, which Windows and Linux would cut off.
func CheckName(name string) error {
	switch bad := strings.IndexFunc(name, isBad); {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("name %q: %w", name, fs.ErrInvalid)
	case !utf8.ValidString(name):
		return fmt.Errorf("name %q is not UTF-8: %w", name, fs.ErrInvalid)
	case bad >= 0:
		return fmt.Errorf("name %q: FAT has no names with %q: %w", name, name[bad], fs.ErrInvalid)
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		return fmt.Errorf("name %q: FAT has no names with a dot or space at the end: %w", name, fs.ErrInvalid)
	case strings.Trim(name, ". ") == "":
		return fmt.Errorf("name %q: FAT has no names of dots and spaces: %w", name, fs.ErrInvalid)
	}
	if n := len(utf16.Encode([]rune(name))); n > longMax {
		return fmt.Errorf("name %.20q… has %d units of UTF-16, FAT has at most %d: %w", name, n, longMax, fs.ErrInvalid)
	}
	return nil
}

func isBad(c rune) bool { return c < ' ' || strings.ContainsRune(badLong, c) }

// fold gives what names are compared by: upper case, letter by letter, where
// that is one letter of 16 bits, as Windows does it.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		if upper := unicode.ToUpper(c); upper <= 0xFFFF && c <= 0xFFFF {
			return upper
		}
		return c
	}, name)
}

// foldASCII is fold for the letters that Linux folds in UTF-8.
func foldASCII(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' {
			return c - 'a' + 'A'
		}
		return c
	}, name)
}

// units gives the 13 units of an entry.
func (l *LongEntry) units() [longUnits]uint16 {
	var u [longUnits]uint16
	copy(u[:], l.Name1[:])
	copy(u[5:], l.Name2[:])
	copy(u[11:], l.Name3[:])
	return u
}

// pieceText gives the characters of one piece.
func pieceText(units []uint16) string {
	if end := slices.Index(units, 0); end >= 0 {
		units = units[:end]
	}
	return string(utf16.Decode(units))
}

// longEntries makes the entries of a long name, in their order on the volume.
func longEntries(name string, short ShortName) []LongEntry {
	units := utf16.Encode([]rune(name))
	pieces := (len(units) + longUnits - 1) / longUnits
	if len(units)%longUnits != 0 {
		units = append(units, 0)
	}
	for len(units)%longUnits != 0 {
		units = append(units, 0xFFFF)
	}
	var list []LongEntry
	for n := pieces; n > 0; n-- {
		l := LongEntry{Order: uint8(n), Attributes: longName, Checksum: short.checksum()}
		if n == pieces {
			l.Order |= lastLong
		}
		u := units[(n-1)*longUnits:]
		copy(l.Name1[:], u)
		copy(l.Name2[:], u[5:])
		copy(l.Name3[:], u[11:])
		list = append(list, l)
	}
	return list
}

// longReader puts a long name together from its entries.
type longReader struct {
	units    []uint16 // of all pieces
	next     int      // number of the piece that has to come, 0: none
	checksum uint8
	begun    bool
}

// add takes one entry and reports whether it continues what came before.
func (r *longReader) add(l *LongEntry) bool {
	order := int(l.Order & longOrder)
	if l.Order&lastLong != 0 {
		clean := !r.begun
		*r = longReader{next: order, checksum: l.Checksum, begun: true}
		if order == 0 || order > longPieces {
			*r = longReader{}
			return false
		}
		r.units = make([]uint16, order*longUnits)
		r.piece(l)
		return clean
	}
	if !r.begun || r.next == 0 || order != r.next || l.Checksum != r.checksum {
		*r = longReader{}
		return false
	}
	r.piece(l)
	return true
}

func (r *longReader) piece(l *LongEntry) {
	r.next--
	u := l.units()
	copy(r.units[r.next*longUnits:], u[:])
}

// name returns the long name of the entry that follows, "" for none. ok is false
// for one that is not complete, belongs to another short name or cannot be a
// name.
func (r *longReader) name(short ShortName) (name string, ok bool) {
	defer func() { *r = longReader{} }()
	if !r.begun {
		return "", true
	}
	if r.next != 0 || short.checksum() != r.checksum {
		return "", false
	}
	units := r.units
	if end := slices.Index(units, 0); end >= 0 {
		units = units[:end]
	}
	name = string(utf16.Decode(units))
	if len(units) == 0 || len(units) > longMax || !slices.Equal(utf16.Encode([]rune(name)), units) ||
		name == "." || name == ".." || strings.ContainsFunc(name, isBad) {
		return "", false
	}
	return name, true
}
