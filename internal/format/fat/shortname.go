package fat

import (
	"strings"
	"unicode/utf8"
)

// ShortName is a name of 8 bytes and an extension of 3, both filled up with
// spaces, in upper case.
type ShortName [11]byte

// The names of the two entries that begin each directory but the root.
const (
	dotName    = ".          "
	dotDotName = "..         "
)

// Text gives the name as it is shown: with a dot before the extension, and in
// the case that Windows NT's flags ask for.
func (n ShortName) Text(flags CaseFlags) string {
	if n[0] == markKanji {
		n[0] = markDeleted
	}
	base, extension := oem(n[:8]), oem(n[8:])
	if flags&LowerBase != 0 {
		base = strings.ToLower(base)
	}
	if flags&LowerExtension != 0 {
		extension = strings.ToLower(extension)
	}
	if extension != "" {
		base += "." + extension
	}
	return base
}

// oem decodes bytes of code page 437 and cuts spaces at the end.
func oem(b []byte) string {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	ascii := true
	for _, c := range b {
		ascii = ascii && c < utf8.RuneSelf
	}
	if ascii {
		return string(b)
	}
	page := []rune(codePage437)
	var s strings.Builder
	for _, c := range b {
		if c < utf8.RuneSelf {
			s.WriteByte(c)
		} else {
			s.WriteRune(page[c-utf8.RuneSelf])
		}
	}
	return s.String()
}

// checksum binds a long name to its short one (the specification, "FAT Long
// Directory Entries").
func (n ShortName) checksum() (sum uint8) {
	for _, c := range n {
		sum = sum>>1 | sum<<7
		sum += c
	}
	return sum
}

// check tells what is wrong with a short name on a volume.
func (n ShortName) check() error {
	if n[0] == ' ' {
		return corrupt("short name %q begins with a space", n[:])
	}
	for i, c := range n {
		if c < ' ' && !(i == 0 && c == markKanji) || c >= 'a' && c <= 'z' || strings.IndexByte(badLong+badShort, c) >= 0 {
			return corrupt("short name %q has the byte %#x", n[:], c)
		}
	}
	return nil
}

// badShort are the characters that only long names have; the dot is not in it,
// as it stands for itself in neither.
const badShort = "+,;=[]."

// candidate makes the short name that comes closest to a long one, as Linux does
// it (fs/fat/namei_vfat.c, vfat_create_shortname), but for characters outside
// ASCII, which become "_" so that the name is the same in every code page. exact
// says that it has the same letters, in whatever case, and plain that the case
// is the same too.
func candidate(name string) (short ShortName, exact, plain bool) {
	base, extension, exact := cutExtension(name)
	copy(short[:], dotName[1:]+" ")
	fits := shorten(short[:8], base)
	fits = shorten(short[8:], extension) && fits
	exact = exact && fits
	return short, exact, exact && name == strings.ToUpper(name)
}

// cutExtension cuts a name at its last dot. A name of dots and spaces before
// that dot is itself the extension's place: it has none. whole says that nothing
// is lost.
func cutExtension(name string) (base, extension string, whole bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return name, "", true
	}
	if strings.Trim(name[:dot], ". ") == "" {
		return name, "", false
	}
	return name[:dot], name[dot+1:], true
}

// shorten fills field with what can be in a short name, and reports whether that
// was all.
func shorten(field []byte, name string) bool {
	whole, at := true, 0
	for _, c := range name {
		switch {
		case c == '.' || c == ' ':
			whole = false
			continue
		case c >= utf8.RuneSelf || strings.ContainsRune(badShort, c):
			whole, c = false, '_'
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		if at == len(field) {
			return false
		}
		field[at] = byte(c)
		at++
	}
	return whole
}

// alias returns a short name for a long one that no other entry has, and whether
// it alone says the whole name. Up to nine entries are numbered NAME~1 to
// NAME~9; the others get four hexadecimal digits that follow from the name, as
// in Windows, where Linux takes them from the clock.
func alias(name string, taken func(ShortName) bool) (short ShortName, alone bool, err error) {
	short, exact, plain := candidate(name)
	if exact && !taken(short) {
		return short, plain, nil
	}
	length := len(strings.TrimRight(string(short[:8]), " "))
	for n := byte(1); n <= 9; n++ {
		if s := short.numbered(min(length, 6), string([]byte{'~', '0' + n})); !taken(s) {
			return s, false, nil
		}
	}
	const hex = "0123456789ABCDEF"
	hash := nameHash(name)
	for range 1 << 16 {
		digits := []byte{hex[hash>>12], hex[hash>>8&15], hex[hash>>4&15], hex[hash&15], '~', '1'}
		if s := short.numbered(min(length, 2), string(digits)); !taken(s) {
			return s, false, nil
		}
		hash -= 11 // has no divisor with 1<<16, so all come
	}
	return short, false, errNoAlias
}

// numbered puts a tail behind the first bytes of the name.
func (n ShortName) numbered(keep int, tail string) ShortName {
	copy(n[keep:8], tail+"        ")
	return n
}

// nameHash gives 16 bits that follow from a name (FNV-1a, folded).
func nameHash(name string) uint16 {
	h := uint32(2166136261)
	for _, c := range []byte(name) {
		h = (h ^ uint32(c)) * 16777619
	}
	return uint16(h>>16 ^ h)
}
