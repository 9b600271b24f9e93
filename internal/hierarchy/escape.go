package hierarchy

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"sextant/internal/fault"
)

// Escape writes a path as systemd writes it into a file of one line: C escapes
// for what is not printable ASCII (src/basic/escape.c, cescape).
func Escape(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		switch at := strings.IndexByte("\a\b\f\n\r\t\v\\\"'", c); {
		case at >= 0:
			b.WriteByte('\\')
			b.WriteByte(`abfnrtv\"'`[at])
		case c < ' ' || c >= 127:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Unescape is the way back. A path that leads out of the root, or is not what
// Escape makes, wraps fault.ErrCorrupt: what it names is going to be removed.
func Unescape(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		c, n := unescapeOne(text[i+1:])
		if n == 0 {
			return "", fmt.Errorf("work directory %q: not an escape: %w", text, fault.ErrCorrupt)
		}
		b.WriteByte(c)
		i += n
	}
	s := b.String()
	if strings.IndexByte(s, 0) >= 0 || path.IsAbs(s) || path.Clean(s) != s || s == "." || s == ".." || strings.HasPrefix(s, "../") {
		return "", fmt.Errorf("work directory %q is not a plain path below the root: %w", text, fault.ErrCorrupt)
	}
	return s, nil
}

// unescapeOne returns the byte that the text behind a backslash stands for, and
// how many bytes of the text that takes.
func unescapeOne(s string) (c byte, n int) {
	if s == "" {
		return 0, 0
	}
	if at := strings.IndexByte(`abfnrtv\"'s`, s[0]); at >= 0 {
		return "\a\b\f\n\r\t\v\\\"' "[at], 1
	}
	if s[0] == 'x' {
		return digits(s[1:], 16, 2, 3)
	}
	return digits(s, 8, 3, 3)
}

// digits reads exactly n digits, which with what is before them take size bytes.
func digits(s string, base, n, size int) (byte, int) {
	value, err := strconv.ParseUint(s[:min(n, len(s))], base, 8)
	if err != nil || len(s) < n {
		return 0, 0
	}
	return byte(value), size
}
