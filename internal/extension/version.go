package extension

import (
	"cmp"
	"strings"
)

// CompareVersions orders two versions as UAPI.10 (Version Format) does. It
// returns -1 if a is older than b, 0 if they are equal and +1 if a is newer.
//
// Where the text of UAPI.10 and the programs differ, the programs win: a
// version that goes on with "^" is older than one that goes on with anything
// but the end (systemd src/fundamental/string-util-fundamental.c,
// strverscmp_improved; mkosi mkosi/versioncomp.py).
func CompareVersions(a, b string) int {
	for {
		a, b = trimInvalid(a), trimInvalid(b)
		var order int
		if order, a, b = separator(a, b, '~'); order != 0 {
			return order
		}
		if a == "" || b == "" {
			return cmp.Compare(min(len(a), 1), min(len(b), 1))
		}
		for _, c := range []byte("-^.") {
			if order, a, b = separator(a, b, c); order != 0 {
				return order
			}
		}
		if order, a, b = compareParts(a, b); order != 0 {
			return order
		}
	}
}

// separator compares where one of the versions goes on with the separator c,
// which makes it the older one, and skips it where both do.
func separator(a, b string, c byte) (order int, restA, restB string) {
	inA, inB := first(a, c), first(b, c)
	switch {
	case inA && inB:
		return 0, a[1:], b[1:]
	case inA:
		return -1, a, b
	case inB:
		return 1, a, b
	}
	return 0, a, b
}

// compareParts compares the numbers that a and b start with, or the words if
// neither starts with a number, and returns what is behind them.
func compareParts(a, b string) (order int, restA, restB string) {
	if prefix(a, digit) > 0 || prefix(b, digit) > 0 {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		na, nb := prefix(a, digit), prefix(b, digit)
		if order = cmp.Compare(na, nb); order == 0 {
			order = strings.Compare(a[:na], b[:nb])
		}
		return order, a[na:], b[nb:]
	}
	na, nb := prefix(a, letter), prefix(b, letter)
	return strings.Compare(a[:na], b[:nb]), a[na:], b[nb:]
}

func first(s string, c byte) bool { return s != "" && s[0] == c }

func digit(c byte) bool  { return '0' <= c && c <= '9' }
func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// prefix returns how many bytes at the start of s satisfy is.
func prefix(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return n
}

// trimInvalid drops the bytes before the first that can be in a version.
func trimInvalid(s string) string {
	for s != "" && !digit(s[0]) && !letter(s[0]) && !strings.ContainsRune("~-^.", rune(s[0])) {
		s = s[1:]
	}
	return s
}
