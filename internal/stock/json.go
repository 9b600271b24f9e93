package stock

import (
	"fmt"
	"strings"
)

// json returns the table in JSON as systemd writes it: in one line, or with tabs
// and " : ".
func (t table) json(f format) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, r := range t.rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('{')
		for j, c := range r {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quote(t.columns[j]) + ":" + c.json())
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	if f == pretty {
		return Indent(b.String()) + "\n"
	}
	return b.String() + "\n"
}

// Indent returns compact JSON as systemd's "pretty" format writes it.
func Indent(compact string) string {
	var b strings.Builder
	depth, text := 0, false
	newline := func() { b.WriteString("\n" + strings.Repeat("\t", depth)) }
	for i := 0; i < len(compact); i++ {
		c := compact[i]
		switch {
		case text:
			b.WriteByte(c)
			if c == '\\' {
				i++
				b.WriteByte(compact[i])
			}
			text = c != '"'
		case (c == '[' || c == '{') && (compact[i+1] == ']' || compact[i+1] == '}'):
			i++
			b.WriteString(compact[i-1 : i+1])
		case c == '[' || c == '{':
			depth++
			b.WriteByte(c)
			newline()
		case c == ']' || c == '}':
			depth--
			newline()
			b.WriteByte(c)
		case c == ',':
			b.WriteByte(c)
			newline()
		case c == ':':
			b.WriteString(" : ")
		default:
			b.WriteByte(c)
			text = c == '"'
		}
	}
	return b.String()
}

// quote returns a string of JSON with systemd's escapes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch r {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case '\b':
			b.WriteString(`\b`)
		case '\f':
			b.WriteString(`\f`)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		default:
			if r < ' ' {
				fmt.Fprintf(&b, `\u%04x`, r)
				continue
			}
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
