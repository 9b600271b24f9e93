// Package version orders version numbers as systemd does, and as UAPI.10
// (Version Format Specification) describes: systemd's strverscmp_improved in
// src/fundamental/string-util-fundamental.c.
//
// A version is a row of segments, each all digits or all letters, each with
// what separates it from the one before. From old to new:
//
//	123~rc1   ~  comes before
//	123       the end
//	123-a     -  then the release of the same version
//	123-1        letters before digits
//	123^post1 ^  then a patched version
//	123.1     .  then a point release
//	123a      then a segment with nothing between
//	124
//
// All other bytes, non-ASCII ones too, only end a segment.
package version

import (
	"cmp"
	"strings"
)

// Compare returns -1, 0 or 1 as a is older than b, equal to it in all that
// counts, or newer.
func Compare(a, b string) int {
	for {
		a, b = strings.TrimLeftFunc(a, separates), strings.TrimLeftFunc(b, separates)
		order, ended := compareMarks(&a, &b)
		if order != 0 || ended {
			return order
		}
		class := isLetter
		if startsWithDigit(a) || startsWithDigit(b) {
			class = isDigit
		}
		var x, y string
		x, a = split(a, class)
		y, b = split(b, class)
		if order := compareSegments(x, y); order != 0 {
			return order
		}
	}
}

// compareMarks takes off and compares what comes before a segment. It reports
// whether one of the versions ends here.
func compareMarks(a, b *string) (order int, ended bool) {
	if order := compareMark(a, b, "~"); order != 0 {
		return order, false
	}
	if *a == "" || *b == "" {
		return cmp.Compare(len(*a), len(*b)), true
	}
	for _, mark := range []string{"-", "^", "."} {
		if order := compareMark(a, b, mark); order != 0 {
			return order, false
		}
	}
	return 0, false
}

// compareMark takes the mark off both versions. One that has it alone is older.
func compareMark(a, b *string, mark string) int {
	restA, inA := strings.CutPrefix(*a, mark)
	restB, inB := strings.CutPrefix(*b, mark)
	switch {
	case inA && !inB:
		return -1
	case inB && !inA:
		return 1
	}
	*a, *b = restA, restB
	return 0
}

// compareSegments compares two runs of digits or two runs of letters. With
// digits one run may be empty, as the other version has letters there.
func compareSegments(x, y string) int {
	if !startsWithDigit(x) && !startsWithDigit(y) {
		return strings.Compare(x, y)
	}
	if (x == "") != (y == "") {
		return cmp.Compare(len(x), len(y))
	}
	x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
	if len(x) != len(y) {
		return cmp.Compare(len(x), len(y))
	}
	return strings.Compare(x, y)
}

func split(s string, class func(byte) bool) (segment, rest string) {
	n := 0
	for n < len(s) && class(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func separates(r rune) bool {
	return r > 0x7f || !isDigit(byte(r)) && !isLetter(byte(r)) && !strings.ContainsRune("~-^.", r)
}

func startsWithDigit(s string) bool { return s != "" && isDigit(s[0]) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
