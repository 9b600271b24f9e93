// Package fstab reads /etc/fstab and writes lines for it (fstab(5)).
package fstab

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Entry is one line.
type Entry struct {
	Line int // in the file, from 1; 0 for one that is not in a file

	Source  string // "UUID=...", "/dev/sda1", "overlay"
	Target  string // where it is mounted, clean; "none" and the like as they stand
	Type    string
	Options []string
	Freq    int
	Pass    int
}

// Parse reads the lines of an fstab. As libmount does it passes over what is
// empty, a comment, or lacks the first two fields.
func Parse(text string) (list []Entry) {
	for i, line := range strings.Split(text, "\n") {
		if e, ok := parseLine(line); ok {
			e.Line = i + 1
			list = append(list, e)
		}
	}
	return list
}

func parseLine(line string) (Entry, bool) {
	words := strings.Fields(line)
	if len(words) < 2 || words[0][0] == '#' {
		return Entry{}, false
	}
	for len(words) < 6 {
		words = append(words, "")
	}
	e := Entry{Source: unquote(unescape(words[0])), Target: unescape(words[1]), Type: unescape(words[2])}
	if strings.HasPrefix(e.Target, "/") {
		e.Target = path.Clean(e.Target)
	}
	if words[3] != "" {
		e.Options = splitOptions(unescape(words[3]))
	}
	e.Freq, _ = strconv.Atoi(words[4])
	e.Pass, _ = strconv.Atoi(words[5])
	return e, true
}

// unquote takes the quotes off the value of a tag: UUID="..." is UUID=...
func unquote(source string) string {
	tag, value, ok := strings.Cut(source, "=")
	if n := len(value); ok && n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return tag + "=" + value[1:n-1]
	}
	return source
}

// unescape puts the characters in that stand in the file as a backslash and
// three octal digits.
func unescape(field string) string {
	if !strings.Contains(field, `\`) {
		return field
	}
	var b strings.Builder
	for i := 0; i < len(field); i++ {
		if field[i] == '\\' && i+4 <= len(field) {
			if n, err := strconv.ParseUint(field[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(field[i])
	}
	return b.String()
}

// escape is the way back.
func escape(field string) string {
	var b strings.Builder
	for i := range len(field) {
		switch c := field[i]; c {
		case ' ', '\t', '\n', '\\', '#':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// splitOptions cuts at commas, but not inside double quotes, as labels of
// SELinux have them.
func splitOptions(text string) (list []string) {
	quoted, start := false, 0
	for i := range len(text) {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == ',' && !quoted:
			list = append(list, text[start:i])
			start = i + 1
		}
	}
	return append(list, text[start:])
}

// Option returns the value of an option, the last one given, and whether the
// option is there at all.
func (e Entry) Option(name string) (value string, ok bool) {
	for _, o := range e.Options {
		key, v, _ := strings.Cut(o, "=")
		if key == name {
			value, ok = v, true
		}
	}
	return value, ok
}

// OptionValues returns all values of an option that may be given many times.
func (e Entry) OptionValues(name string) (values []string) {
	for _, o := range e.Options {
		if key, v, _ := strings.Cut(o, "="); key == name {
			values = append(values, v)
		}
	}
	return values
}

// String returns the line, without a newline.
func (e Entry) String() string {
	options := strings.Join(e.Options, ",")
	if options == "" {
		options = "defaults"
	}
	return fmt.Sprintf("%s %s %s %s %d %d", escape(e.Source), escape(e.Target), escape(e.Type), escape(options), e.Freq, e.Pass)
}
