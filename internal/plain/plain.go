// Package plain makes text harmless to terminals: names in an image can hold
// any bytes, and some of them move the cursor, erase what was printed, or type
// on their own.
package plain

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Name returns a name so that it stays in one line and no two names become the
// same: control characters, bytes that are no UTF-8 and backslashes become \xNN.
func Name(name string) string {
	return escaped(name, func(r rune) bool { return r == '\\' || control(r) })
}

// Text is Name for a text that names may be in. Backslashes stay, as they may be
// those of names that are quoted.
func Text(text string) string { return escaped(text, control) }

// Lines is Text for what can have several lines.
func Lines(text string) string {
	return escaped(text, func(r rune) bool { return r != '\n' && control(r) })
}

func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

// escaped replaces the characters that special names, and bytes that are no
// UTF-8.
func escaped(text string, special func(r rune) bool) string {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] >= ' ' && text[i] < 0x7f && text[i] != '\\'
	}
	if plain {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && n == 1 || special(r) {
			for _, c := range []byte(text[:n]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		} else {
			b.WriteString(text[:n])
		}
		text = text[n:]
	}
	return b.String()
}
