package extension

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"sextant/internal/fault"
)

// MaxReleaseSize is the largest os-release or extension-release file that is
// read, in bytes. systemd reads such files whole and refuses larger ones
// (src/basic/fileio.h, READ_FULL_BYTES_MAX).
const MaxReleaseSize = 64*1024*1024 - 1

// Field is one assignment of a release file.
type Field struct {
	Key, Value string
	Line       int // counted from 1
}

// Release is the content of an os-release or extension-release file, in the
// order of the file. Of a key that is set twice the last one counts.
type Release []Field

// Value returns what key is set to, and "" where it is not set.
func (r Release) Value(key string) string {
	value, _ := r.Lookup(key)
	return value
}

// Lookup returns what key is set to and whether it is set at all.
func (r Release) Lookup(key string) (value string, ok bool) {
	for _, f := range r {
		if f.Key == key {
			value, ok = f.Value, true
		}
	}
	return value, ok
}

// ParseRelease reads a file of shell-like assignments by the rules of
// systemd's own parser (src/basic/env-file.c, parse_env_file_internal): quotes,
// backslashes, comments that start with # or ; at the start of a line. A line
// without = is passed over there, and a NUL ends the file, so they do here.
// Keys that no shell would take and values that are not UTF-8 are errors that
// wrap fault.ErrCorrupt.
func ParseRelease(data []byte) (Release, error) {
	text, _, _ := strings.Cut(string(data), "\x00")
	p := envParser{rest: text, line: 1}
	for p.rest != "" {
		if err := p.assignment(); err != nil {
			return nil, err
		}
	}
	return p.fields, nil
}

// newline holds the bytes that end a line for systemd (NEWLINE).
const newline = "\n\r"

// blank holds the white space that does not end a line.
const blank = " \t"

type envParser struct {
	rest   string
	line   int
	fields Release
}

// next takes one byte off the rest, counting lines.
func (p *envParser) next() byte {
	c := p.rest[0]
	p.rest = p.rest[1:]
	if c == '\n' {
		p.line++
	}
	return c
}

// assignment takes one line off the rest: empty, a comment, or KEY=value,
// which quotes and backslashes can stretch over several.
func (p *envParser) assignment() error {
	p.rest = strings.TrimLeft(p.rest, blank)
	if p.rest == "" {
		return nil
	}
	end := strings.IndexAny(p.rest, "="+newline)
	if end < 0 || p.rest[end] != '=' || strings.IndexByte("#;", p.rest[0]) >= 0 {
		p.skipLine()
		return nil
	}
	line, key := p.line, strings.TrimRight(p.rest[:end], blank)
	p.rest = p.rest[end+1:]
	return p.add(Field{key, p.value(), line})
}

func (p *envParser) skipLine() {
	for p.rest != "" && !isNewline(p.next()) {
	}
}

func isNewline(c byte) bool { return strings.IndexByte(newline, c) >= 0 }

func isBlank(c byte) bool { return strings.IndexByte(blank, c) >= 0 }

func (p *envParser) add(f Field) error {
	if !keyIsValid(f.Key) {
		return fmt.Errorf("line %d: %q is not a variable name: %w", f.Line, f.Key, fault.ErrCorrupt)
	}
	if !utf8.ValidString(f.Value) {
		return fmt.Errorf("line %d: the value of %s is not UTF-8: %w", f.Line, f.Key, fault.ErrCorrupt)
	}
	p.fields = append(p.fields, f)
	return nil
}

// value takes the part behind the = off the rest. A quote counts only at the
// start or right behind another quoted part; later in a word it is a byte like
// any other.
func (p *envParser) value() string {
	var b strings.Builder
	start := true // still where a quote counts
	keep := 0     // length up to which white space at the end is not cut
	for p.rest != "" {
		c := p.next()
		switch {
		case isNewline(c):
			return trimTail(b.String(), keep)
		case start && (c == '\'' || c == '"'):
			p.quoted(&b, c)
			keep = b.Len()
		case c == '\\':
			p.escaped(&b)
			start, keep = false, b.Len()
		case start && isBlank(c):
		default:
			b.WriteByte(c)
			start = false
		}
	}
	return trimTail(b.String(), keep)
}

func trimTail(s string, keep int) string {
	return s[:keep] + strings.TrimRight(s[keep:], blank)
}

// escaped takes the byte behind an unquoted backslash; a newline vanishes.
func (p *envParser) escaped(b *strings.Builder) {
	if p.rest == "" {
		return
	}
	if c := p.next(); !isNewline(c) {
		b.WriteByte(c)
	}
}

// quoted takes everything up to the closing quote. In double quotes a
// backslash protects the bytes that a shell lets it protect, and joins lines;
// before any other byte it stands for itself.
func (p *envParser) quoted(b *strings.Builder, quote byte) {
	for p.rest != "" {
		c := p.next()
		switch {
		case c == quote:
			return
		case c == '\\' && quote == '"' && p.rest != "":
			if e := p.next(); strings.IndexByte("\"\\`$", e) >= 0 {
				b.WriteByte(e)
			} else if e != '\n' {
				b.WriteByte('\\')
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
}

func keyIsValid(key string) bool {
	if key == "" || key[0] >= '0' && key[0] <= '9' {
		return false
	}
	return strings.IndexFunc(key, func(r rune) bool {
		return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}) < 0
}
